"""From evidence to an action: an ordered list, the first match wins. Pure.

Hold keeps the weight and goes on testing. Missing, stale or failing metrics never advance and
never roll back. A regression once found stays found, and so does a guardrail.
"""

from dataclasses import replace
from datetime import timedelta

from modelrollout.decide import findings, limits, mixture, service_burn
from modelrollout.decide.budget import is_overspent
from modelrollout.decide.evidence import is_compared, period
from modelrollout.decide.findings import MISMATCHED_BLOCKS, MISSING_SCRAPES, Reading, Ruling
from modelrollout.decide.preview import preview
from modelrollout.decide.standing import proofs, standing, worse_gauges
from modelrollout.domain.analysis import AnalysisSettings, OnHoldTimeout, OnInconclusive, StepTiming
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.judgement import Action, Judgement

STABLE_UNHEALTHY = "stableUnhealthy"
BUDGET_SPENT = "budgetSpent"
SERVICE_BURNING = "serviceBurning"
NEVER_BY_TIMEOUT = ("noData", "insufficientTraffic", "routeNotAccepted", "trafficSplitMismatch", SERVICE_BURNING)


def decide(reading: Reading, settings: AnalysisSettings, timing: StepTiming) -> tuple[Action, str]:
    """The table of verdicts, in its order: the first match wins."""
    least, deadline = timing.min_duration.total_seconds(), timing.deadline.total_seconds()
    suspicious = reading.log_evidence >= mixture.log_limit(1 / settings.suspicious) or bool(reading.worse_gauges)
    regressed = reading.log_evidence >= mixture.log_limit(settings.alpha) and reading.bad_canary >= settings.min_bad
    all_proven = bool(reading.proven) and all(reading.proven.values())
    if reading.guardrail is not None:
        return Action.ROLLBACK, f"guardrail:{reading.guardrail}"
    if regressed:
        return Action.ROLLBACK, "regression"
    if reading.since_data >= settings.no_data_timeout.total_seconds():
        return Action.HOLD, "noData"
    if reading.t >= least and all_proven and not suspicious and reading.data_ok:
        return Action.ADVANCE, "proven"
    if reading.t < deadline:
        return Action.CONTINUE, ""
    if reading.n_canary < settings.min_requests:
        return Action.HOLD, "insufficientTraffic"
    if suspicious:
        return Action.HOLD, "suspicious"
    if not reading.data_ok:
        return Action.HOLD, "noData"
    return {
        OnInconclusive.ADVANCE: (Action.ADVANCE, "deadline"),
        OnInconclusive.HOLD: (Action.HOLD, "inconclusive"),
        OnInconclusive.ROLLBACK: (Action.ROLLBACK, "inconclusive"),
    }[settings.on_inconclusive]


def judge(
    evidence: Evidence,
    settings: AnalysisSettings,
    timing: StepTiming,
    now: float,
    *,
    guardrail: str | None = None,
    shifted: bool,
    paused: timedelta = timedelta(0),
    lag: float = 0.0,
) -> Judgement:
    """What to do now. `shifted`: the route is seen accepted; `paused`: time of the step that does not count.

    `lag`: seconds by which the metrics are always late, so that their age says nothing.
    """
    fired = evidence.guardrail
    guardrail = fired.name if guardrail is None and fired is not None else guardrail
    if not is_compared(evidence, settings):
        return findings.uncompared(evidence, settings, guardrail)
    reading = _reading(evidence, settings, now, guardrail, paused=paused, lag=lag)
    reading = replace(reading, ahead=preview(evidence, settings, timing))
    action, reason = _ruled(evidence, reading, settings, timing, shifted=shifted)
    hold_since = _hold_since(evidence, settings, timing, reading, now) if action is Action.HOLD else None
    expired = hold_since is not None and _held(evidence, hold_since, now) >= settings.hold_timeout.total_seconds()
    by_timeout = settings.on_hold_timeout is OnHoldTimeout.ROLLBACK and reading.data_ok
    if expired and by_timeout and reason not in NEVER_BY_TIMEOUT:
        action, reason, hold_since = Action.ROLLBACK, "holdTimeout", None
    ruling = Ruling(action=action, reason=reason, hold_since=hold_since, expired=expired)
    return findings.reported(evidence, settings, reading, ruling)


