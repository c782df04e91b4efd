"""Each condition with its status, reason and message, from what was seen. Pure.

Conditions follow kstatus: `Reconciling` and `Stalled` are abnormal when true, never both, and `Ready` is true only
when the spec's own revision serves everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from modelrollout.decide.guards import trouble_of
from modelrollout.decide.judge import SERVICE_BURNING
from modelrollout.decide.view import SETTLED_AFTER, UNANSWERED
from modelrollout.domain.conditions import ConditionStatus, ConditionType, Phase, Reason, Remark
from modelrollout.domain.intent import Intent
from modelrollout.domain.judgement import Verdict
from modelrollout.domain.model_deployment import InvalidSpec
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Outcome, Plan

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN

_MUST_FIX = {
    Reason.INVALID_SPEC,
    Reason.CONFLICT,
    Reason.UNKNOWN_PRESET,
    Reason.PORT_CLASH,
    Reason.NO_METRICS,
    Reason.UNKNOWN_PROVIDER,
}
_FAILED_START = {
    Reason.CRASH_LOOP,
    Reason.OUT_OF_MEMORY,
    Reason.IMAGE_NOT_PULLABLE,
    Reason.CONFIGURATION_MISSING,
    Reason.POD_REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    status: ConditionStatus
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What the conditions are worked out from: the world seen, the plan, and the intent after it."""

    observed: Observed
    plan: Plan
    intent: Intent
    outcomes: tuple[Outcome, ...] = field(default=())
    now: datetime

    @property
    def refusal(self) -> Outcome | None:
        return next((outcome for outcome in self.outcomes if outcome.refused), None)

    @property
    def asked(self) -> str | None:
        """The revision that the spec asks for."""
        desired = self.observed.desired
        return None if isinstance(desired, InvalidSpec) else desired.revision

    @property
    def serves_as_asked(self) -> bool:
        return self.intent.stable is not None and self.asked == self.intent.stable and self.intent.candidate is None

    @property
    def given_up(self) -> bool:
        aborted = self.intent.aborted
        return aborted is not None and aborted.revision == self.asked and self.intent.candidate is None

    @property
    def must_fix(self) -> Remark | None:
        """What only a person can mend before anything moves on."""
        if self.plan.reason in _MUST_FIX:
            return Remark(reason=self.plan.reason, message=self.plan.message)
        refusal = self.refusal
        if refusal is not None and refusal.refused in (Reason.CONFLICT, Reason.REFUSED):
            return Remark(reason=refusal.refused, message=refusal.message)
        return None

    @property
    def ending(self) -> Remark | None:
        """The namespace goes, and the ModelDeployment with it: told, and no problem of anybody's."""
        refusal = self.refusal
        if refusal is None or refusal.refused is not Reason.NAMESPACE_ENDING:
            return None
        return Remark(reason=refusal.refused, message=refusal.message)

    @property
    def failed_first(self) -> Remark | None:
        """Why the very first revision cannot serve: it stays, and heals if the world does."""
        intent = self.intent
        if intent.stable is not None or intent.candidate is None:
            return None
        snapshot = self.observed.snapshot(intent.candidate)
        trouble = trouble_of(self.observed, intent.candidate, self.now)
        late = (
            intent.preparing_since is not None
            and snapshot is not None
            and self.now - intent.preparing_since >= snapshot.ready_timeout
        )
        if trouble is not None and (late or trouble.reason in _FAILED_START):
            return trouble
        if not late:
            return None
        message = "Not ready within spec.runtime.readyTimeout. Raise it if the model needs longer to load."
        return Remark(reason=Reason.NOT_READY_IN_TIME, message=message)


def phase_of(seen: Circumstances) -> Phase:
    intent, plan = seen.intent, seen.plan
    if seen.must_fix is not None or seen.failed_first is not None:
        return Phase.DEGRADED
    if intent.stable is None:
        return Phase.DEPLOYING
    if intent.leaving:
        taken_back = intent.aborted is not None and intent.aborted.revision == intent.candidate
        return Phase.ROLLING_BACK if taken_back else Phase.PROGRESSING
    if intent.candidate is not None:
        if plan.reason in (Reason.PAUSED, Reason.WAITING_FOR_APPROVAL):
            return Phase.PAUSED
        return Phase.HOLDING if plan.reason is Reason.HOLDING else Phase.PROGRESSING
    if seen.given_up:
        return Phase.ROLLED_BACK
    if plan.reason is Reason.PAUSED:
        return Phase.PAUSED
    if not seen.serves_as_asked:
        return Phase.PROGRESSING
    return _phase_at_rest(seen)


