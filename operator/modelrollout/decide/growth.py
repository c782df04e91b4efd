"""How one closed block grows the evidence of every test, and what it settles for good. Pure.

The order of blocks does not matter, nor does splitting one at equal traffic shares: a block only
adds its log factors. What the counts cannot be (more bad requests than requests) is left out and
reported; missing data leaves a test as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, sqrt

from modelrollout.decide import budget, dispersion, gauges, histogram, intervals, limits, mixture
from modelrollout.decide.counted import Counted
from modelrollout.decide.standing import standing
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import (
    Evidence,
    GaugeEvidence,
    MetricEvidence,
    RegressionFound,
    Scatter,
    TestEvidence,
)
from modelrollout.domain.metrics import Kind, Margin, MetricSettings
from modelrollout.domain.signals import Gauge
from modelrollout.domain.tally import Block, Tally

ALL = 100
"""The weight at which stable has no requests to compare with."""
LONG_STEP = 600.0
RECENT_BLOCKS = 20
KEPT = 0.8
"""Of requests in flight, from block to block: about the last five count."""


def fresh_tests(metric: MetricEvidence, parts: int, scatter: Scatter) -> tuple[TestEvidence, ...]:
    """Tests that have seen nothing, with as many parts as have been started."""
    edges = {Kind.RATIO: (None,), Kind.HISTOGRAM: metric.edges or (), Kind.GAUGE: ()}[metric.kind]
    nothing = mixture.nothing_yet(mixture.REGRESSION)
    proof = mixture.nothing_yet(mixture.NON_INFERIORITY)
    return tuple(TestEvidence(edge=edge, parts=(nothing,) * parts, proof=proof, scatter=scatter) for edge in edges)


def edges_from(profile: Mapping[float, float], wanted: MetricSettings) -> tuple[float, ...]:
    """What to test of stable's requests per bucket bound; the edge of an slo where it is fit for it, too."""
    promised = wanted.slo.within if wanted.slo else None
    return histogram.choose_edges(histogram.exceedances(profile), promised=promised)


def margin_of(test: TestEvidence, wanted: MetricSettings) -> Margin:
    """The margin of regression, widened where pods differ."""
    return wanted.regression if test.ratio is None else replace(wanted.regression, ratio=test.ratio)


def widened(evidence: Evidence, settings: AnalysisSettings, pods: tuple[int, int]) -> Evidence:
    """The margins widened for this many pods of canary and stable, before the first block and never again.

    In a replay they were widened already, for the pods that there were.
    """
    spread = settings.pod_spread

    def ratio(test: TestEvidence, wanted: MetricSettings) -> float | None:
        if test.scatter.tau <= 0 or test.ratio is not None:
            return test.ratio
        return dispersion.widened(
            wanted.regression,
            test.scatter.tau,
            canary_pods=pods[0],
            stable_pods=pods[1],
            z=spread.z,
            max_factor=spread.max_factor,
        ).ratio

    metrics = tuple(
        replace(metric, tests=tuple(replace(test, ratio=ratio(test, wanted)) for test in metric.tests))
        for metric, wanted in zip(evidence.metrics, settings.metrics, strict=True)
    )
    return replace(evidence, metrics=metrics)


def with_new_part(evidence: Evidence, at: float) -> Evidence:
    """One more part of the restart mixture; after the planned ones no more."""
    if evidence.parts_started >= evidence.planned_parts:
        return evidence
    nothing = mixture.nothing_yet(mixture.REGRESSION)
    metrics = tuple(
        replace(m, tests=tuple(replace(t, parts=(*t.parts, nothing)) for t in m.tests)) for m in evidence.metrics
    )
    return replace(evidence, metrics=metrics, parts_started=evidence.parts_started + 1, part_at=at)


def grown(evidence: Evidence, settings: AnalysisSettings, block: Counted) -> Evidence:
    """The evidence after the block, with what it proves latched."""
    if evidence.block_seq == 0:
        evidence = widened(evidence, settings, block.pods)
    alone = evidence.weight >= ALL
    closed = Block(
        seq=evidence.block_seq, start=block.start, end=block.end, weight=evidence.weight, errors=block.errors
    )
    after = replace(
        evidence,
        metrics=evidence.metrics if alone else _metrics_grown(evidence, settings, block),
        block_seq=evidence.block_seq + 1,
        block_start=block.end,
        carried=block.carried or evidence.carried,
        requests=evidence.requests + block.errors,
        step_requests=evidence.step_requests + block.errors,
        recent=(*evidence.recent, closed)[-RECENT_BLOCKS:],
        limits=limits.grown(evidence.limits, settings, block, parts=evidence.parts_started + alone),
        pod_load=_pod_load(evidence.pod_load, block),
        in_flight=_in_flight(evidence.in_flight, block),
        off_split=_off_split(evidence, block),
    )
    latched = limits.latched(_latched(after, settings, block.end), settings, block.end)
    latched = budget.grown(latched, settings, closed)
    is_long = evidence.step == evidence.steps - 1 and block.end - evidence.part_at >= LONG_STEP
    return with_new_part(latched, block.end) if is_long else latched


def _metrics_grown(evidence: Evidence, settings: AnalysisSettings, block: Counted) -> tuple[MetricEvidence, ...]:
    fresh = _Fresh(parts=evidence.parts_started, scatter=Scatter(phi=settings.overdispersion.unseen))
    return tuple(
        _gauge_grown(metric, wanted.signal, block, evidence.started_at)
        if isinstance(wanted.signal, Gauge)
        else _metric_grown(metric, wanted, block, fresh)
        for metric, wanted in zip(evidence.metrics, settings.metrics, strict=True)
    )


