"""Metrics of the user's own in the evidence: what they prove, what they take back, what only holds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelrollout.decide import gauges
from modelrollout.decide.evidence import absorb, begin, enter_step
from modelrollout.decide.judge import judge
from modelrollout.domain.analysis import AnalysisSettings, StepTiming
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.judgement import Action, Judgement, Verdict
from modelrollout.domain.metrics import MetricSettings
from modelrollout.domain.polls import BAD, REQUESTS, TARGETS, Arm, Arms, FaultKind, Poll, ProviderFault, Sample, Series
from modelrollout.domain.signals import Buckets, Counts, Gauge, Score, SeriesSelector
from modelrollout.domain.tally import Tally
from tests.decide.test_evidence_document import through_json

ARMS = Arms(stable=Arm(revision="old", service="old@gw"), candidate=Arm(revision="new", service="new@gw"))
ANY = SeriesSelector(series=("any",))
QUALITY = MetricSettings.of("quality", signal=Counts(total=ANY, bad=ANY))
RATING = MetricSettings.of("rating", signal=Score(sums=ANY, counts=ANY, low=1, high=5))
WAIT = MetricSettings.of("wait", signal=Buckets(buckets=ANY, unit=1), edges=(0.5,))
DRIFT = MetricSettings.of("drift", signal=Gauge(gauge=ANY, margin=0.05, window=timedelta(seconds=30)))
STEP = 15.0
Answers = dict[str, tuple[Series, ...] | ProviderFault]
DOWN = ProviderFault(kind=FaultKind.REFUSED, message="refused", permanent=True)


def settings_of(*metrics: MetricSettings) -> AnalysisSettings:
    errors = AnalysisSettings().metrics[0]
    return AnalysisSettings(warmup=timedelta(0), poll=timedelta(seconds=STEP), metrics=(errors, *metrics))


def series(revision: str, *points: tuple[float, float], bad: bool = False, le: float | None = None) -> Series:
    target = f"{revision}-0"
    return Series(
        revision=revision, target=target, labels=(), samples=tuple(Sample(*p) for p in points), bad=bad, le=le
    )


def roll(settings: AnalysisSettings, polls: int, new: dict[str, list[float]], old: dict[str, list[float]]) -> Evidence:
    """`polls` blocks; per query the value of its counter (or gauge) at each scrape, 0 at the start."""
    begun = begin(settings, stable="old", candidate="new", attempt="1", steps=1, at=0)
    known = enter_step(begun, settings, step=0, weight=20, at=0)
    for i in range(1, polls + 1):
        answers: Answers = {
            TARGETS: (series("", *((t * STEP, 1) for t in range(i + 1))),),
            REQUESTS: tuple(
                series(arm, *((t * STEP, t * n) for t in range(i + 1))) for arm, n in (("new", 100), ("old", 400))
            ),
        }
        for name in {*new, *old}:
            answers[name] = tuple(
                series(arm, *((t * STEP, value) for t, value in enumerate([0.0, *values[name]][: i + 1])))
                for arm, values in (("new", new), ("old", old))
                if name in values
            )
        known = absorb(known, settings, Poll(at=i * STEP, answers=answers), ARMS)
    return known


def told(known: Evidence, settings: AnalysisSettings, now: float = 200.0) -> Judgement:
    timing = StepTiming(min_duration=timedelta(seconds=60), deadline=timedelta(seconds=180))
    fresh = replace(known, last_eval=now, last_data_at=now)
    return judge(fresh, settings, timing, now, shifted=True)


def rising(rate: float, polls: int) -> list[float]:
    return [rate * i for i in range(1, polls + 1)]


def test_each_ratio_of_ones_own_has_counts_of_its_own() -> None:
    settings = settings_of(QUALITY)
    after = roll(
        settings,
        8,
        {"quality": rising(10, 8), "quality/bad": rising(1, 8)},
        {"quality": rising(40, 8), "quality/bad": rising(4, 8)},
    )
    errors, quality = after.metrics
    assert quality.tests[0].step == Tally(x_canary=8, n_canary=80, x_stable=32, n_stable=320)
    assert errors.tests[0].step == Tally(n_canary=800, n_stable=3200)


def test_worse_quality_takes_the_candidate_back_and_is_named() -> None:
    settings = settings_of(QUALITY)
    after = roll(
        settings,
        10,
        {"quality": rising(20, 10), "quality/bad": rising(10, 10)},
        {"quality": rising(80, 10), "quality/bad": rising(8, 10)},
    )
    assert after.regression is not None and after.regression.metric == "quality"
    verdict = told(after, settings)
    assert (verdict.action, verdict.culprit) == (Action.ROLLBACK, "quality")
    assert [(each.metric, each.verdict) for each in verdict.verdicts][1] == ("quality", Verdict.FAIL)


def test_scores_count_by_what_is_missing_to_the_best() -> None:
    after = roll(
        settings_of(RATING),
        2,
        {"rating": [3, 6], "rating/sum": [9, 18]},
        {"rating": [4, 8], "rating/sum": [20, 40]},
    )
    assert after.metrics[1].tests[0].step == Tally(x_canary=3, n_canary=6, x_stable=0, n_stable=8)


def test_scores_beyond_their_ends_are_dropped_and_said() -> None:
    settings = settings_of(RATING)
    after = roll(settings, 1, {"rating": [3], "rating/sum": [99]}, {"rating": [4], "rating/sum": [16]})
    assert after.metrics[1].unsound_blocks == 1
    assert "UnsoundCounts:rating" in told(after, settings).flags


def test_a_histogram_of_ones_own_is_tested_at_its_edges() -> None:
    settings = settings_of(WAIT)
    begun = begin(settings, stable="old", candidate="new", attempt="1", steps=1, at=0)
    known = enter_step(begun, settings, step=0, weight=20, at=0)
    requests = tuple(series(arm, (0, 0), (STEP, n)) for arm, n in (("new", 100), ("old", 400)))
    buckets = tuple(
        series(arm, (0, 0), (STEP, n), le=le) for arm, le, n in (("new", 0.5, 8), ("new", float("inf"), 10))
    ) + tuple(series("old", (0, 0), (STEP, n), le=le) for le, n in ((0.5, 40), (float("inf"), 40)))
    poll = Poll(at=STEP, answers={REQUESTS: requests, TARGETS: (series("", (0, 1), (STEP, 1)),), "wait": buckets})
    after = absorb(known, settings, poll, ARMS)
    assert after.metrics[1].tests[0].step == Tally(x_canary=2, n_canary=10, x_stable=0, n_stable=40)


def test_a_metric_without_any_answer_of_the_candidate_is_no_data_and_keeps_from_proving() -> None:
    settings = settings_of(QUALITY)
    quiet = roll(settings, 12, {}, {"quality": rising(40, 12), "quality/bad": rising(4, 12)})
    judged = told(quiet, settings, now=200)
    assert [(each.metric, each.verdict, each.reason) for each in judged.verdicts][1] == (
        "quality",
        Verdict.NO_DATA,
        "noData",
    )
    assert judged.action is not Action.ADVANCE or judged.reason == "deadline"


def test_a_fault_of_one_metric_leaves_its_evidence_and_lets_the_others_grow() -> None:
    settings = settings_of(QUALITY)
    begun = begin(settings, stable="old", candidate="new", attempt="1", steps=1, at=0)
    known = enter_step(begun, settings, step=0, weight=20, at=0)
    requests = tuple(series(arm, (0, 0), (STEP, n)) for arm, n in (("new", 100), ("old", 400)))
    both = tuple(series(arm, (0, 0), (STEP, 10)) for arm in ("new", "old"))
    up = (series("", (0, 1), (STEP, 1)),)
    answers: Answers = {REQUESTS: requests, TARGETS: up, "quality": both, "quality/bad": DOWN}
    after = absorb(known, settings, Poll(at=STEP, answers=answers), ARMS)
    assert after.block_seq == 1 and after.metrics[0].tests[0].step.n_canary == 100
    assert after.metrics[1].tests[0].step == Tally()
    assert after.faults == (("quality/bad", DOWN),) and not after.data_ok
    verdicts = {each.metric: each.verdict for each in told(after, settings, now=20).verdicts}
    assert verdicts["quality"] is Verdict.PROVIDER_ERROR and verdicts["errors"] is not Verdict.PROVIDER_ERROR


def test_a_fault_of_the_errors_own_series_leaves_all_as_it_was() -> None:
    settings = settings_of()
    known = roll(settings, 1, {}, {})
    poll = Poll(at=2 * STEP, answers={REQUESTS: (), BAD: DOWN})
    assert absorb(known, settings, poll, ARMS).block_seq == known.block_seq


def drifting(new: list[float], old: list[float], metric: MetricSettings = DRIFT) -> tuple[Evidence, AnalysisSettings]:
    settings = settings_of(metric)
    return roll(settings, len(new), {"drift/value": new}, {"drift/value": old}), settings


def test_a_gauge_is_compared_once_in_each_window() -> None:
    after, _ = drifting([0.5 + i / 100 for i in range(8)], [0.1] * 8)
    gauge = after.metrics[1].gauge
    assert gauge is not None
    assert (gauge.windows, gauge.worse) == (5, 5), "windows 0 to 4 of 30 s over 120 s, at their first block"
    assert gauges.log_sign(gauge.products) > 2
    assert after.metrics[1].tests == ()


def test_an_evaluation_that_did_not_run_again_counts_once() -> None:
    after, _ = drifting([0.5] * 12, [0.1] * 12)
    assert after.metrics[1].gauge is not None and after.metrics[1].gauge.windows == 1


def test_what_is_within_the_margin_is_not_worse_and_lower_may_be_worse() -> None:
    after, _ = drifting([0.14 + i / 1000 for i in range(6)], [0.1] * 6)
    assert after.metrics[1].gauge is not None and after.metrics[1].gauge.worse == 0
    signal = Gauge(gauge=ANY, margin=0.05, window=timedelta(seconds=30), higher_is_worse=False)
    accuracy = MetricSettings.of("drift", signal=signal)
    after, _ = drifting([0.1 + i / 1000 for i in range(6)], [0.9] * 6, accuracy)
    assert after.metrics[1].gauge is not None and after.metrics[1].gauge.worse == after.metrics[1].gauge.windows


def test_a_worse_gauge_holds_and_neither_takes_back_nor_proves() -> None:
    after, settings = drifting([0.5 + i / 100 for i in range(12)], [0.1] * 12)
    judged = told(after, settings)
    assert (judged.action, judged.reason) == (Action.HOLD, "suspicious")
    assert "GaugeWorse:drift" in judged.flags and after.regression is None
    assert judged.verdicts[-1].metric == "drift" and judged.verdicts[-1].reason == "suspicious"


def test_a_worse_gauge_that_no_advance_waits_for_is_only_told() -> None:
    after, settings = drifting(
        [0.5 + i / 100 for i in range(12)], [0.1] * 12, replace(DRIFT, required_for_advance=False)
    )
    assert told(after, settings).action is Action.ADVANCE


def test_a_good_gauge_does_not_stand_in_the_way_of_proof() -> None:
    settings = settings_of(DRIFT)
    new = [0.1 + i % 7 / 1000 for i in range(120)]
    after = roll(settings, 120, {"drift/value": new}, {"drift/value": [0.1] * 120})
    judged = told(after, settings, now=1800)
    assert (judged.action, judged.reason, judged.verdict) == (Action.ADVANCE, "proven", Verdict.PASS)


def test_gauges_survive_json_to_the_last_bit() -> None:
    after, _ = drifting([0.5 + i / 100 for i in range(8)], [0.1] * 8)
    assert through_json(after) == after


@pytest.mark.parametrize("metric", [QUALITY, RATING, WAIT])
def test_a_metric_of_ones_own_shares_alpha_with_the_others(metric: MetricSettings) -> None:
    assert settings_of(metric).weights() == (0.5, 0.5)
    assert settings_of(metric, DRIFT).weights() == (0.5, 0.5), "a gauge has no share"


def test_gauges_alone_compare_nothing() -> None:
    with pytest.raises(ValueError, match="gauges only is not possible"):
        AnalysisSettings(metrics=(DRIFT,))
