"""A first look at the metrics: what it sees of stable, and what of that keeps the first step from beginning."""

from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import Any

import pytest

from modelrollout.decide.plan import plan
from modelrollout.decide.preflight import AGAIN, obstacle, outlook, requests_to_prove, seen
from modelrollout.decide.report import status_of
from modelrollout.domain.analysis import AnalysisSettings, Mode, StepTiming
from modelrollout.domain.conditions import Reason
from modelrollout.domain.metrics import LATENCY, Margin, MetricSettings
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Measure
from modelrollout.domain.polls import (
    BAD,
    REQUESTS,
    TARGETS,
    Arm,
    ArmPod,
    Arms,
    FaultKind,
    Poll,
    ProviderFault,
    Sample,
    Series,
)
from modelrollout.domain.preflight import Absent, Preflight
from modelrollout.domain.signals import Counts, SeriesSelector
from tests.builders import GOOD, NOW, STABLE, a_rollout, a_spec, a_workload, looked_at

END = 1000.0
NAMES = {
    REQUESTS: Absent(metric="requests", series="requests_total", needs="a scrape"),
    BAD: Absent(metric="requests", series="failures_total"),
    LATENCY: Absent(metric="latency", series="seconds_bucket", needs="--histograms"),
    "quality": Absent(metric="quality", series="feedback_total"),
    "quality/bad": Absent(metric="quality", series="feedback_total"),
    TARGETS: Absent(metric="targets", series="gateway_up"),
}
GATEWAY = Arms(stable=Arm(revision="old", service="old@gw", ready_at=0), candidate=Arm(revision="new"))
PODS = tuple(ArmPod(name=f"old-{i}", created_at=0, ready_at=0) for i in range(2))
SERVERS = Arms(stable=Arm(revision="old", pods=PODS, ready_at=0), candidate=Arm(revision="new"))
DOWN = ProviderFault(kind=FaultKind.UNREACHABLE, message="Prometheus `default` cannot be reached.")
REFUSED = ProviderFault(kind=FaultKind.REFUSED, message="Prometheus `default` refused the query.", permanent=True)
ANY = SeriesSelector(series=("any",))
TIMING = StepTiming(min_duration=timedelta(minutes=2), deadline=timedelta(minutes=10))
FINE = Preflight(at=END, seconds=300.0, requests=300_000.0, bad=300.0)


def rising(per_second: float, *, bad: bool = False, revision: str = "old", target: str = "old-0") -> Series:
    samples = tuple(Sample(t, per_second * (t - 640)) for t in range(640, 1001, 15))
    return Series(revision=revision, target=target, labels=(), samples=samples, bad=bad)


def witness(target: str = "old-0", value: float = 1.0) -> Series:
    samples = tuple(Sample(t, value) for t in range(640, 1001, 15))
    return Series(revision="", target=target, labels=(), samples=samples)


def look(arms: Arms = SERVERS, settings: AnalysisSettings | None = None, **answers: Any) -> Preflight:
    given = {REQUESTS: (rising(10), rising(1, bad=True)), LATENCY: (rising(10),), TARGETS: (witness(),), **answers}
    return seen(Poll(at=END, answers=given), arms, settings or AnalysisSettings(), NAMES)


def why(looked: Preflight) -> str:
    found = obstacle(looked)
    assert found is not None
    return f"{found.reason}: {found.message}"


# ------------------------------------------------------------------ what is seen


def aged(series: Series, seconds: float) -> Series:
    """Without what was scraped in the last `seconds`, as a remote write brings it."""
    return replace(series, samples=tuple(sample for sample in series.samples if sample.t <= END - seconds))


@pytest.mark.parametrize("arms", [SERVERS, GATEWAY], ids=["servers", "gateway"])
def test_samples_that_come_too_late_are_told_with_what_to_set(arms: Arms) -> None:
    late = look(arms, requests=(aged(rising(10), 90),), targets=(aged(witness(), 90),))
    assert late.late == pytest.approx(91, abs=15)
    assert why(late).startswith("NoData: Prometheus' newest sample is more than 60 s older")
    assert "raise its lag" in why(late)


def test_how_late_samples_are_is_told_roughly_so_that_not_each_look_is_written() -> None:
    told = {why(look(targets=(aged(witness(), age),), requests=(aged(rising(10), age),))) for age in (62, 76, 91)}
    assert len(told) == 1


