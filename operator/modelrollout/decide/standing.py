"""Where a rollout stands: the evidence of all tests combined into one number and one culprit.

The mean over metrics is valid under any dependence between them; so is the mean over a
histogram's edges. Pure.
"""

from dataclasses import dataclass
from math import inf

from modelrollout.decide import gauges, intervals, mixture
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence, MetricEvidence, TestEvidence
from modelrollout.domain.metrics import Kind, MetricSettings

INTERVAL_ALPHA = 0.05
"""Of intervals in reports: 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricStanding:
    settings: MetricSettings
    metric: MetricEvidence
    log_evidence: float
    loudest: TestEvidence | None
    """The test that speaks loudest against the candidate: the edge of a histogram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    log_evidence: float
    metrics: tuple[MetricStanding, ...]
    culprit: MetricStanding | None

    @property
    def bad_canary(self) -> float:
        test = self.culprit.loudest if self.culprit else None
        return test.rollout.x_canary if test else 0.0


def standing(evidence: Evidence, settings: AnalysisSettings) -> Standing:
    """Combine: parts into tests, edges into metrics, metrics into the rollout; gauges have no part in it."""
    rows = tuple(
        _metric(evidence, metric, wanted)
        for metric, wanted in zip(evidence.metrics, settings.metrics, strict=True)
        if wanted.is_counted
    )
    if not rows:
        return Standing(log_evidence=0.0, metrics=(), culprit=None)
    log_evidence, culprit = mixture.log_average([row.log_evidence for row in rows], settings.weights())
    return Standing(log_evidence=log_evidence, metrics=rows, culprit=rows[culprit])


def log_evidence_of(evidence: Evidence, test: TestEvidence) -> float:
    if not test.parts:
        return 0.0  # no step has begun
    parts = [mixture.log_mixture(mixture.REGRESSION, part) for part in test.parts]
    return mixture.log_restart(parts, evidence.planned_parts, evidence.parts_started)


def _metric(evidence: Evidence, metric: MetricEvidence, wanted: MetricSettings) -> MetricStanding:
    log_evidence, loudest = loudest_of(evidence, metric)
    return MetricStanding(settings=wanted, metric=metric, log_evidence=log_evidence, loudest=loudest)


def loudest_of(evidence: Evidence, metric: MetricEvidence) -> tuple[float, TestEvidence | None]:
    """The metric's log evidence, and the test that speaks loudest against the candidate."""
    scores = [(log_evidence_of(evidence, test), test) for test in metric.tests]
    if not scores:
        return 0.0, None
    mean, _ = mixture.log_average([score for score, _ in scores], [1.0] * len(scores))
    return mean, max(scores, key=lambda each: each[0])[1]


def ratio_interval(test: TestEvidence) -> tuple[float, float] | None:
    """Where canary's true rate over stable's lies; None where every ratio is possible."""
    if not test.interval:
        return None
    found = intervals.ratio_interval(test.interval, alpha=INTERVAL_ALPHA)
    return None if (found.low, found.high) == (0.0, inf) else (found.low, found.high)


def test_name(metric: MetricEvidence, test: TestEvidence) -> str:
    """`errors`, `latency@0.25`: each edge is its own entry of the judge."""
    return metric.name if test.edge is None else f"{metric.name}@{test.edge:g}"


def proofs(evidence: Evidence, settings: AnalysisSettings) -> dict[str, tuple[float, bool]]:
    """(ln E, proven in this step) per required test; a required histogram without edges is never proven."""
    found: dict[str, tuple[float, bool]] = {}
    for metric, wanted in zip(evidence.metrics, settings.metrics, strict=True):
        if not wanted.required_for_advance or not wanted.is_counted:
            continue
        if metric.kind is Kind.HISTOGRAM and not metric.tests:
            found[metric.name] = (-inf, False)
        for test in metric.tests:
            found[test_name(metric, test)] = (mixture.log_mixture(mixture.NON_INFERIORITY, test.proof), test.proven)
    return found


def worse_gauges(evidence: Evidence, settings: AnalysisSettings) -> tuple[str, ...]:
    """Gauges by which the candidate looks so bad that nothing may advance."""
    limit = mixture.log_limit(1 / settings.suspicious)
    return tuple(
        metric.name
        for metric, wanted in zip(evidence.metrics, settings.metrics, strict=True)
        if metric.gauge is not None and wanted.required_for_advance and gauges.log_sign(metric.gauge.products) >= limit
    )
