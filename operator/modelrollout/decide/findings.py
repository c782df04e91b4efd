"""What is reported with a judgement: verdict per metric, figures, flags, the share really seen. Pure.

The judge has decided already; nothing here changes an action.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from modelrollout.decide import explain, mixture
from modelrollout.decide.standing import MetricStanding, Standing, log_evidence_of, test_name
from modelrollout.domain.analysis import (
    BAD,
    LATENCY,
    NO_REQUESTS,
    REQUESTS,
    Action,
    AnalysisSettings,
    Figures,
    Judgement,
    Kind,
    MetricVerdict,
    Mode,
    Verdict,
)
from modelrollout.domain.evidence import Evidence

MISMATCHED_BLOCKS = 3
MISSING_SCRAPES = 2
SHARE_BLOCKS = 5
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    action: Action
    reason: str
    hold_since: float | None
    expired: bool
    """Held longer than holdTimeout: a person has to decide."""


def uncompared(evidence: Evidence, guardrail: str | None) -> Judgement:
    """At 0 or 100 %, or with analysis off: only a guardrail can speak."""
    action, reason = (Action.ROLLBACK, f"guardrail:{guardrail}") if guardrail else (Action.CONTINUE, "")
    return Judgement(
        action=action,
        reason=reason,
        verdict=Verdict.FAIL if guardrail else Verdict.LOW_SAMPLE,
        verdicts=(),
        culprit="",
        sentence=explain.uncompared(action, reason, evidence.weight),
    )


def reported(evidence: Evidence, settings: AnalysisSettings, reading: Reading, ruling: Ruling) -> Judgement:
    """The ruling with everything a person needs to follow it."""
    verdicts = tuple(_verdict(evidence, settings, reading, row) for row in reading.stands.metrics)
    culprit = _culprit(evidence, reading.stands)
    figures = _figures(evidence, settings, reading.stands, culprit, ruling) if culprit else None
    cause = ""
    if ruling.reason == "noData":
        cause = "providerError" if evidence.faults else ("metricMissing" if evidence.missing_scrapes else "")
    told = explain.Told(
        action=ruling.action,
        reason=ruling.reason,
        cause=cause,
        weight=evidence.weight,
        figures=figures,
        since_data=reading.since_data,
        n_canary=reading.n_canary,
        expired=ruling.expired,
    )
    return Judgement(
        action=ruling.action,
        reason=ruling.reason,
        verdict=_combined(verdicts, reading),
        verdicts=verdicts,
        culprit=culprit.metric.name if culprit else "",
        cause=cause,
        figures=figures,
        hold_since=ruling.hold_since,
        flags=_flags(evidence),
        sentence=explain.sentence(told, settings),
        observed=settings.mode is Mode.OBSERVE,
    )


def _culprit(evidence: Evidence, stands: Standing) -> MetricStanding | None:
    if evidence.block_seq == 0:
        return None
    if evidence.regression is None:
        return stands.culprit
    named = evidence.regression.metric
    return next((row for row in stands.metrics if row.metric.name == named), stands.culprit)


def _flags(evidence: Evidence) -> tuple[str, ...]:
    unsuitable = tuple(
        f"HistogramUnsuitable:{m.name}" for m in evidence.metrics if m.kind is Kind.HISTOGRAM and m.edges == ()
    )
    unsound = tuple(f"UnsoundCounts:{m.name}" for m in evidence.metrics if m.unsound_blocks)
    split = ("TrafficSplitMismatch",) if evidence.off_split >= MISMATCHED_BLOCKS else ()
    return unsuitable + unsound + split


def _verdict(evidence: Evidence, settings: AnalysisSettings, reading: Reading, row: MetricStanding) -> MetricVerdict:
    name = row.metric.name
    asked = {REQUESTS, BAD} if row.metric.kind is Kind.RATIO else {REQUESTS, LATENCY}
    found = evidence.regression is not None and evidence.regression.metric == name
    suspicious = reading.log_evidence >= mixture.log_limit(1 / settings.suspicious)
    if found:
        return MetricVerdict(metric=name, verdict=Verdict.FAIL, reason="regression")
    failed = next((fault for query, fault in evidence.faults if query in asked), None)
    if failed is not None:
        return MetricVerdict(metric=name, verdict=Verdict.PROVIDER_ERROR, reason=str(failed.kind))
    if evidence.missing_scrapes >= MISSING_SCRAPES:
        return MetricVerdict(metric=name, verdict=Verdict.NO_DATA, reason="metricMissing")
    if reading.since_data >= settings.no_data_timeout.total_seconds():
        return MetricVerdict(metric=name, verdict=Verdict.NO_DATA, reason="noData")
    if reading.n_canary < settings.min_requests:
        return MetricVerdict(metric=name, verdict=Verdict.LOW_SAMPLE, reason="fewRequests")
    if suspicious:
        return MetricVerdict(metric=name, verdict=Verdict.LOW_SAMPLE, reason="suspicious")
    if row.metric.tests and all(test.proven for test in row.metric.tests):
        return MetricVerdict(metric=name, verdict=Verdict.PASS, reason="proven")
    if row.metric.kind is Kind.HISTOGRAM and not row.metric.tests and not row.metric.profile:
        return MetricVerdict(metric=name, verdict=Verdict.LOW_SAMPLE, reason="noHistogram")
    return MetricVerdict(metric=name, verdict=Verdict.LOW_SAMPLE, reason="notProven")


def _combined(verdicts: tuple[MetricVerdict, ...], reading: Reading) -> Verdict:
    """The topmost; a metric that no advance waits for counts only when it fails."""
    if reading.guardrail is not None:
        return Verdict.FAIL
    counted = [
        v.verdict
        for v, row in zip(verdicts, reading.stands.metrics, strict=True)
        if row.settings.required_for_advance or v.verdict is Verdict.FAIL
    ]
    return min(counted, key=_ORDER.index, default=Verdict.LOW_SAMPLE)


def _figures(
    evidence: Evidence, settings: AnalysisSettings, stands: Standing, row: MetricStanding, ruling: Ruling
) -> Figures | None:
    """The loudest test's numbers: of the whole rollout for a rollback, else of the step."""
    test = row.loudest
    whole = ruling.action is Action.ROLLBACK
    edge = test.edge if test else None
    counts = (test.rollout if whole else test.step) if test else NO_REQUESTS
    stable = counts.x_stable / counts.n_stable if counts.n_stable > 0 else None
    margin = row.settings.non_inferiority if ruling.reason == "proven" else row.settings.regression
    query = dict(evidence.queries).get(LATENCY if row.metric.kind is Kind.HISTOGRAM else REQUESTS, "")
    end = evidence.recent[-1].end if evidence.recent else evidence.step_at
    # What weighed in the decision is the rollout's evidence; one metric's own may be larger or smaller.
    log_evidence = stands.log_evidence
    if evidence.regression is not None and whole:
        log_evidence = max(log_evidence, evidence.regression.log_evidence)
    return Figures(
        metric=row.metric.name,
        edge=edge,
        value=counts.x_canary / counts.n_canary if counts.n_canary > 0 else None,
        stable_value=stable,
        threshold=None if stable is None else margin.ratio * stable + margin.absolute,
        counts=counts,
        span=max(0.0, end - (evidence.started_at if whole else evidence.step_at)),
        log_evidence=log_evidence,
        log_limit=mixture.log_limit(settings.alpha),
        query=query,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The candidate's part of the traffic as the metrics show it."""

    share: float
    requests: float


def share_seen(evidence: Evidence) -> Share | None:
    """Measured over the last blocks at this weight; None while there was no traffic."""
    mine = [b for b in evidence.recent if b.start >= evidence.step_at and b.weight == evidence.weight]
    tally = sum((b.errors for b in mine[-SHARE_BLOCKS:]), NO_REQUESTS)
    total = tally.n_canary + tally.n_stable
    return Share(share=tally.n_canary / total, requests=total) if total > 0 else None


def log_evidence_by_test(evidence: Evidence) -> dict[str, float]:
    """Log evidence per test, for status."""
    return {test_name(m, t): log_evidence_of(evidence, t) for m in evidence.metrics for t in m.tests}