def test_one_missed_scrape_is_not_late() -> None:
    looked = look(requests=(aged(rising(10), 31),), targets=(aged(witness(), 31),))
    assert looked.late == 0.0 and obstacle(looked) is None


def test_one_arm_s_old_series_is_not_late_while_others_are_fresh() -> None:
    assert look(requests=(aged(rising(10), 200), rising(1, bad=True)), targets=(witness(),)).late == 0.0


def test_a_look_counts_what_stable_did_in_the_last_minutes() -> None:
    looked = look()
    assert looked.requests == pytest.approx(3300, rel=0.05) and looked.bad == pytest.approx(300, rel=0.06)
    assert (looked.faults, looked.absent, looked.unscraped) == ((), (), "")
    assert obstacle(looked) is None


def test_a_query_that_is_refused_can_never_work_and_one_that_is_not_answered_may() -> None:
    assert why(look(latency=REFUSED)).startswith("NoMetrics: Prometheus `default` refused")
    waiting = why(look(requests=DOWN, latency=DOWN))
    assert waiting.startswith("ProviderError: Prometheus `default` cannot be reached. No user is sent")


def test_what_lasts_is_told_before_what_may_pass() -> None:
    assert why(look(requests=DOWN, latency=REFUSED)).startswith("NoMetrics")


def buckets(*bounds: float, revision: str = "old") -> tuple[Series, ...]:
    return tuple(replace(rising(10, revision=revision), le=bound) for bound in (*bounds, inf))


def with_edges(*edges: float) -> AnalysisSettings:
    return AnalysisSettings(metrics=(MetricSettings.of("latency", edges=edges),))


def test_an_edge_at_which_no_bucket_ends_is_told_with_those_next_to_it() -> None:
    told = why(look(settings=with_edges(0.25, 0.3), latency=buckets(0.25, 0.5, 1.0)))
    assert told.startswith("NoMetrics: spec.analysis.metrics: edges of latency: no bucket of stable's histogram ends")
    assert "at 0.3 s" in told
    assert "Write 0.25 or 0.5 instead" in told
    assert "Write 1 instead" in why(look(settings=with_edges(7.0), latency=buckets(0.25, 0.5, 1.0)))


def test_edges_at_which_buckets_end_stand_in_nobodys_way() -> None:
    """0.3 s out of 300 ms is not quite 0.3."""
    assert obstacle(look(settings=with_edges(0.1 + 0.2, 1.0), latency=buckets(0.3, 1.0))) is None
    assert look(settings=with_edges(0.3), latency=buckets(0.25, revision="new")).uncounted == ()


def test_a_series_that_nothing_exports_while_requests_flow_is_a_wrong_name() -> None:
    told = why(look(latency=()))
    assert "nothing of stable exports seconds_bucket, by which latency is compared. It needs --histograms." in told
    assert "requiredForAdvance" in told


def test_without_requests_nothing_is_known_of_names() -> None:
    looked = look(requests=(), latency=())
    assert looked.requests == 0 and obstacle(looked) is None
    assert outlook(looked, AnalysisSettings(), TIMING, 5, 1.0).reason is Reason.NO_DATA


def test_series_of_others_do_not_stand_for_stables() -> None:
    assert look(latency=(rising(10, revision="new"),)).absent == (NAMES[LATENCY],)


def test_bad_ones_may_be_absent_and_what_no_advance_waits_for_too() -> None:
    quality = MetricSettings.of("quality", signal=Counts(total=ANY, bad=ANY))
    settings = AnalysisSettings(metrics=(*AnalysisSettings().metrics, quality))
    answers: dict[str, Any] = {"quality": (), "quality/bad": ()}
    assert [each.metric for each in look(settings=settings, **answers).absent] == ["quality"]
    optional = replace(settings, metrics=(*settings.metrics[:2], replace(quality, required_for_advance=False)))
    assert look(settings=optional, **answers).absent == ()


@pytest.mark.parametrize("targets", [(), (witness(value=0.0),), (witness(target="other-0"),)])
def test_pods_that_are_not_scraped_are_told(targets: tuple[Series, ...]) -> None:
    assert "has no target that is up for old-0" in why(look(targets=targets))


def test_one_pod_that_is_scraped_is_enough_to_begin() -> None:
    assert look(targets=(witness(), witness("old-1", 0.0))).unscraped == ""


