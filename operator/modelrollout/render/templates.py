"""Actions and revisions into checked manifests. Pure after `Templates.load()`: no clock, no cluster, no logging.

A revision's pods come from its snapshot, byte for byte; what a new operator would render today counts for new
revisions only. Each manifest carries a hash of itself, so that a field which is no longer rendered (a hostname taken
out of the spec) is seen as drift as well.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from modelrollout import names
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import Key, ModelDeployment
from modelrollout.domain.plan import ApplyWorkload, PointService
from modelrollout.domain.revision import Snapshot
from modelrollout.domain.traffic import Routing
from modelrollout.render.environment import Environment, Unrenderable
from modelrollout.render.manifest import Manifest, Owner
from modelrollout.render.pod import facts_of, labels_of, selector_of
from modelrollout.render.presets import CUSTOM, Preset, presets

TEMPLATE_VERSION = 1
"""Of templates/pod_template.yaml.j2 and what feeds it; recorded in each snapshot. Raised with every change of them."""

RENDERED_ANNOTATION = f"{names.GROUP}/rendered"
"""On every object that is applied again and again: a hash of all that we rendered."""

EVIDENCE_KEY = "evidence.json"
"""Key of the document in the evidence ConfigMap."""

_MOST = 1_000_000
"""Bytes of one object; etcd takes 1.5 MiB, a ConfigMap 1 MiB."""

_KEPT = 2048
"""Manifests kept per kind."""


class Templates:
    """All renderers. Made once at start; its caches only save time."""

    def __init__(self, environment: Environment, known: Mapping[str, Preset]) -> None:
        self._environment = environment
        self._presets = known
        self._deployment: Callable[[Owner, Snapshot], Manifest] = lru_cache(_KEPT)(self._render_deployment)
        self._service: Callable[[Owner, Snapshot, int], Manifest] = lru_cache(_KEPT)(self._render_service)
        self._budget: Callable[[Owner, str, str], Manifest] = lru_cache(_KEPT)(self._render_budget)
        self._autoscaler: Callable[[Owner, Snapshot, tuple[int, int], Fragment, Fragment], Manifest] = lru_cache(_KEPT)(
            self._render_autoscaler,
        )
        self._stable: Callable[[Owner, int, str | None], Manifest] = lru_cache(_KEPT)(self._render_stable)

    @classmethod
    def load(cls) -> "Templates":
        return cls(Environment.load(), presets())

    def pod_template(self, md: ModelDeployment) -> Fragment:
        """The desired revision's pod template as it would be rendered today; Unrenderable where it makes no pod."""
        preset = self._presets.get(md.preset) or self._presets[CUSTOM]  # facts_of refuses the unknown
        return Fragment.of(self._environment.document("pod_template", **facts_of(md, preset)))

    def snapshot(self, owner: Owner, md: ModelDeployment, number: int) -> Manifest:
        """The ControllerRevision that freezes the desired revision. To be created, never applied over another."""
        document = self._environment.document(
            "controller_revision",
            metadata=_metadata(
                owner,
                names.workload_name(md.key.name, md.revision),
                labels_of(md.key.name, md.revision, md.version),
            ),
            number=number,
            revision=md.revision,
            version=md.version,
            preset=md.preset,
            template_version=TEMPLATE_VERSION,
            ready_timeout=_seconds(md.ready_timeout),
            model=md.model.value,
            runtime=md.runtime.value,
            pod_template=self.pod_template(md).value,
        )
        manifest = Manifest.checked(document, owner)
        if len(manifest.document.text.encode()) > _MOST:
            raise Unrenderable("spec.model and spec.runtime are too large for one object; move texts to a ConfigMap.")
        return manifest

    def workload(
        self,
        owner: Owner,
        md: ModelDeployment,
        action: ApplyWorkload,
        snapshot: Snapshot,
    ) -> tuple[Manifest, ...]:
        """Deployment, Service, disruption budget, and the autoscaler unless replicas are fixed."""
        if action.revision != snapshot.revision:
            raise ValueError(f"the snapshot is of {snapshot.revision}, the action of {action.revision}")
        always = (
            self._deployment(owner, snapshot),
            self._service(owner, snapshot, md.traffic.port),
            self._budget(owner, snapshot.revision, snapshot.version),
        )
        if action.replicas is not None:
            return always
        scaling = md.scaling
        bounds = (action.min_replicas, action.max_replicas)
        return (*always, self._autoscaler(owner, snapshot, bounds, scaling.metrics, scaling.behavior))

    def stable_service(
        self,
        owner: Owner,
        md: ModelDeployment,
        action: PointService,
        snapshot: Snapshot | None = None,
    ) -> Manifest:
        """The Service with the ModelDeployment's own name. `snapshot` is not needed; the revision is in the action."""
        if snapshot is not None and action.revision not in {None, snapshot.revision}:
            raise ValueError(f"the snapshot is of {snapshot.revision}, the action of {action.revision}")
        return self._stable(owner, md.traffic.port, action.revision)

    def route(self, owner: Owner, md: ModelDeployment, routing: Routing) -> Manifest:
        """One rule, a backend per revision, weights in per cent."""
        gateway = md.traffic.gateway_api
        revisions = [each for each in (routing.stable, routing.candidate) if each is not None]
        document = self._environment.document(
            "http_route",
            metadata=_metadata(owner, owner.key.name, owner.labels),
            parent_refs=gateway.parent_refs.value,
            hostnames=list(gateway.hostnames),
            timeout=gateway.timeout,
            port=md.traffic.port,
            backends=[
                {"name": names.workload_name(owner.key.name, each), "weight": routing.weight_of(each)}
                for each in revisions
            ],
        )
        return _sealed(document, owner)

    def evidence(
        self,
        owner: Owner,
        md_key: Key,
        document: Fragment,
        annotations: Mapping[str, str] | None = None,
    ) -> Manifest:
        """The ConfigMap that keeps a rollout's evidence, its summary as annotations."""
        metadata = _metadata(owner, names.evidence_name(md_key.name), owner.labels)
        if annotations:
            metadata["annotations"] = dict(annotations)
        filled = self._environment.document("evidence", metadata=metadata, key=EVIDENCE_KEY, text=document.text)
        return Manifest.checked(filled, owner)

    def _render_deployment(self, owner: Owner, snapshot: Snapshot) -> Manifest:
        document = self._environment.document(
            "deployment",
            metadata=self._metadata_of(owner, snapshot.revision, snapshot.version),
            selector=selector_of(owner.key.name, snapshot.revision),
            progress_deadline=math.ceil(snapshot.ready_timeout.total_seconds()) + 60,
            pod_template=snapshot.pod_template.value,
        )
        return _sealed(document, owner)

    def _render_service(self, owner: Owner, snapshot: Snapshot, port: int) -> Manifest:
        document = self._environment.document(
            "service",
            metadata=self._metadata_of(owner, snapshot.revision, snapshot.version),
            selector=selector_of(owner.key.name, snapshot.revision),
            port_name=names.HTTP_PORT,
            port=port,
        )
        return _sealed(document, owner)

    def _render_stable(self, owner: Owner, port: int, revision: str | None) -> Manifest:
        every = {names.DEPLOYMENT_LABEL: owner.key.name}
        document = self._environment.document(
            "service",
            metadata=_metadata(owner, owner.key.name, owner.labels),
            selector=every if revision is None else selector_of(owner.key.name, revision),
            port_name=names.HTTP_PORT,
            port=port,
        )
        return _sealed(document, owner)

    def _render_budget(self, owner: Owner, revision: str, version: str) -> Manifest:
        document = self._environment.document(
            "disruption_budget",
            metadata=self._metadata_of(owner, revision, version),
            selector=selector_of(owner.key.name, revision),
        )
        return _sealed(document, owner)

    def _render_autoscaler(
        self,
        owner: Owner,
        snapshot: Snapshot,
        bounds: tuple[int, int],
        metrics: Fragment,
        behavior: Fragment,
    ) -> Manifest:
        preset = self._presets.get(snapshot.preset) or self._presets[CUSTOM]
        document = self._environment.document(
            "autoscaler",
            metadata=self._metadata_of(owner, snapshot.revision, snapshot.version),
            target=names.workload_name(owner.key.name, snapshot.revision),
            min_replicas=bounds[0],
            max_replicas=bounds[1],
            metrics=metrics.value or preset.load.value,
            behavior=behavior.value,
        )
        return _sealed(document, owner)

    @staticmethod
    def _metadata_of(owner: Owner, revision: str, version: str) -> dict[str, Any]:
        name = names.workload_name(owner.key.name, revision)
        return _metadata(owner, name, labels_of(owner.key.name, revision, version))


def _seconds(duration: timedelta) -> float:
    """Whole seconds as the integer that the API server would make of them."""
    seconds = duration.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _metadata(owner: Owner, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": owner.key.namespace,
        "labels": dict(labels),
        "ownerReferences": [owner.reference],
    }


def _sealed(document: Any, owner: Owner) -> Manifest:
    """Checked, with the hash of what was rendered."""
    digest = hashlib.sha256(Fragment.of(document).text.encode()).hexdigest()[:16]
    document["metadata"].setdefault("annotations", {})[RENDERED_ANNOTATION] = digest
    return Manifest.checked(document, owner)
