"""What outranks what, and who is allowed to advance."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelrollout.decide.evidence import begin, enter_step
from modelrollout.decide.findings import share_seen
from modelrollout.decide.judge import judge
from modelrollout.domain.analysis import AnalysisSettings, OnHoldTimeout, OnInconclusive, StepTiming
from modelrollout.domain.evidence import Evidence, RegressionFound
from modelrollout.domain.judgement import Action, Verdict
from modelrollout.domain.polls import REQUESTS, FaultKind, ProviderFault
from modelrollout.domain.tally import Block, Tally

ERRORS = replace(AnalysisSettings(), metrics=AnalysisSettings().metrics[:1])
TIMING = StepTiming.of(ERRORS)
DOWN = ProviderFault(kind=FaultKind.UNREACHABLE, message="Prometheus cannot be reached")


def evidence(*, log_e: float = -1.0, proven: bool = False, n: float = 5000, weight: int = 20) -> Evidence:
    """Evidence in the middle of its first step, which began at 0; data up to 130."""
    begun = begin(ERRORS, stable="old", candidate="new", attempt="1", steps=3, at=0)
    entered = enter_step(begun, ERRORS, step=0, weight=weight, at=0)
    tally = Tally(x_canary=n / 100, n_canary=n, x_stable=n / 25, n_stable=4 * n)
    metric = entered.metrics[0]
    test = replace(metric.tests[0], parts=((log_e,) * 24,), proven=proven, rollout=tally, step=tally)
    return replace(
        entered,
        metrics=(replace(metric, tests=(test,)),),
        step_requests=tally,
        recent=(Block(seq=0, start=0, end=130, weight=weight, errors=tally),),
        block_seq=1,
        last_eval=130,
        last_data_at=130,
        data_ok=True,
    )


def at(now: float, known: Evidence) -> Evidence:
    """The same with data up to `now`."""
    return replace(known, last_eval=now, last_data_at=now)


def ruled(known: Evidence, now: float = 130, settings: AnalysisSettings = ERRORS, **more: object) -> tuple[Action, str]:
    found = judge(known, settings, TIMING, now, **{"shifted": True, **more})  # type: ignore[arg-type]
    return found.action, found.reason


def test_proof_advances_once_the_route_is_seen_accepted() -> None:
    assert ruled(evidence(proven=True)) == (Action.ADVANCE, "proven")
    assert ruled(evidence(proven=True), shifted=False) == (Action.CONTINUE, "routeNotAccepted")
    assert ruled(at(600, evidence(proven=True)), 600, shifted=False) == (Action.HOLD, "routeNotAccepted")


def test_a_guardrail_outranks_everything() -> None:
    assert ruled(evidence(proven=True), guardrail="restarts") == (Action.ROLLBACK, "guardrail:restarts")
    assert ruled(evidence(weight=100), guardrail="restarts") == (Action.ROLLBACK, "guardrail:restarts")


def test_a_regression_outranks_proof_and_missing_data() -> None:
    assert ruled(evidence(log_e=9, proven=True)) == (Action.ROLLBACK, "regression")
    assert ruled(evidence(log_e=9), 9000) == (Action.ROLLBACK, "regression")


def test_a_regression_once_found_stays_found() -> None:
    found = RegressionFound(metric="errors", edge=None, at=100, log_evidence=5)
    judgement = judge(replace(evidence(proven=True), regression=found), ERRORS, TIMING, 130, shifted=True)
    assert (judgement.action, judgement.reason) == (Action.ROLLBACK, "regression")
    assert judgement.verdict is Verdict.FAIL


def test_fewer_bad_requests_than_min_bad_roll_nothing_back() -> None:
    assert ruled(evidence(log_e=9, n=200)) == (Action.CONTINUE, "")


def test_signs_of_a_regression_stop_proof_and_deadline() -> None:
    assert ruled(evidence(log_e=3, proven=True)) == (Action.CONTINUE, "")
    assert ruled(at(600, evidence(log_e=3, proven=True)), 600) == (Action.HOLD, "suspicious")


def test_the_deadline_advances_only_with_requests_enough() -> None:
    assert ruled(at(600, evidence()), 600) == (Action.ADVANCE, "deadline")
    assert ruled(at(600, evidence(n=99)), 600) == (Action.HOLD, "insufficientTraffic")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (OnInconclusive.HOLD, (Action.HOLD, "inconclusive")),
        (OnInconclusive.ROLLBACK, (Action.ROLLBACK, "inconclusive")),
    ],
)
def test_on_inconclusive_decides_at_the_deadline(choice: OnInconclusive, expected: tuple[Action, str]) -> None:
    assert ruled(at(600, evidence()), 600, replace(ERRORS, on_inconclusive=choice)) == expected


def test_no_data_holds_and_says_why() -> None:
    down = replace(evidence(proven=True), data_ok=False, faults=((REQUESTS, DOWN),), fault_since=131)
    judgement = judge(down, ERRORS, TIMING, 310, shifted=True)
    assert (judgement.action, judgement.reason, judgement.cause) == (Action.HOLD, "noData", "providerError")
    assert judgement.verdict is Verdict.PROVIDER_ERROR
    assert "Prometheus has not answered for 3 min" in judgement.sentence


def test_old_evidence_does_not_advance_after_a_restart() -> None:
    assert ruled(evidence(proven=True), 200) == (Action.CONTINUE, "")


def test_ready_pods_without_series_hold_at_once() -> None:
    missing = replace(evidence(), data_ok=False, missing_scrapes=2)
    judgement = judge(missing, ERRORS, TIMING, 130, shifted=True)
    assert (judgement.action, judgement.reason, judgement.cause) == (Action.HOLD, "noData", "metricMissing")


def test_traffic_off_the_weight_stops_every_advance() -> None:
    off = replace(evidence(proven=True), off_split=3)
    assert ruled(off) == (Action.CONTINUE, "trafficSplitMismatch")
    assert ruled(at(600, off), 600) == (Action.HOLD, "trafficSplitMismatch")


def test_latency_is_proven_only_after_twice_its_slowest_edge() -> None:
    slow = AnalysisSettings()
    known = evidence(proven=True)
    begun = begin(slow, stable="old", candidate="new", attempt="1", steps=3, at=0)
    test = replace(known.metrics[0].tests[0], edge=90.0)
    latency = replace(begun.metrics[1], edges=(90.0,), tests=(test,))
    both = replace(known, metrics=(known.metrics[0], latency))
    assert ruled(both, 130, slow) == (Action.CONTINUE, "")
    assert ruled(at(180, both), 180, slow) == (Action.ADVANCE, "proven")


def test_a_required_histogram_without_suitable_edges_is_never_proven() -> None:
    both = AnalysisSettings()
    begun = begin(both, stable="old", candidate="new", attempt="1", steps=3, at=0)
    unsuitable = replace(begun.metrics[1], edges=())
    known = replace(evidence(proven=True), metrics=(*evidence(proven=True).metrics, unsuitable))
    judgement = judge(known, both, TIMING, 130, shifted=True)
    assert judgement.action is Action.CONTINUE
    assert "HistogramUnsuitable:latency" in judgement.flags


@pytest.mark.parametrize(
    ("canary", "stable", "told"),
    [(1000.0, 400.0, True), (400.0, 1000.0, True), (1000.0, 700.0, False), (0.0, 0.0, False)],
    ids=["busier", "idler", "alike", "pods not known"],
)
def test_pods_that_are_not_equally_busy_confound_latency(canary: float, stable: float, told: bool) -> None:
    both = AnalysisSettings()
    begun = begin(both, stable="old", candidate="new", attempt="1", steps=3, at=0)
    loaded = replace(evidence(), metrics=(evidence().metrics[0], begun.metrics[1]), pod_load=(canary, stable))
    flags = judge(loaded, both, TIMING, 130, shifted=True).flags
    assert ("LatencyConfounded" in flags) is told
    assert (
        "LatencyConfounded"
        not in judge(replace(evidence(), pod_load=(9.0, 1.0)), ERRORS, TIMING, 130, shifted=True).flags
    )


def test_a_hold_that_lasts_rolls_back_only_where_that_was_chosen_and_data_flows() -> None:
    chosen = replace(ERRORS, on_hold_timeout=OnHoldTimeout.ROLLBACK, hold_timeout=timedelta(minutes=5))
    suspicious = at(901, evidence(log_e=3))
    assert ruled(suspicious, 901, chosen) == (Action.ROLLBACK, "holdTimeout")
    assert ruled(suspicious, 901) == (Action.HOLD, "suspicious")
    assert ruled(at(901, evidence(n=99)), 901, chosen) == (Action.HOLD, "insufficientTraffic")
    assert ruled(replace(suspicious, data_ok=False), 901, chosen) == (Action.HOLD, "suspicious")
    assert ruled(replace(suspicious, fault_seconds=60.0), 901, chosen) == (Action.HOLD, "suspicious")


def test_a_hold_knows_since_when() -> None:
    judgement = judge(at(700, evidence(log_e=3)), ERRORS, TIMING, 700, shifted=True)
    assert judgement.hold_since == 600


def test_a_pause_stops_the_clocks_of_the_step() -> None:
    paused = timedelta(seconds=100)
    assert ruled(evidence(proven=True), paused=paused) == (Action.CONTINUE, "")
    assert ruled(at(600, evidence()), 600, paused=paused) == (Action.CONTINUE, "")
    assert ruled(at(700, evidence()), 700, paused=paused) == (Action.ADVANCE, "deadline")


def test_at_full_weight_nothing_is_compared() -> None:
    assert ruled(evidence(weight=100, log_e=9)) == (Action.CONTINUE, "")


def test_every_decision_carries_its_figures() -> None:
    judgement = judge(evidence(log_e=9), ERRORS, TIMING, 130, shifted=True)
    figures = judgement.figures
    assert figures is not None
    assert (figures.metric, figures.value, figures.stable_value, figures.samples) == ("errors", 0.01, 0.01, 5000)
    assert figures.threshold == pytest.approx(1.25 * 0.01 + 0.0002)


def test_proof_is_told_beside_the_rate_that_was_to_be_proven() -> None:
    judgement = judge(evidence(proven=True), ERRORS, TIMING, 130, shifted=True)
    assert judgement.reason == "proven" and judgement.figures is not None
    proof = ERRORS.metrics[0].non_inferiority
    assert judgement.figures.threshold == pytest.approx(proof.ratio * 0.01 + proof.absolute)


def test_the_share_really_seen_comes_from_the_metrics() -> None:
    seen = share_seen(evidence())
    assert seen is not None
    assert (seen.share, seen.requests) == (0.2, 25000)
    assert share_seen(replace(evidence(), recent=())) is None


def test_samples_that_are_always_late_are_not_missing() -> None:
    late = at(130, evidence(proven=True))
    quick = replace(ERRORS, no_data_timeout=timedelta(seconds=30))
    assert ruled(late, 190, quick) == (Action.HOLD, "noData")
    assert ruled(late, 190, quick, lag=60.0) == (Action.ADVANCE, "proven")
    assert ruled(late, 190 + 31, quick, lag=60.0) == (Action.HOLD, "noData"), "but for so long they are"


def test_an_advance_needs_a_poll_as_fresh_as_the_lag_lets_it_be() -> None:
    looked = replace(at(130, evidence(proven=True)), last_data_at=400)
    assert ruled(looked, 250)[0] is Action.CONTINUE
    assert ruled(looked, 195, lag=60.0) == (Action.ADVANCE, "proven")
    assert ruled(looked, 250, lag=60.0)[0] is Action.CONTINUE
