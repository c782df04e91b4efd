"""The one seam between the API server and the core: the watch store in, `Observed` out. Pure, no request.

Found by label, believed by ownerReference: what merely carries our labels is nobody's child.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from modelrollout import names
from modelrollout.cluster.checkpoint import last_poll_written, read_evidence
from modelrollout.cluster.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    HTTP_ROUTE,
    SERVICE,
    Kind,
    Live,
)
from modelrollout.cluster.ownership import is_leftover, is_owned_by
from modelrollout.cluster.store import WatchStore, uid_of
from modelrollout.cluster.workloads import read_workloads
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.intent import Intent
from modelrollout.domain.intent_document import intent_adopted, intent_from
from modelrollout.domain.model_deployment import InvalidSpec, Key, ModelDeployment, RouterName
from modelrollout.domain.observed import Observed
from modelrollout.domain.parse import parse
from modelrollout.domain.revision import Snapshot
from modelrollout.domain.traffic import RouteSeen
from modelrollout.render.snapshots import snapshot_from

_OF_A_REVISION = (DEPLOYMENT, SERVICE, AUTOSCALER, DISRUPTION_BUDGET, CONTROLLER_REVISION)


class ReadsRoute(Protocol):
    def read(self, key: Key, children: Sequence[Live]) -> RouteSeen: ...


def observe(
    key: Key,
    store: WatchStore,
    routers: Mapping[str, ReadsRoute],
    evidence_of: Callable[[str], Evidence | None],
    refusal: Callable[[ModelDeployment], Remark | None],
    *,
    completed: Callable[[ModelDeployment], ModelDeployment] = lambda desired: desired,
    lags: tuple[tuple[str, float], ...] = (),
) -> Observed | None:
    """The whole world of one walk; None where there is no such ModelDeployment.

    `evidence_of` is the memory of what came since the last checkpoint, by the ModelDeployment's uid. `refusal` is
    what only the operator can see to be impossible in a spec; `completed` fills in what it leaves to the operator;
    `lags` says by how many seconds each metrics provider is late.
    """
    live = store.model_deployment(key)
    if live is None:
        return None
    metadata, status, uid = live["metadata"], live.get("status") or {}, uid_of(live)
    me = {"name": key.name, "uid": uid}
    children = [child for child in store.children(key) if not is_leftover(child, me)]
    ours = {(child["kind"], child["metadata"]["name"]): child for child in children if is_owned_by(child, uid)}
    desired = parse(live)
    refused = None if isinstance(desired, InvalidSpec) else refusal(desired)
    desired = desired if isinstance(desired, InvalidSpec) else completed(desired)
    service = ours.get((SERVICE.kind, key.name))
    points_at = None if service is None else service["spec"].get("selector", {}).get(names.REVISION_LABEL)
    intent, adopted = _intent(status, points_at)
    route = _router(routers, intent, desired).read(key, children)
    if adopted and intent.stable is None and route.weights:
        intent = replace(intent, stable=max(route.weights, key=lambda each: each[1])[0])
    evidence, written_up_to = _evidence(key, uid, intent, ours, evidence_of)
    return Observed(
        key=key,
        uid=uid,
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 1),
        deleting="deletionTimestamp" in metadata,
        desired=desired,
        intent=intent,
        adopted=adopted,
        status=Fragment.of(status),
        command=(metadata.get("annotations") or {}).get(names.COMMAND_ANNOTATION),
        snapshots=_snapshots(ours),
        workloads=read_workloads(children, key.name, uid),
        route=route,
        idle_route=intent.router == RouterName.REPLICA_RATIO and (HTTP_ROUTE.kind, key.name) in ours,
        service_exists=service is not None,
        service_points_at=points_at,
        conflict=_conflict(key, intent, desired, children, ours),
        refused=refused,
        evidence=evidence,
        checkpointed_at=None if written_up_to is None else datetime.fromtimestamp(written_up_to, UTC),
        checkpoint_eval=written_up_to,
        lags=lags,
    )


_Ours = Mapping[tuple[str, str], Live]
"""Our objects by kind and name."""


def _intent(status: Mapping[str, Any], points_at: str | None) -> tuple[Intent, bool]:
    """As stored; where that cannot be, the stable Service's own revision, and whether it is that.

    The Service turns only after a promotion, so it tells stable from a candidate at any weight.
    """
    try:
        return intent_from(status), False
    except ValueError:
        return intent_adopted(status, points_at), True


def _snapshots(ours: _Ours) -> tuple[Snapshot, ...]:
    """In order of creation. One that cannot be read is none: making it again is then refused, loudly."""
    found: list[Snapshot] = []
    for (kind, _), live in ours.items():
        if kind == CONTROLLER_REVISION.kind:
            try:
                found.append(snapshot_from(live))
            except ValueError:
                continue
    return tuple(sorted(found, key=lambda snapshot: (snapshot.number, snapshot.revision)))


def _router(routers: Mapping[str, ReadsRoute], intent: Intent, desired: ModelDeployment | InvalidSpec) -> ReadsRoute:
    """That of the intent, which follows the spec only at rest; before there is an intent, that of the spec."""
    readable = desired.brakes if isinstance(desired, InvalidSpec) else desired
    wished = RouterName.REPLICA_RATIO if readable is None else readable.traffic.router
    return routers.get(intent.router or "") or routers[str(wished)]


def _evidence(
    key: Key, uid: str, intent: Intent, ours: _Ours, evidence_of: Callable[[str], Evidence | None]
) -> tuple[Evidence | None, float | None]:
    """What memory has, else what was written, and up to which poll; nothing without a candidate to judge."""
    if intent.candidate is None:
        return None, None
    live = ours.get((CONFIG_MAP.kind, names.evidence_name(key.name)))
    remembered = evidence_of(uid)
    if live is None:
        return remembered, None
    evidence = remembered or read_evidence(live)
    return evidence, None if evidence is None else last_poll_written(live)


def _conflict(
    key: Key, intent: Intent, desired: ModelDeployment | InvalidSpec, children: Sequence[Live], ours: _Ours
) -> Remark | None:
    """A foreign object that carries our labels. One without them is met when we write, and nowhere else."""
    needed = {(kind.kind, name) for kind, name in _needed(key, intent, desired)} - ours.keys()
    foreign = sorted(needed & {(child["kind"], child["metadata"]["name"]) for child in children})
    if not foreign:
        return None
    kind, name = foreign[0]
    return Remark(
        reason=Reason.CONFLICT,
        message=f"{kind} {name} exists and is not owned by this ModelDeployment; it is left untouched. "
        "Delete or rename it, or give the ModelDeployment another name.",
    )


def _needed(key: Key, intent: Intent, desired: ModelDeployment | InvalidSpec) -> Iterator[tuple[Kind, str]]:
    yield SERVICE, key.name
    yield CONFIG_MAP, names.evidence_name(key.name)
    if intent.router == RouterName.GATEWAY_API:
        yield HTTP_ROUTE, key.name
    revisions = {intent.stable, intent.candidate}
    if not isinstance(desired, InvalidSpec):
        revisions.add(desired.revision)
    for revision in revisions - {None}:
        for kind in _OF_A_REVISION:
            yield kind, names.workload_name(key.name, str(revision))
