"""Actions into requests: renders each, skips what is so already, writes the rest. Decides nothing.

Stops at the first refusal, so that nothing is done on top of what was not done. A view that turned out to be old and an
API server that does not answer are no refusals but end the walk: there is nothing true to report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from modelrollout import names
from modelrollout.cluster.checkpoint import annotations
from modelrollout.cluster.kinds import (
    AUTOSCALER,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    HTTP_ROUTE,
    SERVICE,
    Kind,
)
from modelrollout.cluster.ownership import is_owned_by
from modelrollout.controller.ports import Live, Ports
from modelrollout.decide.evidence_document import to_document
from modelrollout.domain.conditions import Reason
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import InvalidSpec, ModelDeployment
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import (
    Action,
    ApplyWorkload,
    Checkpoint,
    DropRoute,
    ForgetSnapshot,
    Measure,
    Outcome,
    PointService,
    Prune,
    ShiftTraffic,
    SnapshotRevision,
)
from modelrollout.errors import ClusterUnavailable, ConflictError, Refused, RolloutError, StaleView
from modelrollout.render.drift import differs
from modelrollout.render.manifest import Manifest, Owner

_PRUNED = (AUTOSCALER, DISRUPTION_BUDGET, DEPLOYMENT, SERVICE)
"""What a revision has on the cluster, in the order in which it goes: the autoscaler first, lest it raises again."""


async def carry_out(
    actions: Sequence[Action], observed: Observed, live: Sequence[Live], ports: Ports
) -> tuple[Outcome, ...]:
    """`live`: the children as they were when `observed` was taken."""
    if not actions:
        return ()
    desired = observed.desired
    if isinstance(desired, InvalidSpec) and desired.brakes is not None:
        desired = desired.brakes
    if isinstance(desired, InvalidSpec):
        return (Outcome(action=actions[0], refused=Reason.INVALID_SPEC, message=desired.message),)
    hand = _Hand(observed, desired, live, ports)
    outcomes: list[Outcome] = []
    for action in actions:
        try:
            changed = await hand.carry(action)
        except (StaleView, ClusterUnavailable):
            raise
        except RolloutError as error:
            refused = Outcome(action=action, refused=error.reason, message=error.message, retry_after=error.retry_after)
            return (*outcomes, refused)
        outcomes.append(Outcome(action=action, changed=changed))
    return tuple(outcomes)


@dataclass(frozen=True, slots=True)
class _Hand:
    """One walk's hand. Each method says whether it wrote something."""

    observed: Observed
    desired: ModelDeployment
    live: Sequence[Live]
    ports: Ports

    async def carry(self, action: Action) -> bool:
        match action:
            case SnapshotRevision():
                return await self._snapshot(action)
            case ApplyWorkload():
                return await self._workload(action)
            case PointService():
                return await self._point(action)
            case ShiftTraffic():
                return await self._shift(action)
            case Measure():
                self.ports.measurements.start(action, self.observed)
                return False
            case Checkpoint():
                return await self._checkpoint(action.evidence)
            case Prune():
                return await self._prune(action)
            case DropRoute():
                return await self._delete(HTTP_ROUTE, self.observed.key.name)
            case ForgetSnapshot():
                return await self._forget(action)
            case _:
                assert_never(action)

    @property
    def _owner(self) -> Owner:
        return Owner(key=self.observed.key, uid=self.observed.uid)

    async def _snapshot(self, action: SnapshotRevision) -> bool:
        """One that exists wins, whatever would be rendered today."""
        if self.desired.revision != action.revision:
            raise StaleView(f"revision {action.revision} is no longer what the spec asks for")
        if self._find(CONTROLLER_REVISION, names.workload_name(self.observed.key.name, action.revision)) is not None:
            return False
        manifest = self.ports.templates.snapshot(self._owner, self.desired, action.number)
        await self.ports.api.apply(manifest.document)
        return True

    async def _workload(self, action: ApplyWorkload) -> bool:
        snapshot = self.observed.snapshot(action.revision)
        if snapshot is None:
            raise Refused(f"The snapshot of revision {action.revision} is gone; apply the spec again.")
        manifests = self.ports.templates.workload(self._owner, self.desired, action, snapshot)
        changed = False
        if not any(manifest.kind == AUTOSCALER.kind for manifest in manifests):
            changed = await self._delete(AUTOSCALER, names.workload_name(self.observed.key.name, action.revision))
        for manifest in manifests:
            before = self._find_like(manifest)
            after, written = await self._ensure(manifest)
            changed |= written
            if manifest.kind == DEPLOYMENT.kind:
                changed |= await self._scale(action, before, after)
        return changed

    async def _scale(self, action: ApplyWorkload, before: Live | None, deployment: Live) -> bool:
        """Replicas go through /scale only, and beside an autoscaler never, but for two things.

        It leaves a Deployment alone that sits at 0, and it takes a quarter of a minute to raise a new one from 1.
        """
        now: int = deployment["spec"].get("replicas", 1)
        wanted = action.replicas
        if wanted is None:
            floor = action.min_replicas
            wanted = floor if floor > now and (before is None or now == 0) else now
        if wanted == now:
            return False
        await self.ports.api.scale(deployment, wanted)
        return True

    async def _point(self, action: PointService) -> bool:
        """It moves traffic, so it carries what it was decided on."""
        snapshot = self.observed.snapshot(action.revision)
        manifest = self.ports.templates.stable_service(self._owner, self.desired, action, snapshot)
        live = self._find_like(manifest)
        if live is None:
            await self.ports.api.apply(manifest.document)
            return True
        if not differs(manifest.document, live) and is_owned_by(live, self.observed.uid):
            return False
        await self.ports.api.apply(manifest.document, resource_version=live["metadata"]["resourceVersion"])
        return True

    async def _shift(self, action: ShiftTraffic) -> bool:
        name = str(self.observed.intent.router or self.desired.traffic.router)
        router = self.ports.routers[name]
        return await router.write(self.desired, self.observed.uid, action.routing, self.observed.route, action.at)

    async def _checkpoint(self, evidence: Evidence) -> bool:
        document = Fragment.of(to_document(evidence))
        beside = annotations(evidence, document.text)
        manifest = self.ports.templates.evidence(self._owner, self.observed.key, document, beside)
        _, written = await self._ensure(manifest)
        return written

    async def _prune(self, action: Prune) -> bool:
        changed = False
        for kind in _PRUNED:
            for live in self.live:
                labels = live["metadata"].get("labels") or {}
                if live["kind"] == kind.kind and labels.get(names.REVISION_LABEL) == action.revision:
                    changed |= await self._delete(kind, live["metadata"]["name"])
        return changed

    async def _forget(self, action: ForgetSnapshot) -> bool:
        return await self._delete(CONTROLLER_REVISION, names.workload_name(self.observed.key.name, action.revision))

    async def _ensure(self, manifest: Manifest) -> tuple[Live, bool]:
        """The object as the manifest wants it, and whether that took a write."""
        live = self._find_like(manifest)
        if live is not None:
            if live["metadata"].get("deletionTimestamp"):
                raise Refused(f"{manifest.kind} {manifest.name} is being deleted.", retry_after=timedelta(seconds=1))
            if is_owned_by(live, self.observed.uid) and not differs(manifest.document, live):
                return live, False
        return await self.ports.api.apply(manifest.document), True

    async def _delete(self, kind: Kind, name: str) -> bool:
        """Only what is ours; what is going already is left to go."""
        live = self._find(kind, name)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return False
        if not is_owned_by(live, self.observed.uid):
            raise ConflictError(f"{kind.kind} {name} is not owned by this ModelDeployment; it is left untouched.")
        await self.ports.api.delete(live)
        return True

    def _find_like(self, manifest: Manifest) -> Live | None:
        return next((each for each in self.live if _is(each, manifest.kind, manifest.name)), None)

    def _find(self, kind: Kind, name: str) -> Live | None:
        return next((each for each in self.live if _is(each, kind.kind, name)), None)


def _is(live: Live, kind: str, name: str) -> bool:
    return bool(live["kind"] == kind and live["metadata"]["name"] == name)