def test_pods_that_have_only_just_become_ready_are_not_missed_yet() -> None:
    young = tuple(replace(pod, ready_at=END - 30) for pod in PODS)
    arms = replace(SERVERS, stable=replace(SERVERS.stable, pods=young, ready_at=END - 30))
    assert look(arms, targets=()).unscraped == ""


def test_a_gateway_that_is_not_scraped_is_told_with_the_setting() -> None:
    told = why(look(arms=GATEWAY, targets=()))
    assert "exports gateway_up" in told and "MODELROLLOUT_GATEWAY" in told
    assert look(arms=GATEWAY, targets=(witness("job/gw"),)).unscraped == ""


def test_series_that_count_different_things_are_told_first() -> None:
    assert why(replace(FINE, instruments="Two runtimes.", faults=(DOWN,))) == "NoMetrics: Two runtimes."


# ------------------------------------------------------------------ what can be decided in time


def expect(weight: int = 20, phi: float = 1.0, **changes: Any) -> tuple[Reason, str]:
    found = outlook(replace(FINE, **changes), AnalysisSettings(), TIMING, weight, phi)
    return found.reason, found.message


def test_with_traffic_enough_it_is_said_how_long_proof_takes() -> None:
    reason, message = expect()
    assert reason is Reason.NOT_ANALYSED
    assert message.startswith("About 10 000 requests of the candidate at 20 % prove")
    assert "50 seconds at the present traffic" in message and "A doubling of its errors is found after about" in message


def test_proof_beyond_the_deadline_is_told_with_what_then_ends_the_step() -> None:
    reason, message = expect(requests=6_000.0, bad=6.0)
    assert reason is Reason.LOW_SAMPLE
    assert "That is beyond the deadline: the step then ends by onInconclusive, advance." in message


def test_too_little_traffic_for_min_requests_is_told_with_what_to_change() -> None:
    reason, message = expect(weight=5, requests=300.0, bad=0.0)
    assert reason is Reason.LOW_SAMPLE
    assert "about 30 requests reach the candidate at 5 % by the deadline, and minRequests is 100" in message


def test_bursts_take_as_many_times_longer() -> None:
    assert "About 20 000 requests" in expect(phi=2.0)[1]


def test_without_errors_a_doubling_means_nothing() -> None:
    assert "doubling" not in expect(bad=0.0)[1]


@pytest.mark.parametrize(("weight", "expected"), [(0.05, 5000), (0.5, 5000)])
def test_proof_without_errors_takes_five_over_the_margin(weight: float, expected: float) -> None:
    margin = Margin(ratio=1.5, absolute=0.001)
    assert requests_to_prove(stable_rate=0.0, weight=weight, margin=margin, beta=0.05) == pytest.approx(
        expected, rel=0.1
    )


def test_what_can_never_be_proven_takes_for_ever() -> None:
    assert requests_to_prove(stable_rate=0.0, weight=0.2, margin=Margin(ratio=1.5, absolute=0), beta=0.05) == inf
    metrics = (MetricSettings.of("errors", non_inferiority=(1.5, 0.0)),)
    found = outlook(replace(FINE, bad=0.0), AnalysisSettings(metrics=metrics), TIMING, 20, 1.0)
    assert "infinitely many" in found.message and "for ever" in found.message and found.reason is Reason.LOW_SAMPLE


# ------------------------------------------------------------------ in the plan


def preparing(**looked: Any) -> Observed:
    observed = a_rollout(0, target=10)
    return replace(observed, evidence=looked_at(observed.intent, **looked))


def told_of(observed: Observed) -> dict[str, Any]:
    status = status_of(observed, plan(observed, NOW), (), NOW).mapping
    return {each["type"]: each for each in status["conditions"]} | {"phase": status["phase"]}


def test_the_metrics_are_looked_at_while_the_first_step_is_being_prepared() -> None:
    pods = (a_workload(STABLE.revision), a_workload(GOOD.revision, ready=0, replicas=1))
    answer = plan(replace(a_rollout(0, target=10, workloads=pods), evidence=None), NOW)
    asked = [action for action in answer.actions if isinstance(action, Measure)]
    assert [each.preflight for each in asked] == [NOW.timestamp()]
    assert answer.reason is Reason.WAITING_FOR_CAPACITY