def _phase_at_rest(seen: Circumstances) -> Phase:
    """Stable only when users are really served: the route accepted, a pod ready."""
    stable, traffic = seen.observed.workload(seen.intent.stable), _traffic_ready(seen)
    if stable is None or not stable.ready or traffic.reason in (Reason.ROUTE_NOT_ACCEPTED, Reason.ROUTER_UNAVAILABLE):
        return Phase.DEGRADED
    if traffic.status is TRUE:
        return Phase.STABLE
    return Phase.PROGRESSING if seen.intent.attempt > 1 else Phase.DEPLOYING


def findings(seen: Circumstances) -> dict[ConditionType, Finding]:
    traffic, available = _traffic_ready(seen), _available(seen)
    stalled = _stalled(seen, traffic)
    ready = _ready(seen, traffic, available, stalled)
    moving = ready.status is not TRUE and stalled.status is not TRUE
    reconciling = Finding(
        status=TRUE if moving else FALSE,
        reason=ready.reason,
        message=ready.message if moving else "Nothing is under way.",
    )
    return {
        ConditionType.READY: ready,
        ConditionType.AVAILABLE: available,
        ConditionType.PROGRESSING: _progressing(seen, moving=moving),
        ConditionType.RECONCILING: reconciling,
        ConditionType.STALLED: stalled,
        ConditionType.TRAFFIC_READY: traffic,
        ConditionType.ANALYSIS_HEALTHY: _analysis_healthy(seen),
        ConditionType.SCALING_ACTIVE: _scaling_active(seen),
    }


def _ready(seen: Circumstances, traffic: Finding, available: Finding, stalled: Finding) -> Finding:
    if stalled.status is TRUE:
        return Finding(status=FALSE, reason=stalled.reason, message=stalled.message)
    if seen.ending is not None:
        return Finding(status=FALSE, reason=seen.ending.reason, message=seen.ending.message)
    if not seen.serves_as_asked:
        return Finding(status=FALSE, reason=seen.plan.reason, message=seen.plan.message or seen.plan.reason.meaning)
    if available.status is not TRUE:
        return available
    if traffic.status is not TRUE:
        return Finding(status=FALSE, reason=traffic.reason, message=traffic.message)
    return Finding(status=TRUE, reason=Reason.STABLE, message=Reason.STABLE.meaning)


def _available(seen: Circumstances) -> Finding:
    serving = [seen.intent.stable]
    if seen.intent.weight:
        serving.append(seen.intent.candidate)
    workloads = map(seen.observed.workload, serving)
    if any(workload is not None and workload.ready for workload in workloads):
        return Finding(status=TRUE, reason=Reason.SERVING, message=Reason.SERVING.meaning)
    troubles = (trouble_of(seen.observed, revision, seen.now) for revision in serving)
    trouble = next((each for each in troubles if each), None)
    if seen.intent.stable is None:
        return Finding(status=FALSE, reason=Reason.NOTHING_SERVES, message=Reason.NOTHING_SERVES.meaning)
    message = f"{Reason.STABLE_LOST.meaning} {trouble.message if trouble else 'Look at `kubectl get pods`.'}"
    return Finding(status=FALSE, reason=Reason.STABLE_LOST, message=message)


def _progressing(seen: Circumstances, *, moving: bool) -> Finding:
    plan = seen.plan
    waits = plan.reason in (Reason.PAUSED, Reason.HOLDING, Reason.WAITING_FOR_APPROVAL)
    if moving and not waits:
        return Finding(status=TRUE, reason=plan.reason, message=plan.message or plan.reason.meaning)
    return Finding(status=FALSE, reason=plan.reason, message=plan.message or plan.reason.meaning)