def _ruled(
    evidence: Evidence, reading: Reading, settings: AnalysisSettings, timing: StepTiming, *, shifted: bool
) -> tuple[Action, str]:
    """The table's answer, with what only the engine knows: latches, stable's own health, what an advance waits for."""
    action, reason = decide(reading, settings, timing)
    if reading.guardrail is not None:
        return action, reason
    if evidence.regression is not None or reason == "regression":
        return Action.ROLLBACK, "regression"
    if limits.excused(evidence) is not None:
        return Action.HOLD, STABLE_UNHEALTHY
    if is_overspent(evidence, settings):
        return Action.HOLD, BUDGET_SPENT
    if action is Action.ADVANCE:
        action, reason = _guarded(evidence, reading, settings, timing, reason, shifted=shifted)
    elif action is Action.CONTINUE and evidence.missing_scrapes >= MISSING_SCRAPES:
        return Action.HOLD, "noData"
    if action in (Action.CONTINUE, Action.ADVANCE) and reading.service is not None:
        return Action.HOLD, SERVICE_BURNING
    return action, reason


def _reading(
    evidence: Evidence, settings: AnalysisSettings, now: float, guardrail: str | None, *, paused: timedelta, lag: float
) -> Reading:
    stands = standing(evidence, settings)
    t = max(0.0, now - evidence.step_at - paused.total_seconds())
    last = evidence.step_at if evidence.last_eval is None else evidence.last_eval
    recent = now - lag - last <= max(15.0, 3 * period(evidence, settings))
    return Reading(
        stands=stands,
        t=t,
        since_data=min(t, max(0.0, now - lag - evidence.last_data_at)),
        log_evidence=stands.log_evidence,
        bad_canary=stands.bad_canary,
        n_canary=evidence.step_requests.n_canary,
        proven={name: proven for name, (_, proven) in proofs(evidence, settings).items()},
        guardrail=guardrail,
        data_ok=evidence.data_ok and recent,
        worse_gauges=worse_gauges(evidence, settings),
        service=service_burn.burning(evidence, settings, now),
        service_unknown=bool(service_burn.unknown(evidence, settings, now)),
    )


def _guarded(
    evidence: Evidence, reading: Reading, settings: AnalysisSettings, timing: StepTiming, reason: str, *, shifted: bool
) -> tuple[Action, str]:
    """An advance that has to wait: before the deadline go on, after it hold and say why."""
    blocked = "" if shifted else "routeNotAccepted"
    if shifted and evidence.off_split >= MISMATCHED_BLOCKS:
        blocked = "trafficSplitMismatch"
    if blocked:
        late = reading.t >= timing.deadline.total_seconds()
        return (Action.HOLD if late else Action.CONTINUE), blocked
    slowest = max((max(m.edges) for m in evidence.metrics if m.edges), default=0.0)
    if reason == "proven" and reading.t < 2 * slowest:
        return Action.CONTINUE, ""  # slow requests are recorded on completion: their proof would be too early
    if reason == "proven" and findings.is_piling(evidence):
        action, otherwise = decide(replace(reading, proven={}), settings, timing)  # as if it were not proven
        return action, otherwise or "inFlightPiling"
    return Action.ADVANCE, reason


def _hold_since(
    evidence: Evidence, settings: AnalysisSettings, timing: StepTiming, reading: Reading, now: float
) -> float:
    """When holding began: what began it is known, so nothing has to be remembered."""
    began = [now]
    if reading.t >= timing.deadline.total_seconds():
        began.append(now - (reading.t - timing.deadline.total_seconds()))
    timeout = settings.no_data_timeout.total_seconds()
    if reading.since_data >= timeout:
        began.append(now - (reading.since_data - timeout))
    beside = limits.excused(evidence)
    if beside is not None and beside.excused_at is not None:
        began.append(max(evidence.step_at, beside.excused_at))
    if evidence.missing_scrapes >= MISSING_SCRAPES:
        began.append(max(evidence.step_at, evidence.last_data_at))
    if reading.service is not None and evidence.service is not None and evidence.service.burning_since is not None:
        began.append(max(evidence.step_at, evidence.service.burning_since))
    return min(began)


def _held(evidence: Evidence, since: float, now: float) -> float:
    """Seconds of holding; time without a provider does not count."""
    running = now - evidence.fault_since if evidence.fault_since is not None else 0.0
    return now - since - evidence.fault_seconds - max(0.0, running)
