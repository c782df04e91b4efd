"""A revision's objects on the cluster, read as one Workload. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from modelrollout import names
from modelrollout.cluster.kinds import (
    AUTOSCALER,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    ENDPOINT_SLICE,
    POD,
    SERVICE,
    Live,
)
from modelrollout.cluster.ownership import controller_of, is_owned_by
from modelrollout.cluster.pods import image_digest, is_finished, moment, read_pod
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.observed import Autoscaler, Workload

SERVICE_NAME_LABEL = "kubernetes.io/service-name"

_WHOSE_POD = re.compile(r'^(?:Error creating: )?pods? "[^"]*" is ')
_OF_POD = re.compile(r" (?:of|for) [Pp]od \S+")
_USED = re.compile(r", used: .*?(?=, limited: |$)")


@dataclass(slots=True)
class _Parts:
    deployment: Live | None = None
    autoscaler: Live | None = None
    remains: bool = False
    """Something that Prune deletes is there."""
    pods: list[Live] = field(default_factory=list)
    slices: list[Live] = field(default_factory=list)


def read_workloads(children: Iterable[Live], deployment: str, uid: str) -> tuple[Workload, ...]:
    """The workloads of the ModelDeployment with this name and uid, by revision.

    One whose Deployment is gone is listed as long as something of it remains to be pruned.
    """
    parts: dict[str, _Parts] = {}
    for live in children:
        revision = (live["metadata"].get("labels") or {}).get(names.REVISION_LABEL)
        if revision is not None:
            _sort_in(parts.setdefault(revision, _Parts()), live, names.workload_name(deployment, revision), uid)
    return tuple(_workload(revision, found) for revision, found in sorted(parts.items()) if found.remains)


def _sort_in(parts: _Parts, live: Live, name: str, uid: str) -> None:
    """Labels are for finding; what counts is whose it is, and that it has the name we gave it."""
    kind = live["kind"]
    if kind == POD.kind:
        owner = controller_of(live)
        if owner is not None and owner["kind"] == "ReplicaSet" and owner["name"].rpartition("-")[0] == name:
            parts.pods.append(live)
    elif kind == ENDPOINT_SLICE.kind:
        if live["metadata"]["labels"].get(SERVICE_NAME_LABEL) == name:
            parts.slices.append(live)
    elif live["metadata"]["name"] == name and is_owned_by(live, uid):
        if kind == DEPLOYMENT.kind:
            parts.deployment = live
            parts.remains = True
        elif kind == AUTOSCALER.kind:
            parts.autoscaler = live
            parts.remains = True
        elif kind in {SERVICE.kind, DISRUPTION_BUDGET.kind}:
            parts.remains = True


def _workload(revision: str, parts: _Parts) -> Workload:
    present = sorted((live for live in parts.pods if not is_finished(live)), key=lambda live: live["metadata"]["name"])
    pods = tuple(read_pod(live) for live in present)
    live = parts.deployment
    return Workload(
        revision=revision,
        exists=live is not None,
        replicas=0 if live is None else live["spec"].get("replicas", 1),
        ready=sum(pod.ready and not pod.deleting for pod in pods),
        endpoints=ready_endpoints(parts.slices),
        pods=pods,
        autoscaler=None if parts.autoscaler is None else read_autoscaler(parts.autoscaler),
        trouble=None if live is None else _refused_pods(live),
        created=None if live is None else moment(live["metadata"]["creationTimestamp"]),
        available_changed=None if live is None else _available_changed(live),
        image_digest=next((digest for each in present if (digest := image_digest(each))), ""),
    )


def ready_endpoints(slices: Sequence[Live]) -> int:
    """Ready endpoints, each pod once: a dual-stack Service has a slice per address family."""
    return len(
        {
            (endpoint.get("targetRef") or {}).get("name") or endpoint["addresses"][0]
            for each in slices
            for endpoint in each.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False  # unknown counts as ready: API's rule
        }
    )


def read_autoscaler(live: Live) -> Autoscaler:
    spec, status = live["spec"], live.get("status") or {}
    return Autoscaler(
        min_replicas=spec.get("minReplicas", 1),
        max_replicas=spec["maxReplicas"],
        desired=status.get("desiredReplicas", 0),
        blind=_blind(live),
    )


def _blind(live: Live) -> Remark | None:
    active = _condition(live, "ScalingActive")
    if active is None or active["status"] != "False" or active.get("reason") == "ScalingDisabled":
        return None
    why = _OF_POD.sub("", active.get("message", "")).rstrip(". ")
    return Remark(
        reason=Reason.SCALING_BLIND,
        message=f"The autoscaler cannot read its metrics ({active.get('reason', '')}): {why}. "
        "Check the metrics server or adapter, and spec.scaling.metrics.",
    )


def _refused_pods(live: Live) -> Remark | None:
    failure = _condition(live, "ReplicaFailure")
    if failure is None or failure["status"] != "True":
        return None
    why = _USED.sub("", _WHOSE_POD.sub("", failure.get("message", ""))).rstrip(". ")
    return Remark(
        reason=Reason.POD_REFUSED,
        message=f"The API server refuses the pods: {why}. Raise the quota, or correct spec.runtime.",
    )


def _available_changed(live: Live) -> datetime | None:
    available = _condition(live, "Available")
    return None if available is None else moment(available["lastTransitionTime"])


def _condition(live: Live, kind: str) -> Live | None:
    conditions = (live.get("status") or {}).get("conditions") or ()
    return next((condition for condition in conditions if condition["type"] == kind), None)