def _stalled(seen: Circumstances, traffic: Finding) -> Finding:
    problem = seen.must_fix or seen.failed_first
    if problem is not None:
        return Finding(status=TRUE, reason=problem.reason, message=problem.message)
    if seen.given_up:
        assert seen.intent.aborted is not None
        return Finding(status=TRUE, reason=Reason.ROLLED_BACK, message=seen.intent.aborted.message)
    if traffic.reason in (Reason.ROUTE_NOT_ACCEPTED, Reason.ROUTER_UNAVAILABLE):
        return Finding(status=TRUE, reason=traffic.reason, message=traffic.message)
    return Finding(status=FALSE, reason=seen.plan.reason, message="Nothing stands in the way.")


def _traffic_ready(seen: Circumstances) -> Finding:
    route = seen.observed.route
    refusal = seen.refusal
    if refusal is not None and refusal.refused is Reason.ROUTER_UNAVAILABLE:
        return Finding(status=FALSE, reason=Reason.ROUTER_UNAVAILABLE, message=refusal.message)
    if not route.exists:
        return Finding(status=FALSE, reason=Reason.ROUTE_MISSING, message=Reason.ROUTE_MISSING.meaning)
    young = route.shifted_at is not None and seen.now - route.shifted_at < SETTLED_AFTER
    if route.accepted and young and seen.intent.candidate is None:
        message = "The gateway accepted the route; in a moment it has it in effect."
        return Finding(status=UNKNOWN, reason=Reason.SHIFTING_TRAFFIC, message=message)
    if route.accepted:
        return Finding(status=TRUE, reason=Reason.ROUTE_SETTLED, message=Reason.ROUTE_SETTLED.meaning)
    if route.problem is not None:
        return Finding(status=FALSE, reason=route.problem.reason, message=route.problem.message)
    if not route.answered and route.shifted_at is not None and seen.now - route.shifted_at >= UNANSWERED:
        message = (
            "No Gateway has answered for the route. Check that spec.traffic.gatewayAPI.parentRefs names a Gateway "
            "that exists and that lets routes of this namespace attach."
        )
        return Finding(status=FALSE, reason=Reason.ROUTE_NOT_ACCEPTED, message=message)
    message = "The route was written; the gateway has not accepted it yet."
    return Finding(status=UNKNOWN, reason=Reason.SHIFTING_TRAFFIC, message=message)


def _analysis_healthy(seen: Circumstances) -> Finding:
    judgement = seen.plan.judgement
    told = seen.plan.outlook
    if judgement is None and told is not None:
        return Finding(status=UNKNOWN, reason=told.reason, message=told.message)
    if judgement is None or seen.intent.candidate is None:
        return Finding(status=UNKNOWN, reason=Reason.NOT_ANALYSED, message=Reason.NOT_ANALYSED.meaning)
    status, reason = {
        Verdict.FAIL: (FALSE, Reason.REGRESSED),
        Verdict.PROVIDER_ERROR: (UNKNOWN, Reason.PROVIDER_ERROR),
        Verdict.NO_DATA: (UNKNOWN, Reason.NO_DATA),
        Verdict.LOW_SAMPLE: (UNKNOWN, Reason.LOW_SAMPLE),
        Verdict.PASS: (TRUE, Reason.PASSED),
    }[judgement.verdict]
    if reason is Reason.REGRESSED and judgement.observed:
        reason = Reason.WOULD_ROLL_BACK
    if judgement.reason == SERVICE_BURNING:
        status, reason = UNKNOWN, Reason.SERVICE_BURNING
    evidence = seen.observed.evidence
    faults: Iterable[str] = (fault.message for _, fault in evidence.faults) if evidence is not None else ()
    cause = next(iter(faults), "") if reason is Reason.PROVIDER_ERROR else ""
    return Finding(status=status, reason=reason, message=f"{reason.meaning} {cause}".strip())


def _scaling_active(seen: Circumstances) -> Finding:
    for name in (seen.intent.stable, seen.intent.candidate):
        workload = seen.observed.workload(name)
        if workload is not None and workload.autoscaler is not None and workload.autoscaler.blind is not None:
            blind = workload.autoscaler.blind
            return Finding(status=FALSE, reason=blind.reason, message=blind.message)
    return Finding(status=TRUE, reason=Reason.SCALING_AS_ASKED, message=Reason.SCALING_AS_ASKED.meaning)
