"""A share of requests that has to be answered in time, tested at every weight and whatever stable does."""

import random
from collections.abc import Sequence
from dataclasses import replace
from math import inf, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.decide import limits, mixture
from modelrollout.decide.counted import Counted
from modelrollout.decide.evidence import begin, enter_step, fits
from modelrollout.decide.growth import edges_from, grown
from modelrollout.decide.histogram import choose_edges
from modelrollout.decide.judge import judge
from modelrollout.decide.metric_status import metric_status
from modelrollout.domain.analysis import AnalysisSettings, StepTiming
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.judgement import Action, Verdict
from modelrollout.domain.metrics import MetricSettings
from modelrollout.domain.safeguards import Estimate, Guardrails, Overdispersion
from modelrollout.domain.tally import NO_REQUESTS, Tally

SLO = (0.5, 0.99)
"""99 % within half a second."""
SETTINGS = AnalysisSettings(
    metrics=(MetricSettings.of("errors"), MetricSettings.of("latency", index=1, slo=SLO)),
    overdispersion=Overdispersion(mode=Estimate.NONE),
)
TIMING = StepTiming.of(SETTINGS)
BOUNDS = (0.1, 0.5, inf)


def begun(weight: int = 20, settings: AnalysisSettings = SETTINGS) -> Evidence:
    evidence = begin(settings, stable="old", candidate="new", attempt="1", steps=3, at=0)
    return enter_step(evidence, settings, step=0, weight=weight, at=0)


def buckets(n: float, slow: float) -> dict[float, float]:
    """Nothing quicker than 0.1 s, so that no edge can be tested by comparison."""
    return dict(zip(BOUNDS, (0.0, n - slow, n), strict=True))


def fed(
    evidence: Evidence,
    *,
    slow: tuple[float, float],
    n: tuple[float, float] = (100.0, 400.0),
    bad: tuple[float, float] = (0.0, 0.0),
    settings: AnalysisSettings = SETTINGS,
) -> Evidence:
    """One more second; each pair is of the candidate and of stable."""
    start = evidence.block_start
    block = Counted(
        start=start,
        end=start + 1,
        errors=Tally(x_canary=bad[0], n_canary=n[0], x_stable=bad[1], n_stable=n[1]),
        histograms={"latency": (buckets(n[0], slow[0]), buckets(n[1], slow[1]))},
        carried=(),
    )
    return replace(grown(evidence, settings, block), last_eval=start + 1, last_data_at=start + 1, data_ok=True)


def many(
    evidence: Evidence, blocks: int, *, slow: tuple[float, float], n: tuple[float, float] = (100.0, 400.0)
) -> Evidence:
    for _ in range(blocks):
        evidence = fed(evidence, slow=slow, n=n)
    return evidence


def test_a_candidate_that_breaks_its_slo_is_taken_back_where_no_edge_can_be_compared() -> None:
    evidence = many(begun(), 20, slow=(6.0, 0.0))
    judgement = judge(evidence, SETTINGS, TIMING, evidence.block_start, shifted=True)
    assert evidence.metrics[1].edges == (), "nothing of stable is between 0.2 % and half"
    assert "HistogramUnsuitable:latency" in judgement.flags
    assert (judgement.action, judgement.reason) == (Action.ROLLBACK, "guardrail:latencySlo")
    assert (judgement.verdict, judgement.culprit) == (Verdict.FAIL, "latency")
    assert [(v.metric, v.reason) for v in judgement.verdicts if v.verdict is Verdict.FAIL] == [
        ("latency", "guardrail:latencySlo")
    ]
    assert judgement.figures is not None
    assert judgement.figures.test == "latency@0.5"
    assert judgement.figures.threshold == pytest.approx(0.01)
    assert judgement.figures.value == pytest.approx(0.06)
    assert judgement.sentence == (
        "Rolled back at 20 %: `latency` above 0.5 s: candidate 6.00 % (120 of 2 000), stable 0 % at this weight, "
        "and its slo allows 1.00 %."
    )


def test_a_candidate_that_keeps_its_slo_stays_and_an_unsuitable_histogram_is_never_proven() -> None:
    evidence = many(begun(), 2000, slow=(0.5, 0.0))
    judgement = judge(evidence, SETTINGS, TIMING, evidence.block_start, shifted=True)
    assert evidence.guardrail is None
    assert (judgement.action, judgement.reason) == (Action.ADVANCE, "deadline")
    assert ("latency", Verdict.LOW_SAMPLE, "noHistogram") in [
        (each.metric, each.verdict, each.reason) for each in judgement.verdicts
    ]


