"""What stable's past says before the rollout, and what is assumed where it says nothing."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from math import exp, inf, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.decide import dispersion
from modelrollout.decide.counted import Counted
from modelrollout.decide.evidence import begin, enter_step
from modelrollout.decide.evidence_document import from_document, to_document
from modelrollout.decide.growth import grown
from modelrollout.decide.judge import judge
from modelrollout.decide.lookback import History, informed
from modelrollout.decide.past import MOST_SPANS, Counters, past
from modelrollout.domain.analysis import AnalysisSettings, StepTiming
from modelrollout.domain.evidence import Evidence, Scatter
from modelrollout.domain.metrics import LATENCY, MetricSettings, Source
from modelrollout.domain.polls import REQUESTS, Sample, Series
from modelrollout.domain.safeguards import Estimate, Overdispersion, PodSpread
from modelrollout.domain.signals import Buckets, Counts, Score, SeriesSelector
from modelrollout.domain.tally import Tally

SETTINGS = AnalysisSettings()
TIMING = StepTiming.of(SETTINGS)
BOUNDS = (0.1, 0.25, 0.5, inf)
LENGTH = 60
"""Scrapes in a past, fifteen seconds apart."""


def series(target: str, rises: Sequence[float], *, bad: bool = False, le: float | None = None) -> Series:
    """A counter that rose so much in each span, scraped from 0 on."""
    values = [0.0, *accumulate(rises)]
    samples = tuple(Sample(15.0 * i, value) for i, value in enumerate(values))
    return Series(revision="old", target=target, labels=(("bad", str(bad)),), samples=samples, bad=bad, le=le)


def counters(pods: int, *, seed: int = 1, bursts: float = 1.0, slow: float = 0.3, per_span: int = 100) -> Counters:
    """Pods that each fail 1 % of their requests in bursts of the given length, and are slower than 0.25 s as told."""
    rng = random.Random(seed)
    requests, bad, latency = [], [], []
    for pod in range(pods):
        xs = [bursts * sum(rng.random() < 0.01 / bursts for _ in range(per_span)) for _ in range(LENGTH)]
        ns = [float(per_span)] * LENGTH
        failed = series(f"pod-{pod}", xs, bad=True)
        requests += [series(f"pod-{pod}", [n - x for n, x in zip(ns, xs, strict=True)]), failed]
        bad.append(failed)
        for bound, share in zip(BOUNDS, (1 - 2 * slow, 1 - slow, 0.999, 1.0), strict=True):
            latency.append(series(f"pod-{pod}", [share * n for n in ns], le=bound))
    return Counters(total=tuple(requests), bad=tuple(bad), buckets=tuple(latency))


def per_metric(counters: Counters) -> dict[str, Counters]:
    """Errors and latency apart, as they are asked for."""
    found = {REQUESTS: replace(counters, buckets=()), LATENCY: Counters(buckets=counters.buckets)}
    return {name: each for name, each in found.items() if each.every()}


def history(compared: Counters, servers: Counters | None = None) -> History:
    by_servers = per_metric(compared if servers is None else servers)
    return History(end=15.0 * LENGTH, compared=per_metric(compared), servers=by_servers)


def begun(settings: AnalysisSettings = SETTINGS) -> Evidence:
    return begin(settings, stable="old", candidate="new", attempt="1", steps=3, at=15.0 * LENGTH)


def scatter_of(evidence: Evidence, metric: int = 0, test: int = 0) -> Scatter:
    return evidence.metrics[metric].tests[test].scatter


def flags(evidence: Evidence, settings: AnalysisSettings = SETTINGS) -> tuple[str, ...]:
    entered = enter_step(evidence, settings, step=0, weight=20, at=900)
    return judge(entered, settings, TIMING, 901, shifted=True).flags


def test_rises_are_counted_per_span_and_pod_over_restarts_and_series_born_later() -> None:
    restarted = Series(
        revision="old",
        target="a",
        labels=(),
        samples=(Sample(0, 100), Sample(15, 110), Sample(30, 7), Sample(45, 9)),
    )
    born = Series(
        revision="old", target="a", labels=(("code", "500"),), samples=(Sample(30, 2), Sample(45, 3)), bad=True
    )
    seen = past(Counters(total=(restarted, born), bad=(born,)), 45.0)
    assert seen.requests == {"a": [10.0, 9.0, 3.0]}
    assert seen.bad == {"a": [0.0, 2.0, 1.0]}
    assert seen.seconds == 45.0


def test_a_long_past_with_quick_scrapes_has_longer_spans() -> None:
    samples = tuple(Sample(float(t), float(t)) for t in range(3 * MOST_SPANS + 1))
    quick = Series(revision="old", target="a", labels=(), samples=samples)
    (rises,) = past(Counters(total=(quick,)), 3.0 * MOST_SPANS).requests.values()
    assert rises == [3.0] * MOST_SPANS


def test_phi_is_that_of_the_pods_counts_span_by_span() -> None:
    bursty = counters(4, bursts=5)
    found = scatter_of(informed(begun(), SETTINGS, history(bursty)))
    seen = past(bursty, 15.0 * LENGTH)
    polls = [
        {pod: dispersion.PodCount(seen.bad[pod][i], seen.requests[pod][i]) for pod in seen.requests}
        for i in range(LENGTH)
    ]
    assert found == Scatter(phi=dispersion.dispersion(polls).phi, known=True)
    assert 3 < found.phi < 8


def test_independent_errors_of_several_pods_have_a_phi_near_one() -> None:
    evidence = informed(begun(), SETTINGS, history(counters(4)))
    assert scatter_of(evidence).phi < 1.4
    assert evidence.limits[0].scatter.phi == scatter_of(evidence).phi
    assert "DispersionUnknown" not in flags(evidence)


def test_with_one_pod_phi_is_seen_over_time_and_is_at_most_the_fallback() -> None:
    even = scatter_of(informed(begun(), SETTINGS, history(counters(1))))
    assert even.known and even.phi < 1.5
    assert scatter_of(informed(begun(), SETTINGS, history(counters(1, bursts=5)))) == Scatter(phi=2.0, known=True)


def test_with_one_pod_that_failed_too_little_phi_is_the_fallback_and_a_flag_says_so() -> None:
    evidence = informed(begun(), SETTINGS, history(counters(1, per_span=5)))
    assert scatter_of(evidence) == Scatter(phi=2.0, known=False)
    assert evidence.limits[0].scatter.phi == 2.0
    assert "DispersionUnknown" in flags(evidence)


def test_without_any_past_everything_keeps_its_fallback_and_nobody_asks_again() -> None:
    evidence = informed(begun(), SETTINGS, History(end=900))
    assert evidence.metrics == begun().metrics
    assert evidence.before is not None
    assert evidence.before.requests == 0
    assert informed(evidence, SETTINGS, history(counters(4))) is evidence


def test_requests_can_be_taken_as_independent_by_wish() -> None:
    plain = replace(SETTINGS, overdispersion=Overdispersion(mode=Estimate.NONE))
    evidence = informed(begun(plain), plain, history(counters(4, bursts=5)))
    assert scatter_of(evidence).phi == 1.0
    assert (scatter_of(begun(plain)).phi, begun(plain).limits[0].scatter.phi) == (1.0, 1.0)
    assert "DispersionUnknown" not in flags(begun(plain), plain)


def test_after_the_first_block_nothing_of_the_past_counts_any_more() -> None:
    evidence = enter_step(begun(), SETTINGS, step=0, weight=20, at=900)
    errors = Tally(x_canary=1, n_canary=20, x_stable=1, n_stable=80)
    block = Counted(start=900, end=901, errors=errors, histograms={}, carried=())
    counted = grown(evidence, SETTINGS, block)
    assert informed(counted, SETTINGS, history(counters(4))) is counted


def test_edges_come_from_the_past_where_it_has_a_thousand_requests() -> None:
    evidence = informed(begun(), SETTINGS, history(counters(2, slow=0.2)))
    assert evidence.metrics[1].edges == (0.1, 0.25)
    assert [test.scatter.known for test in evidence.metrics[1].tests] == [True, True]
    few = informed(begun(), SETTINGS, history(counters(2, per_span=8)))
    assert few.metrics[1].edges is None


def test_where_the_gateway_is_compared_the_scatter_is_that_of_the_servers() -> None:
    gateway = counters(1, slow=0.2)
    evidence = informed(begun(), SETTINGS, history(gateway, counters(4, bursts=5)))
    assert scatter_of(evidence).phi > 3
    assert evidence.before is not None
    assert evidence.before.requests == sum(sum(r) for r in past(gateway, 900).requests.values())
    assert evidence.metrics[1].edges == (0.1, 0.25)
    assert all(test.scatter.known for test in evidence.metrics[1].tests)


def test_a_gateways_instances_are_no_pods_and_are_looked_at_together_over_time() -> None:
    shared = counters(1, bursts=5)
    twice = Counters(
        total=(*shared.total, *(replace(s, target="other") for s in shared.total)),
        bad=(*shared.bad, *(replace(s, target="other") for s in shared.bad)),
    )
    alone = informed(begun(), SETTINGS, history(twice, Counters()))
    assert scatter_of(alone) == Scatter(phi=2.0, known=True), "side by side they would scatter not at all"


def test_pods_that_differ_widen_the_margin_once_the_first_block_is_counted() -> None:
    settings = replace(SETTINGS, pod_spread=PodSpread(min_pods=4), metrics=SETTINGS.metrics[:1])
    totals = {"a": (100.0, 10000.0), "b": (150.0, 10000.0), "c": (60.0, 10000.0), "d": (220.0, 20000.0)}
    requests = tuple(series(pod, [n / LENGTH] * LENGTH) for pod, (_, n) in totals.items())
    bad = tuple(series(pod, [x / LENGTH] * LENGTH, bad=True) for pod, (x, _) in totals.items())
    evidence = informed(begun(settings), settings, history(Counters(total=requests, bad=bad)))
    assert scatter_of(evidence).tau == pytest.approx(0.3278800548)
    assert evidence.metrics[0].tests[0].ratio is None
    entered = enter_step(evidence, settings, step=0, weight=20, at=900)
    errors = Tally(x_canary=2, n_canary=100, x_stable=4, n_stable=400)
    first = grown(entered, settings, Counted(start=900, end=905, errors=errors, histograms={}, carried=(), pods=(1, 4)))
    assert first.metrics[0].tests[0].ratio == pytest.approx(2.6020657329)
    second = grown(first, settings, Counted(start=905, end=910, errors=errors, histograms={}, carried=(), pods=(4, 4)))
    assert second.metrics[0].tests[0].ratio == first.metrics[0].tests[0].ratio, "fixed before the second block"
    figures = judge(second, settings, TIMING, 910, shifted=True).figures
    assert figures is not None
    assert figures.threshold == pytest.approx(1.25 * exp(2 * 0.3278800548 * sqrt(1 + 1 / 4)) * 0.01 + 0.0002)


def test_with_fewer_pods_than_asked_for_no_margin_is_widened() -> None:
    evidence = informed(begun(), SETTINGS, history(counters(4)))
    assert scatter_of(evidence).tau == 0


def test_every_exponent_is_divided_by_phi() -> None:
    """phi = 2 makes of each block the square root of its factor: twice the blocks for the same evidence."""
    errors = Tally(x_canary=3, n_canary=100, x_stable=4, n_stable=400)
    block = Counted(start=900, end=905, errors=errors, histograms={}, carried=())
    one = enter_step(
        begun(replace(SETTINGS, overdispersion=Overdispersion(fallback=1))), SETTINGS, step=0, weight=20, at=900
    )
    two = enter_step(begun(), SETTINGS, step=0, weight=20, at=900)
    first, twice = grown(one, SETTINGS, block), grown(grown(two, SETTINGS, block), SETTINGS, block)
    before, after = first.metrics[0].tests[0], twice.metrics[0].tests[0]
    assert after.parts[0] == pytest.approx(before.parts[0])
    assert after.proof == pytest.approx(before.proof)
    assert twice.limits[0].parts[0] == pytest.approx(first.limits[0].parts[0])


def test_what_the_past_said_survives_a_restart_to_the_last_bit() -> None:
    evidence = informed(begun(), SETTINGS, history(counters(5, bursts=3, slow=0.2)))
    assert from_document(json.loads(json.dumps(to_document(evidence), allow_nan=False))) == evidence


# ------------------------------------------------------------------ metrics of the user's own

ANY = SeriesSelector(series=("any",))
QUALITY = MetricSettings.of("quality", index=1, signal=Counts(total=ANY, bad=ANY))
WAIT = MetricSettings.of("wait", index=2, signal=Buckets(buckets=ANY, unit=1.0), slo=(0.5, 0.9))
OWN = AnalysisSettings(metrics=(MetricSettings.of("errors"), QUALITY, WAIT))


def own(errors: Counters, quality: Counters, wait: Counters) -> History:
    wait = Counters(buckets=wait.buckets)
    seen = {REQUESTS: replace(errors, buckets=()), "quality": replace(quality, buckets=()), "wait": wait}
    return History(end=15.0 * LENGTH, compared=seen, servers={REQUESTS: seen[REQUESTS]})


def test_each_metric_has_the_scatter_of_its_own_series() -> None:
    known = informed(begun(OWN), OWN, own(counters(4), counters(4, bursts=5), counters(4, slow=0.2)))
    errors, quality, wait = known.metrics
    assert errors.tests[0].scatter.phi < 1.4
    assert 3 < quality.tests[0].scatter.phi < 8
    assert wait.edges == (0.1, 0.25), "from the past of its own buckets"
    assert all(test.scatter.known for metric in known.metrics for test in metric.tests)
    assert [(limit.edge, limit.scatter.known) for limit in known.limits] == [(None, True), (0.5, True)]
    assert "DispersionUnknown" not in flags(known, OWN)


def test_a_metric_that_did_not_answer_keeps_its_fallback_and_the_flag() -> None:
    known = informed(begun(OWN), OWN, own(counters(4), Counters(), counters(4)))
    assert known.metrics[0].tests[0].scatter.known
    assert known.metrics[1].tests[0].scatter == Scatter(phi=2.0, known=False)
    assert "DispersionUnknown" in flags(known, OWN)


def test_of_the_gateways_own_metrics_all_instances_are_looked_at_over_time() -> None:
    metric = replace(QUALITY, source=Source.GATEWAY)
    settings = AnalysisSettings(metrics=(MetricSettings.of("errors"), metric))
    shared = replace(counters(1, bursts=5), buckets=())
    twice = Counters(
        total=(*shared.total, *(replace(s, target="other") for s in shared.total)),
        bad=(*shared.bad, *(replace(s, target="other") for s in shared.bad)),
    )
    seen = History(end=15.0 * LENGTH, compared={"quality": twice})
    assert scatter_of(informed(begun(settings), settings, seen), 1) == Scatter(phi=2.0, known=True)
    beside = replace(settings, metrics=(settings.metrics[0], QUALITY))
    assert scatter_of(informed(begun(beside), beside, seen), 1).phi == 1.0, "by pods they do not differ"


def test_pods_that_differ_in_a_metric_of_ones_own_widen_its_margin_only() -> None:
    totals = {"a": (100.0, 10000.0), "b": (150.0, 10000.0), "c": (60.0, 10000.0), "d": (220.0, 20000.0)}
    uneven = Counters(
        total=tuple(series(pod, [n / LENGTH] * LENGTH) for pod, (_, n) in totals.items()),
        bad=tuple(series(pod, [x / LENGTH] * LENGTH, bad=True) for pod, (x, _) in totals.items()),
    )
    settings = replace(OWN, pod_spread=PodSpread(min_pods=4))
    known = informed(begun(settings), settings, own(counters(4), uneven, counters(4)))
    assert scatter_of(known, 1).tau == pytest.approx(0.3278800548)
    assert scatter_of(known, 0).tau < 0.1


def test_scores_scatter_by_what_is_missing_to_the_best() -> None:
    """From 1 to 5: each answer scores 5 but the bad ones, which score 1."""
    rating = MetricSettings.of("rating", index=1, signal=Score(sums=ANY, counts=ANY, low=1, high=5))
    settings = AnalysisSettings(metrics=(MetricSettings.of("errors"), rating))
    bad = [[5.0 if (i + 3 * pod) % 7 == 0 else 0.0 for i in range(LENGTH)] for pod in range(3)]
    scored = Counters(
        total=tuple(series(f"pod-{pod}", [100.0] * LENGTH) for pod in range(3)),
        sums=tuple(series(f"pod-{pod}", [500.0 - 4 * x for x in xs]) for pod, xs in enumerate(bad)),
    )
    seen = past(scored, 15.0 * LENGTH, score=Score(sums=ANY, counts=ANY, low=1, high=5))
    assert seen.bad == {f"pod-{pod}": pytest.approx(xs) for pod, xs in enumerate(bad)}
    known = informed(begun(settings), settings, History(end=15.0 * LENGTH, compared={"rating": scored}))
    assert scatter_of(known, 1).known and scatter_of(known, 1).phi > 2


@given(st.lists(st.integers(0, 20), min_size=4, max_size=40), st.integers(2, 5), st.integers(0, 3))
def test_a_ratio_scatters_alike_whatever_it_is_called(rises: list[int], pods: int, shift: int) -> None:
    """The same counts as errors of the servers or as a metric of one's own have the same phi and tau."""

    def of(pod: int) -> list[float]:
        return [float(x) for x in (*rises[shift * pod % len(rises) :], *rises[: shift * pod % len(rises)])]

    both = Counters(
        total=tuple(series(f"pod-{pod}", [20.0] * len(rises)) for pod in range(pods)),
        bad=tuple(series(f"pod-{pod}", of(pod), bad=True) for pod in range(pods)),
    )
    seen = {REQUESTS: both, "quality": both}
    known = informed(begun(OWN), OWN, History(end=15.0 * len(rises), compared=seen, servers={REQUESTS: both}))
    assert scatter_of(known, 0) == scatter_of(known, 1)
