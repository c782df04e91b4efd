"""The numbers that a judgement rests on, for the decision's entry and the sentence. Pure."""

from modelrollout.decide import explain, limits, mixture
from modelrollout.decide.growth import margin_of
from modelrollout.decide.standing import MetricStanding, Standing, ratio_interval
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence, LimitEvidence
from modelrollout.domain.judgement import Figures
from modelrollout.domain.metrics import ERRORS
from modelrollout.domain.polls import REQUESTS
from modelrollout.domain.tally import NO_REQUESTS


def of_test(
    evidence: Evidence, settings: AnalysisSettings, stands: Standing, row: MetricStanding, *, whole: bool, reason: str
) -> Figures:
    """The loudest test's numbers, of the whole rollout or of the step."""
    test = row.loudest
    edge = test.edge if test else None
    counts = (test.rollout if whole else test.step) if test else NO_REQUESTS
    stable = _rate(counts.x_stable, counts.n_stable)
    margin = margin_of(test, row.settings) if test else row.settings.regression
    if reason == "proven":
        margin = row.settings.non_inferiority
    # What weighed in the decision is the rollout's evidence; one metric's own may be larger or smaller.
    log_evidence = stands.log_evidence
    if evidence.regression is not None and whole:
        log_evidence = max(log_evidence, evidence.regression.log_evidence)
    return Figures(
        metric=row.metric.name,
        edge=edge,
        value=_rate(counts.x_canary, counts.n_canary),
        stable_value=stable,
        threshold=None if stable is None else margin.ratio * stable + margin.absolute,
        counts=counts,
        span=_span(evidence, evidence.started_at if whole else evidence.step_at),
        log_evidence=log_evidence,
        log_limit=mixture.log_limit(settings.alpha),
        query=_query(evidence, row.metric.name),
        interval=ratio_interval(test) if test and whole else None,
    )


def of_limit(evidence: Evidence, settings: AnalysisSettings) -> Figures | None:
    """Of the limit that took the candidate back, in the whole rollout; None: none did."""
    found, fired = limits.broken(evidence), evidence.guardrail
    if found is None or fired is None:
        return None
    counts = found.rollout
    return Figures(
        metric=found.metric,
        edge=found.edge,
        value=_rate(counts.x_canary, counts.n_canary),
        stable_value=_rate(counts.x_stable, counts.n_stable),
        threshold=_allowed(found, settings),
        counts=counts,
        span=_span(evidence, evidence.started_at),
        log_evidence=fired.value,
        log_limit=mixture.log_limit(settings.guardrails.alpha_slo),
        query=_query(evidence, found.metric),
    )


def beyond(evidence: Evidence, settings: AnalysisSettings) -> explain.Beyond | None:
    """The slow requests that took the candidate back, or that stable has, too; None: it is not by these."""
    found = limits.broken(evidence) or limits.excused(evidence)
    if found is None or found.edge is None:
        return None
    return explain.Beyond(metric=found.metric, edge=found.edge, allowed=_allowed(found, settings), counts=found.step)


def _allowed(found: LimitEvidence, settings: AnalysisSettings) -> float:
    return next(each.rate for each in settings.limits() if (each.metric, each.edge) == (found.metric, found.edge))


def _rate(bad: float, total: float) -> float | None:
    return bad / total if total > 0 else None


def _span(evidence: Evidence, since: float) -> float:
    end = evidence.recent[-1].end if evidence.recent else evidence.step_at
    return max(0.0, end - since)


def _query(evidence: Evidence, metric: str) -> str:
    return dict(evidence.queries).get(REQUESTS if metric == ERRORS else metric, "")