def test_the_first_weight_waits_for_the_look() -> None:
    observed = replace(a_rollout(0, target=10), evidence=None)
    assert plan(observed, NOW).reason is Reason.CHECKING_METRICS
    raised = plan(preparing(), NOW).intent
    assert raised is not None and raised.weight == 10


def test_an_obstacle_keeps_the_first_weight_and_is_told_and_looked_at_again() -> None:
    observed = preparing(faults=(REFUSED,))
    answer = plan(observed, NOW)
    assert (answer.intent, answer.reason) == (None, Reason.NO_METRICS)
    assert answer.wake_after == AGAIN - timedelta(seconds=5)
    told = told_of(observed)
    assert told["Stalled"]["reason"] == told["AnalysisHealthy"]["reason"] == "NoMetrics"
    assert told["phase"] == "Degraded"
    later = plan(observed, NOW + AGAIN)
    assert [each.preflight for each in later.actions if isinstance(each, Measure)] == [(NOW + AGAIN).timestamp()]


def test_a_provider_that_is_away_is_waited_for_without_a_stall() -> None:
    told = told_of(preparing(faults=(DOWN,)))
    assert told["Stalled"]["status"] == "False" and told["phase"] == "Progressing"
    assert (told["AnalysisHealthy"]["status"], told["AnalysisHealthy"]["reason"]) == ("Unknown", "ProviderError")


def test_what_cannot_be_decided_in_time_is_told_and_keeps_nothing() -> None:
    pods = (a_workload(STABLE.revision), a_workload(GOOD.revision, ready=0, replicas=1))
    scarce = preparing(requests=60.0, bad=0.0)
    told = told_of(replace(scarce, workloads=pods))
    assert told["AnalysisHealthy"]["reason"] == "LowSample" and "minRequests" in told["AnalysisHealthy"]["message"]
    assert plan(scarce, NOW).intent is not None


def test_later_steps_and_spec_without_analysis_wait_for_no_look() -> None:
    later = plan(a_rollout(10, target=30), NOW)
    assert later.intent is not None and later.intent.weight == 30
    silent = a_spec("2", mode=Mode.NONE)
    first = a_rollout(0, target=10, desired=silent, intent={"analysis": silent.analysis_text})
    answer = plan(replace(first, evidence=None), NOW)
    assert answer.intent is not None and answer.intent.weight == 10


def test_a_promoted_candidate_waits_for_no_look() -> None:
    answer = plan(replace(a_rollout(0, target=100, intent={"promote": True}), evidence=None), NOW)
    assert answer.intent is not None and answer.intent.weight == 100


def test_a_look_that_found_nothing_is_not_repeated() -> None:
    pods = (a_workload(STABLE.revision), a_workload(GOOD.revision, ready=0, replicas=1))
    answer = plan(replace(preparing(), workloads=pods), NOW + timedelta(minutes=5))
    assert not any(isinstance(action, Measure) for action in answer.actions)


# ------------------------------------------------------------------ an slo that no bucket can tell


def promised(within: float) -> AnalysisSettings:
    return AnalysisSettings(metrics=(MetricSettings.of("latency", slo=(within, 0.99)),))


def test_an_slo_between_two_bounds_keeps_the_first_step_and_tells_the_nearest() -> None:
    looked = look(settings=promised(0.4), latency=buckets(0.1, 0.3, 0.5, 2.5))
    assert why(looked) == (
        "NoMetrics: spec.analysis.metrics: slo.within of latency: no bucket of stable's histogram ends at 0.4 s, so "
        "nothing counts what is slower. Write 0.3 or 0.5 instead, or leave it out."
    )


@pytest.mark.parametrize(("within", "nearest"), [(9.0, "Write 2.5 instead"), (0.01, "Write 0.1 instead")])
def test_an_slo_beyond_all_bounds_has_one_neighbour(within: float, nearest: str) -> None:
    assert nearest in why(look(settings=promised(within), latency=buckets(0.1, 2.5)))


def test_an_slo_at_a_bound_or_without_any_bucket_seen_stands_in_no_way() -> None:
    assert obstacle(look(settings=promised(0.3), latency=buckets(0.1, 0.3))) is None
    assert obstacle(look(settings=promised(0.3), latency=(*buckets(0.1, revision="new"), *buckets()))) is None
