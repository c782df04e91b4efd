"""What is reported with a judgement: verdict per metric, figures, flags, the share really seen. Pure.

The judge has decided already; nothing here changes an action.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from modelrollout.decide import explain, figures, limits, mixture, service_burn
from modelrollout.decide.burn import Burning
from modelrollout.decide.preview import Preview
from modelrollout.decide.standing import MetricStanding, Standing
from modelrollout.domain.analysis import AnalysisSettings, Mode
from modelrollout.domain.evidence import Evidence, MetricEvidence
from modelrollout.domain.judgement import Action, Judgement, MetricVerdict, Verdict
from modelrollout.domain.metrics import Kind
from modelrollout.domain.polls import REQUESTS, ProviderFault
from modelrollout.domain.safeguards import Estimate
from modelrollout.domain.tally import NO_REQUESTS, Block

MISMATCHED_BLOCKS = 3
MISSING_SCRAPES = 2
SHARE_BLOCKS = 5
CONFOUNDING_LOAD = 1.5
PILING = 2.0
"""Times stable's requests in flight per answered one, from which on proof is too early."""
LEAST_IN_FLIGHT = 5.0
"""Of the candidate, over about five blocks: less than one at a time is chance."""
RESTARTED = "EvidenceRestarted"
_ORDER = (Verdict.FAIL, Verdict.PROVIDER_ERROR, Verdict.NO_DATA, Verdict.LOW_SAMPLE, Verdict.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one call of the judge looks at; latches are already in it."""

    t: float
    """Seconds since the weight took effect, pauses left out."""
    since_data: float
    log_evidence: float
    bad_canary: float
    n_canary: float
    proven: Mapping[str, bool]
    guardrail: str | None
    data_ok: bool
    stands: Standing
    worse_gauges: tuple[str, ...] = ()
    """That keep everything from advancing."""
    ahead: Preview | None = None
    service: Burning | None = None
    """All revisions together spend the error budget too fast."""
    service_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    action: Action
    reason: str
    hold_since: float | None
    expired: bool
    """Held longer than holdTimeout: a person has to decide."""


def uncompared(evidence: Evidence, settings: AnalysisSettings, guardrail: str | None) -> Judgement:
    """At 0 or 100 %, or with analysis off: only a guardrail can speak."""
    action, reason = (Action.ROLLBACK, f"guardrail:{guardrail}") if guardrail else (Action.CONTINUE, "")
    told_of = figures.of_limit(evidence, settings)
    told = explain.Told(
        action=action,
        reason=reason,
        cause="",
        weight=evidence.weight,
        figures=told_of,
        latest=latest(evidence),
        beyond=figures.beyond(evidence, settings),
        preview=None,
        burn=evidence.guardrail.value if evidence.guardrail else None,
        since_data=0.0,
        n_canary=evidence.step_requests.n_canary,
        expired=False,
    )
    return Judgement(
        action=action,
        reason=reason,
        verdict=Verdict.FAIL if guardrail else Verdict.LOW_SAMPLE,
        verdicts=(),
        culprit=evidence.guardrail.metric if evidence.guardrail else "",
        figures=told_of,
        observed=settings.mode is Mode.OBSERVE,
        sentence=explain.sentence(told, settings) if guardrail else explain.uncompared(evidence.weight),
    )


def replayed(evidence: Evidence, settings: AnalysisSettings) -> Judgement:
    """While lost evidence is gathered again: nothing, and a hold where the metrics do not answer."""
    failed = bool(evidence.faults)
    return Judgement(
        action=Action.HOLD if failed else Action.CONTINUE,
        reason="noData" if failed else "",
        cause="providerError" if failed else "",
        verdict=Verdict.PROVIDER_ERROR if failed else Verdict.LOW_SAMPLE,
        verdicts=(),
        culprit="",
        observed=settings.mode is Mode.OBSERVE,
        sentence=explain.REPLAYED,
    )


def reported(evidence: Evidence, settings: AnalysisSettings, reading: Reading, ruling: Ruling) -> Judgement:
    """The ruling with everything a person needs to follow it."""
    counted = tuple(_verdict(evidence, settings, reading, row) for row in reading.stands.metrics)
    gauged = tuple(_gauge_verdict(evidence, m, reading) for m in evidence.metrics if m.kind is Kind.GAUGE)
    culprit = _culprit(evidence, reading.stands)
    told_of = figures.of_limit(evidence, settings)
    if told_of is None and culprit is not None:
        whole = ruling.action is Action.ROLLBACK
        told_of = figures.of_test(evidence, settings, reading.stands, culprit, whole=whole, reason=ruling.reason)
    cause = ""
    if ruling.reason == "noData":
        cause = "providerError" if evidence.faults else ("metricMissing" if evidence.missing_scrapes else "")
    told = explain.Told(
        action=ruling.action,
        reason=ruling.reason,
        cause=cause,
        weight=evidence.weight,
        figures=told_of,
        latest=latest(evidence),
        beyond=figures.beyond(evidence, settings),
        preview=reading.ahead,
        burn=evidence.guardrail.value if evidence.guardrail else None,
        service=reading.service,
        since_data=reading.since_data,
        n_canary=reading.n_canary,
        expired=ruling.expired,
    )
    return Judgement(
        action=ruling.action,
        reason=ruling.reason,
        verdict=_combined(counted, reading),
        verdicts=counted + gauged,
        culprit=culprit.metric.name if culprit else "",
        cause=cause,
        figures=told_of,
        hold_since=ruling.hold_since,
        flags=_flags(evidence, settings, reading),
        sentence=explain.sentence(told, settings) + _restarted(evidence),
        observed=settings.mode is Mode.OBSERVE,
    )


def _restarted(evidence: Evidence) -> str:
    """Said in the step in which it was."""
    here = evidence.restarted_at is not None and evidence.restarted_at >= evidence.step_at
    return f" {explain.RESTARTED}" if here else ""


def latest(evidence: Evidence) -> explain.Latest:
    """Requests and errors of the last blocks at this weight."""
    mine = _blocks_at_this_weight(evidence)
    errors = sum((block.errors for block in mine), NO_REQUESTS)
    return explain.Latest(errors=errors, span=mine[-1].end - mine[0].start if mine else 0.0)


def _blocks_at_this_weight(evidence: Evidence) -> list[Block]:
    return [b for b in evidence.recent if b.start >= evidence.step_at and b.weight == evidence.weight]


def _culprit(evidence: Evidence, stands: Standing) -> MetricStanding | None:
    if evidence.block_seq == 0:
        return None
    found = evidence.regression or evidence.guardrail or limits.excused(evidence)
    if found is None:
        return stands.culprit
    return next((row for row in stands.metrics if row.metric.name == found.metric), stands.culprit)


def _flags(evidence: Evidence, settings: AnalysisSettings, reading: Reading) -> tuple[str, ...]:
    unsuitable = tuple(
        f"HistogramUnsuitable:{m.name}" for m in evidence.metrics if m.kind is Kind.HISTOGRAM and m.edges == ()
    )
    unsound = tuple(f"UnsoundCounts:{m.name}" for m in evidence.metrics if m.unsound_blocks)
    split = ("TrafficSplitMismatch",) if evidence.off_split >= MISMATCHED_BLOCKS else ()
    auto = settings.overdispersion.mode is Estimate.AUTO
    scatters = [test.scatter for metric in evidence.metrics for test in metric.tests]
    scatters += [each.scatter for each in evidence.limits if each.edge is not None]
    guessed = auto and any(not scatter.known for scatter in scatters)
    dispersion = ("DispersionUnknown",) if guessed else ()
    confounded = ("LatencyConfounded",) if _is_confounded(evidence, settings) else ()
    gauges = tuple(f"GaugeWorse:{name}" for name in reading.worse_gauges)
    short = ("StepTooShort",) if reading.ahead and not reading.ahead.fits else ()
    piling = ("InFlightPiling",) if is_piling(evidence) else ()
    restarted = (RESTARTED,) if evidence.restarted_at is not None else ()
    service = (service_burn.UNKNOWN,) if reading.service_unknown else ()
    return unsuitable + unsound + split + confounded + piling + dispersion + restarted + gauges + short + service


def is_piling(evidence: Evidence) -> bool:
    """Whether the candidate leaves so many requests unanswered that those it answered do not tell how quick it is."""
    seen = evidence.in_flight
    if min(seen.n_canary, seen.n_stable) <= 0 or seen.x_canary < LEAST_IN_FLIGHT:
        return False
    return seen.x_canary / seen.n_canary > PILING * seen.x_stable / seen.n_stable


def _is_confounded(evidence: Evidence, settings: AnalysisSettings) -> bool:
    """Whether pods of one arm are so much busier that latency compares load, not models."""
    canary, stable = evidence.pod_load
    latency = any(m.kind is Kind.HISTOGRAM for m in evidence.metrics)
    enough = evidence.step_requests.n_canary >= settings.min_requests and stable > 0
    return latency and enough and max(canary, stable) > CONFOUNDING_LOAD * min(canary, stable)


def _verdict(evidence: Evidence, settings: AnalysisSettings, reading: Reading, row: MetricStanding) -> MetricVerdict:
    name = row.metric.name
    found = evidence.regression is not None and evidence.regression.metric == name
    suspicious = reading.log_evidence >= mixture.log_limit(1 / settings.suspicious)
    if found:
        return MetricVerdict(metric=name, verdict=Verdict.FAIL, reason="regression")
    if evidence.guardrail is not None and evidence.guardrail.metric == name:
        return MetricVerdict(metric=name, verdict=Verdict.FAIL, reason=f"guardrail:{evidence.guardrail.name}")
    failed = _fault(evidence, name)
    if failed is not None:
        return MetricVerdict(metric=name, verdict=Verdict.PROVIDER_ERROR, reason=str(failed.kind))
    if evidence.missing_scrapes >= MISSING_SCRAPES:
        return MetricVerdict(metric=name, verdict=Verdict.NO_DATA, reason="metricMissing")
    if reading.since_data >= settings.no_data_timeout.total_seconds():
        return MetricVerdict(metric=name, verdict=Verdict.NO_DATA, reason="noData")
    if row.settings.signal is not None and reading.t >= settings.no_data_timeout.total_seconds() and _is_silent(row):
        return MetricVerdict(metric=name, verdict=Verdict.NO_DATA, reason="noData")
    if any(each.excused_at is not None and each.metric == name for each in evidence.limits):
        return MetricVerdict(metric=name, verdict=Verdict.LOW_SAMPLE, reason="stableUnhealthy")
    if reading.n_canary < settings.min_requests:
        return MetricVerdict(metric=name, verdict=Verdict.LOW_SAMPLE, reason="fewRequests")
    if suspicious:
        return MetricVerdict(metric=name, verdict=Verdict.LOW_SAMPLE, reason="suspicious")
    if row.metric.tests and all(test.proven for test in row.metric.tests):
        return MetricVerdict(metric=name, verdict=Verdict.PASS, reason="proven")
    if row.metric.kind is Kind.HISTOGRAM and not row.metric.tests and not row.metric.profile:
        return MetricVerdict(metric=name, verdict=Verdict.LOW_SAMPLE, reason="noHistogram")
    return MetricVerdict(metric=name, verdict=Verdict.LOW_SAMPLE, reason="notProven")


def _fault(evidence: Evidence, metric: str) -> ProviderFault | None:
    """What failed of its own queries, or of those that count all requests."""
    mine = {metric, REQUESTS}
    return next((fault for query, fault in evidence.faults if query.partition("/")[0] in mine), None)


def _is_silent(row: MetricStanding) -> bool:
    """Whether a metric of the user's own has counted nothing of the candidate in this step."""
    tests = row.metric.tests
    return bool(tests) and all(test.step.n_canary == 0 for test in tests)


def _gauge_verdict(evidence: Evidence, metric: MetricEvidence, reading: Reading) -> MetricVerdict:
    """A gauge is never proven: at best it does not stand in the way."""
    failed = _fault(evidence, metric.name)
    if failed is not None:
        return MetricVerdict(metric=metric.name, verdict=Verdict.PROVIDER_ERROR, reason=str(failed.kind))
    if metric.gauge is None:
        return MetricVerdict(metric=metric.name, verdict=Verdict.NO_DATA, reason="noData")
    suspicious = metric.name in reading.worse_gauges
    reason = "suspicious" if suspicious else "notSuspicious"
    return MetricVerdict(metric=metric.name, verdict=Verdict.LOW_SAMPLE, reason=reason)


def _combined(verdicts: tuple[MetricVerdict, ...], reading: Reading) -> Verdict:
    """The topmost; a metric that no advance waits for counts only when it fails."""
    if reading.guardrail is not None:
        return Verdict.FAIL
    counted = [
        v.verdict
        for v, row in zip(verdicts, reading.stands.metrics, strict=True)
        if row.settings.required_for_advance or v.verdict is Verdict.FAIL
    ]
    if reading.worse_gauges:
        counted.append(Verdict.LOW_SAMPLE)
    return min(counted, key=_ORDER.index, default=Verdict.LOW_SAMPLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The candidate's part of the traffic as the metrics show it."""

    share: float
    requests: float


def share_seen(evidence: Evidence) -> Share | None:
    """Measured over the last blocks at this weight; None while there was no traffic."""
    tally = sum((b.errors for b in _blocks_at_this_weight(evidence)[-SHARE_BLOCKS:]), NO_REQUESTS)
    total = tally.n_canary + tally.n_stable
    return Share(share=tally.n_canary / total, requests=total) if total > 0 else None