def _pod_load(before: tuple[float, float], block: Counted) -> tuple[float, float]:
    canary_pods, stable_pods = block.pods
    if min(canary_pods, stable_pods) == 0:
        return before
    return before[0] + block.errors.n_canary / canary_pods, before[1] + block.errors.n_stable / stable_pods


def _in_flight(before: Tally, block: Counted) -> Tally:
    """Older blocks count less and less: what piles up now must not be hidden by what did not before."""
    canary, stable = block.in_flight
    if canary is None or stable is None:
        return before
    new = Tally(x_canary=canary, n_canary=block.errors.n_canary, x_stable=stable, n_stable=block.errors.n_stable)
    return before.times(KEPT) + new


def _off_split(evidence: Evidence, block: Counted) -> int:
    """Blocks in a row whose share is off what is expected by more than 20 % and more than 4 binomial sigma."""
    errors = block.errors
    total = errors.n_canary + errors.n_stable
    if total <= 0:
        return evidence.off_split
    wish = evidence.weight / 100 if block.share is None else block.share
    off = abs(errors.n_canary / total - wish)
    return evidence.off_split + 1 if off > max(0.2 * wish, 4 * sqrt(wish * (1 - wish) / total)) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fresh:
    """What a test begins with that is made during the rollout."""

    parts: int
    scatter: Scatter


def _metric_grown(metric: MetricEvidence, wanted: MetricSettings, block: Counted, fresh: _Fresh) -> MetricEvidence:
    if metric.kind is Kind.RATIO:
        tally = block.errors if wanted.signal is None else block.ratios.get(metric.name)
        return metric if tally is None else _tested(metric, wanted, [tally] * len(metric.tests))
    buckets = block.histograms.get(metric.name)
    if buckets is None:
        return metric
    if metric.edges is None:
        return _profiled(metric, wanted, buckets[1], fresh)
    return _tested(metric, wanted, [block.slower(metric.name, test.edge or 0.0) for test in metric.tests])


def _gauge_grown(metric: MetricEvidence, wanted: Gauge, block: Counted, began: float) -> MetricEvidence:
    """Once in a window, and not where nothing was evaluated since the last: both values are the same then."""
    before = metric.gauge or GaugeEvidence(products=gauges.no_window_yet())
    canary, stable = block.values.get(metric.name, (None, None))
    window = int((block.end - began) // wanted.window.total_seconds())
    if canary is None or stable is None or window <= before.window:
        return metric
    if (canary, stable) == (before.canary, before.stable):
        return metric
    difference = canary - stable if wanted.higher_is_worse else stable - canary
    after = GaugeEvidence(
        products=gauges.window_added(before.products, difference, margin=wanted.margin),
        window=window,
        canary=canary,
        stable=stable,
        windows=before.windows + 1,
        worse=before.worse + (difference > wanted.margin),
    )
    return replace(metric, gauge=after)


def _tested(metric: MetricEvidence, wanted: MetricSettings, tallies: list[Tally]) -> MetricEvidence:
    if not all(tally.is_sound() for tally in tallies):
        return replace(metric, unsound_blocks=metric.unsound_blocks + 1)
    tests = tuple(_test_grown(test, wanted, tally) for test, tally in zip(metric.tests, tallies, strict=True))
    return replace(metric, tests=tests)


def _profiled(
    metric: MetricEvidence, wanted: MetricSettings, stable: Mapping[float, float], fresh: _Fresh
) -> MetricEvidence:
    """Edges come from stable's requests only, and are fixed before the first block that is tested.

    Shares are of all requests of the profile, so a bound that not every block has is none of them.
    """
    if not stable:
        return metric
    before = dict(metric.profile)
    profile = {bound: before.get(bound, 0.0) + rise for bound, rise in stable.items() if bound in before or not before}
    gathered = replace(metric, profile=tuple(sorted(profile.items())))
    if profile.get(inf, 0.0) < histogram.LEAST_REQUESTS:
        return gathered
    chosen = replace(gathered, edges=edges_from(profile, wanted), profile=())
    return replace(chosen, tests=fresh_tests(chosen, fresh.parts, fresh.scatter))


def _test_grown(test: TestEvidence, wanted: MetricSettings, block: Tally) -> TestEvidence:
    phi = test.scatter.phi
    worse = mixture.log_factors(mixture.REGRESSION, block, margin_of(test, wanted), phi=phi)
    better = mixture.log_factors(mixture.NON_INFERIORITY, block, wanted.non_inferiority, phi=phi)
    return replace(
        test,
        parts=tuple(mixture.added(part, worse) for part in test.parts),
        proof=mixture.added(test.proof, better),
        interval=intervals.ratio_added(test.interval or intervals.no_ratio_rejected(), block, phi=phi),
        rollout=test.rollout + block,
        step=test.step + block,
    )


def _latched(evidence: Evidence, settings: AnalysisSettings, at: float) -> Evidence:
    """What a closed block has shown stays shown: proof for the step, a regression for good."""
    needed = mixture.log_limit(settings.beta)

    def proven(test: TestEvidence) -> bool:
        return test.proven or mixture.log_mixture(mixture.NON_INFERIORITY, test.proof) >= needed

    metrics = tuple(replace(m, tests=tuple(replace(t, proven=proven(t)) for t in m.tests)) for m in evidence.metrics)
    latched = replace(evidence, metrics=metrics)
    stands = standing(latched, settings)
    crossed = stands.log_evidence >= mixture.log_limit(settings.alpha) and stands.bad_canary >= settings.min_bad
    if latched.regression is not None or not crossed or stands.culprit is None:
        return latched
    edge = stands.culprit.loudest.edge if stands.culprit.loudest else None
    found = RegressionFound(metric=stands.culprit.metric.name, edge=edge, at=at, log_evidence=stands.log_evidence)
    return replace(latched, regression=found)