def test_where_stable_breaks_it_too_the_step_holds_and_nobody_is_blamed() -> None:
    evidence = many(begun(), 60, slow=(6.0, 24.0))
    judgement = judge(evidence, SETTINGS, TIMING, evidence.block_start, shifted=True)
    assert evidence.guardrail is None
    assert (judgement.action, judgement.reason) == (Action.HOLD, "stableUnhealthy")
    assert judgement.hold_since == evidence.limits[1].excused_at
    assert judgement.culprit == "latency"
    assert judgement.sentence.startswith(
        "Holding at 20 %: `latency` above 0.5 s: candidate 6.00 % (360 of 6 000), stable"
    )
    assert "both are above the 1.00 % that its slo allows" in judgement.sentence
    reasons = {each.metric: each.reason for each in judgement.verdicts}
    assert reasons == {"errors": "proven", "latency": "stableUnhealthy"}
    while evidence.limits[1].excused_at is not None:
        evidence = fed(evidence, slow=(0.0, 0.0))
        assert evidence.block_seq < 1000
        assert evidence.guardrail is None, "the end of a shared fault blames nobody"


def test_what_both_share_of_errors_does_not_excuse_a_slow_candidate() -> None:
    evidence = begun()
    for _ in range(30):
        evidence = fed(evidence, slow=(0.0, 0.0), bad=(20.0, 80.0))
    assert evidence.limits[0].excused_at is not None
    assert evidence.guardrail is None
    for _ in range(30):
        evidence = fed(evidence, slow=(10.0, 0.0), bad=(20.0, 80.0))
    assert evidence.guardrail is not None
    assert (evidence.guardrail.name, evidence.guardrail.edge) == ("latencySlo", 0.5)


def test_at_full_weight_it_is_still_held_against_its_slo() -> None:
    evidence = many(begun(), 50, slow=(0.2, 0.8))
    evidence = enter_step(evidence, SETTINGS, step=3, weight=100, at=evidence.block_start)
    assert evidence.limits[1].step == NO_REQUESTS
    before = evidence.block_seq
    while evidence.guardrail is None and evidence.block_seq < before + 60:
        evidence = fed(evidence, slow=(30.0, 0.0), n=(500.0, 0.0))
    assert evidence.guardrail is not None and evidence.block_seq - before < 10
    judgement = judge(evidence, SETTINGS, TIMING, evidence.block_start, shifted=True)
    assert (judgement.action, judgement.culprit) == (Action.ROLLBACK, "latency")
    assert judgement.sentence.startswith("Rolled back at 100 %: `latency` above 0.5 s: candidate 6.00 %")
    assert judgement.figures is not None and judgement.figures.test == "latency@0.5"


def test_buckets_without_that_bound_say_nothing() -> None:
    other = replace(SETTINGS, metrics=(MetricSettings.of("latency", slo=(0.4, 0.99)),))
    evidence = begun(settings=other)
    for _ in range(50):
        evidence = fed(evidence, slow=(90.0, 0.0), settings=other)
    assert evidence.guardrail is None
    assert limits.log_evidence(evidence, other) < log(100)
    assert evidence.limits[1].rollout == NO_REQUESTS


def test_min_bad_counts_at_the_limit_that_speaks() -> None:
    careful = replace(SETTINGS, min_bad=200)
    evidence = begun(settings=careful)
    for _ in range(30):
        evidence = fed(evidence, slow=(6.0, 0.0), bad=(0.0, 0.0), settings=careful)
    assert limits.log_evidence(evidence, careful) > 10
    assert evidence.guardrail is None


def test_with_two_limits_either_needs_twice_the_evidence_of_one() -> None:
    """1/alphaSlo against the mean: a silent limit costs ln 2 and nothing else."""
    alone = replace(SETTINGS, metrics=SETTINGS.metrics[:1])
    one, two = begun(settings=alone), begun()
    for _ in range(5):
        one = fed(one, slow=(0.0, 0.0), bad=(20.0, 20.0), settings=alone)
        two = fed(two, slow=(0.0, 0.0), bad=(20.0, 20.0))
    assert limits.log_evidence(two, SETTINGS) == pytest.approx(limits.log_evidence(one, alone) - log(2), abs=1e-3)


