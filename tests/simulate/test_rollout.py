"""One simulated rollout: it moves on as the operator's own rules say."""

from datetime import timedelta

import pytest

from modelrollout.domain.analysis import Mode, OnHoldTimeout, OnInconclusive
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import Pause, RolloutPlan, RouterName, Step, Traffic
from modelrollout.domain.safeguards import Guardrails
from modelrollout.simulate.rollout import Ending, Run, roll_out
from modelrollout.simulate.scenario import Lognormal, Scenario, Version
from tests.simulate.specs import by_errors, deployment, scenario

THREE_MINUTES = 180.0


def test_a_healthy_candidate_goes_up_the_ladder() -> None:
    run = roll_out(deployment(), scenario(), seed=1)
    assert run.ending is Ending.PROMOTED
    assert [step.weight for step in run.steps] == [10, 30, 60, 100]
    assert run.steps[-1].seconds == pytest.approx(30, abs=6)
    assert all(60 <= step.seconds <= THREE_MINUTES + 40 for step in run.steps[:-1])
    assert run.getting_ready == pytest.approx(30, abs=1)
    assert run.seconds == pytest.approx(run.getting_ready + sum(step.seconds for step in run.steps), abs=1)


def test_a_failing_candidate_is_taken_back_and_its_bad_answers_are_counted() -> None:
    run = roll_out(deployment(), scenario(0.5), seed=1)
    assert (run.ending, run.reason, run.culprit) == (Ending.ROLLED_BACK, "regression", "errors")
    assert run.seconds_to_rollback is not None and run.seconds_from_first_bad is not None
    assert 0 < run.seconds_from_first_bad < run.seconds_to_rollback < 40
    assert 0 < run.bad < run.requests
    assert run.steps[0].by == "rolled back"


def test_a_slow_candidate_is_taken_back_for_its_latency() -> None:
    slow = Version(error_rate=0.005, latency=Lognormal(median=0.2))
    run = roll_out(deployment(), Scenario(requests_per_second=100, candidate=slow), seed=1)
    assert (run.ending, run.culprit) == (Ending.ROLLED_BACK, "latency")


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    runs = [roll_out(by_errors(), scenario(0.02), seed=seed) for seed in (5, 5, 6)]
    assert runs[0] == runs[1] != runs[2]


def test_a_candidate_that_turns_is_found_from_then_on() -> None:
    run = roll_out(by_errors(), scenario(0.5, good_for=50.0), seed=2)
    assert run.ending is Ending.ROLLED_BACK
    assert run.seconds_to_rollback is not None
    assert run.seconds - run.getting_ready == pytest.approx(run.seconds_to_rollback + 50, abs=0.1)


def test_too_few_requests_hold_the_first_step_until_a_person_has_to_decide() -> None:
    run = roll_out(by_errors(hold_timeout=timedelta(minutes=5)), scenario(rps=0.5), seed=1)
    assert (run.ending, run.reason) == (Ending.HELD, "insufficientTraffic")
    assert [step.weight for step in run.steps] == [10]


def test_a_hold_for_want_of_traffic_ends_when_there_has_been_enough() -> None:
    """100 requests of the candidate take 1 000 seconds at 10 % of one a second."""
    desired = by_errors(rollout=RolloutPlan(steps=(Step(weight=10),)))
    run = roll_out(desired, scenario(rps=1), seed=1)
    assert run.ending is Ending.PROMOTED
    assert 700 < run.steps[0].seconds < 1500


@pytest.mark.parametrize(
    ("wish", "ending", "reason"),
    [(OnInconclusive.ROLLBACK, Ending.ROLLED_BACK, "inconclusive"), (OnInconclusive.HOLD, Ending.HELD, "inconclusive")],
)
def test_the_spec_says_what_an_undecided_deadline_means(wish: OnInconclusive, ending: Ending, reason: str) -> None:
    run = roll_out(by_errors(on_inconclusive=wish), scenario(rps=8), seed=3)
    assert (run.ending, run.reason) == (ending, reason)


def test_a_held_rollout_is_taken_back_where_the_spec_says_so() -> None:
    run = roll_out(
        by_errors(
            on_inconclusive=OnInconclusive.HOLD,
            hold_timeout=timedelta(minutes=5),
            on_hold_timeout=OnHoldTimeout.ROLLBACK,
        ),
        scenario(rps=15),
        seed=3,
    )
    assert (run.ending, run.reason) == (Ending.ROLLED_BACK, "holdTimeout")


def stepped(*steps: Step, **changes: timedelta) -> RolloutPlan:
    return RolloutPlan(steps=steps, bake=changes.get("bake", timedelta(seconds=30)))


def test_a_step_that_waits_for_a_person_lasts_until_the_person_comes() -> None:
    desired = by_errors(rollout=stepped(Step(weight=50, pause=Pause())))
    at_once, later = (roll_out(desired, scenario(approve_after=after), seed=1) for after in (0.0, 600.0))
    assert at_once.ending is later.ending is Ending.PROMOTED
    assert later.steps[0].seconds == pytest.approx(at_once.steps[0].seconds + 600, abs=1)


def test_a_step_with_a_pause_lasts_at_least_so_long() -> None:
    desired = by_errors(rollout=stepped(Step(weight=50, pause=Pause(duration=timedelta(minutes=20)))))
    run = roll_out(desired, scenario(), seed=1)
    assert run.steps[0].seconds == pytest.approx(1200 + 30, abs=20)


def test_a_steps_own_times_count() -> None:
    step = Step(weight=50, min_duration=timedelta(minutes=6), deadline=timedelta(minutes=8))
    run = roll_out(by_errors(rollout=stepped(step)), scenario(), seed=1)
    assert 360 <= run.steps[0].seconds <= 480 + 35


def test_without_analysis_steps_go_by_time_and_nothing_is_caught() -> None:
    run = roll_out(deployment(mode=Mode.NONE), scenario(0.5), seed=1)
    assert run.ending is Ending.PROMOTED
    assert [step.by for step in run.steps] == ["time", "time", "time", "bake"]
    seconds = [step.seconds for step in run.steps]
    assert seconds[:3] == pytest.approx([60, 60 + 30, 60], abs=1), "minDuration; one of two stable pods carries 30 %"


def test_what_is_only_observed_goes_by_time_too() -> None:
    run = roll_out(deployment(mode=Mode.OBSERVE), scenario(0.5), seed=1)
    assert (run.ending, run.seconds_to_rollback) == (Ending.PROMOTED, None)
    assert [step.by for step in run.steps] == ["time", "time", "time", "bake"]


def test_without_steps_everything_moves_at_once() -> None:
    run = roll_out(by_errors(rollout=stepped()), scenario(), seed=1)
    assert (run.ending, [step.weight for step in run.steps]) == (Ending.PROMOTED, [100])


def test_without_steps_a_candidate_that_fails_too_often_is_taken_back_in_the_bake() -> None:
    run = roll_out(by_errors(rollout=stepped()), scenario(0.5), seed=1)
    assert (run.ending, run.reason, run.culprit) == (Ending.ROLLED_BACK, "guardrail:slo", "errors")
    assert run.seconds_to_rollback is not None and run.seconds_to_rollback < 60


def test_pods_that_never_get_ready_in_time_are_given_up() -> None:
    run = roll_out(by_errors(ready_timeout=timedelta(minutes=1)), scenario(ready_after=90.0), seed=1)
    assert (run.ending, run.reason, run.requests) == (Ending.ROLLED_BACK, "NotReadyInTime", 0)
    assert run.seconds_to_rollback is None


def test_without_a_gateway_the_share_is_what_the_pods_make_it() -> None:
    desired = by_errors(
        source=Source.SERVER, traffic=Traffic(router=RouterName.REPLICA_RATIO), rollout=stepped(Step(weight=25))
    )
    run = roll_out(desired, scenario(pods=3, rps=100), seed=1)
    assert run.ending is Ending.PROMOTED
    assert run.requests / (100 * run.steps[0].seconds) == pytest.approx(0.25, rel=0.2), "one pod beside three"


def test_latency_without_series_is_never_proven() -> None:
    run = roll_out(deployment(), scenario(latency=None), seed=1)
    assert [step.by for step in run.steps] == ["deadline", "deadline", "deadline", "bake"]
    assert not run.proven


def test_proof_of_every_step_makes_a_proven_run() -> None:
    run: Run = roll_out(by_errors(), scenario(rps=2000), seed=1)
    assert run.proven
    assert {step.by for step in run.steps} == {"proven", "bake"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"requests_per_second": 0.0}, "requests per second"),
        ({"scrape": 90.0}, "scrape"),
        ({"pods": 0}, "pods"),
        ({"good_for": -1.0}, "good_for"),
        ({"bounds": (0.5, 0.1)}, "bounds"),
        ({"candidate": Version(latency=None)}, "latency"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused_by_name(change: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: .*write"):
        Scenario(**{"requests_per_second": 1.0, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [lambda: Lognormal(median=0), lambda: Lognormal(sigma=9), lambda: Version(error_rate=2)]
)
def test_a_version_that_cannot_be_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="is not possible; write"):
        wrong()  # type: ignore[operator]


def test_a_service_that_burns_its_budget_never_begins_and_one_that_keeps_it_does() -> None:
    strict = by_errors(guardrails=Guardrails(slo=0.9999), hold_timeout=timedelta(minutes=10))
    run = roll_out(strict, scenario(), seed=1)
    assert (run.ending, run.reason, run.requests, run.steps) == (Ending.HELD, "ServiceBurning", 0, ())
    kept = roll_out(by_errors(guardrails=Guardrails(slo=0.99)), scenario(), seed=1)
    assert kept.ending is Ending.PROMOTED