COUNTS = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted)


@given(st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=8))
def test_the_evidence_is_the_mean_of_what_each_limit_says(blocks: Sequence[tuple[list[int], list[int]]]) -> None:
    evidence = begun()
    for (bad, n), (slow, more) in blocks:
        evidence = fed(evidence, slow=(min(slow, n), 0.0), n=(n, more), bad=(bad, 0.0))
    each = [
        limits.log_evidence(
            replace(evidence, limits=(single, single)),
            replace(SETTINGS, guardrails=Guardrails(error_rate_max=rate), metrics=(same(rate),)),
        )
        for single, rate in zip(evidence.limits, (0.05, 1 - 0.99), strict=True)
    ]
    assert limits.log_evidence(evidence, SETTINGS) == pytest.approx(mixture.logsumexp(each) - log(2))


def same(rate: float) -> MetricSettings:
    return MetricSettings.of("latency", slo=(0.5, 1 - rate))


def test_a_candidate_at_all_of_its_limits_is_seldom_taken_back_however_the_limits_hang_together() -> None:
    """At the limits exactly, where slow requests are those that fail: at most alphaSlo, within three standard errors."""
    alpha, runs = 0.2, 150
    settings = replace(
        SETTINGS,
        guardrails=Guardrails(error_rate_max=0.05, alpha_slo=alpha),
        metrics=(MetricSettings.of("errors"), MetricSettings.of("latency", index=1, slo=(0.5, 0.95))),
    )
    rng, fired = random.Random(7), 0
    for _ in range(runs):
        evidence = begun(settings=settings)
        for _ in range(60):
            failed = float(sum(rng.random() < 0.05 for _ in range(60)))
            block = Counted(
                start=0,
                end=1,
                errors=Tally(x_canary=failed, n_canary=60),
                histograms={"latency": (buckets(60, failed), {})},
                carried=(),
            )
            after = replace(evidence, limits=limits.grown(evidence.limits, settings, block, parts=1))
            evidence = limits.latched(after, settings, 1)
        fired += evidence.guardrail is not None
    assert fired / runs <= alpha + 3 * sqrt(alpha * (1 - alpha) / runs)


def test_the_promised_edge_is_compared_too_where_it_is_eligible() -> None:
    shares = {0.1: 0.45, 0.2: 0.3, 0.3: 0.21, 0.4: 0.14, 0.5: 0.09, 0.6: 0.06, 0.7: 0.03, 0.8: 0.011, 0.9: 0.004}
    chosen = choose_edges(shares)
    assert len(chosen) == 6 and 0.5 not in chosen
    assert choose_edges(shares, promised=0.5) == tuple(sorted((*chosen, 0.5)))
    assert choose_edges(shares, promised=0.1) == chosen, "it is among them"
    assert choose_edges({**shares, 0.5: 0.001}, promised=0.5).count(0.5) == 0
    assert edges_from({0.1: 700.0, 0.5: 990.0, inf: 1000.0}, SETTINGS.metrics[1]) == (0.1, 0.5)


def test_the_status_tells_what_the_slo_is_held_against() -> None:
    evidence = many(begun(), 20, slow=(0.5, 1.0))
    judgement = judge(evidence, SETTINGS, TIMING, evidence.block_start, shifted=True)
    errors, latency = (metric_status(evidence, each) for each in judgement.verdicts)
    assert "slo" not in errors
    assert latency["slo"]["within"] == 0.5
    assert latency["slo"]["rollout"] == {
        "candidateBad": 10,
        "candidateRequests": 2000,
        "stableBad": 20,
        "stableRequests": 8000,
    }


def test_evidence_of_other_limits_is_begun_afresh() -> None:
    assert fits(begun(), SETTINGS)
    assert not fits(begun(), replace(SETTINGS, metrics=AnalysisSettings().metrics))


@pytest.mark.parametrize(
    ("slo", "told"),
    [
        ((0.5, 0.5), "analysis.metrics\\[1\\].slo.share: 0.5 is not possible; write a share above 0.5"),
        ((0.5, 1.0), "slo.share: 1.0 is not possible"),
        ((0.0, 0.99), "slo.within: 0.0 is not possible; write a number of seconds above 0"),
    ],
)
def test_an_slo_that_cannot_be_is_refused_with_what_to_write(slo: tuple[float, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MetricSettings.of("latency", index=1, slo=slo)
