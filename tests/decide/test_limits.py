"""An error rate that no candidate may have, and who is blamed where both have it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelrollout.decide import limits
from modelrollout.decide.counted import Counted
from modelrollout.decide.evidence import absorb, begin, enter_step, measure_since, polls_due
from modelrollout.decide.growth import grown
from modelrollout.decide.judge import judge
from modelrollout.domain.analysis import AnalysisSettings, OnHoldTimeout, StepTiming
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.judgement import Action, Verdict
from modelrollout.domain.safeguards import Guardrails
from modelrollout.domain.tally import Tally
from tests.decide.simulated import ARMS, World, roll_out

ERRORS = replace(AnalysisSettings(), metrics=AnalysisSettings().metrics[:1])
ONE_PERCENT = replace(ERRORS, guardrails=Guardrails(error_rate_max=0.01))
TIMING = StepTiming.of(ERRORS)
RPS = 50.0
STEPS = (10, 25, 50)


def begun(weight: int = 20, settings: AnalysisSettings = ERRORS) -> Evidence:
    evidence = begin(settings, stable="old", candidate="new", attempt="1", steps=len(STEPS), at=0)
    return enter_step(evidence, settings, step=0, weight=weight, at=0)


def fed(evidence: Evidence, errors: Tally, *, seconds: float = 1.0, settings: AnalysisSettings = ERRORS) -> Evidence:
    start = evidence.block_start
    block = Counted(start=start, end=start + seconds, errors=errors, histograms={}, carried=())
    return replace(grown(evidence, settings, block), last_eval=start + seconds, data_ok=True)


def a_second(weight: int, canary: float, stable: float) -> Tally:
    """One second in which each arm fails exactly its rate."""
    nc, ns = RPS * weight / 100, RPS * (100 - weight) / 100
    return Tally(x_canary=canary * nc, n_canary=nc, x_stable=stable * ns, n_stable=ns)


def ruled(evidence: Evidence, settings: AnalysisSettings = ERRORS) -> tuple[Action, str]:
    found = judge(evidence, settings, TIMING, evidence.block_start, shifted=True)
    return found.action, found.reason


def test_a_rate_above_the_limit_is_taken_back_where_stable_has_nothing_to_compare_with() -> None:
    evidence = begun()
    while evidence.guardrail is None and evidence.block_seq < 100:
        evidence = fed(evidence, Tally(x_canary=2, n_canary=10))
    assert evidence.block_seq <= 12
    assert evidence.regression is None, "without stable's requests the comparison says nothing"
    judgement = judge(evidence, ERRORS, TIMING, evidence.block_start, shifted=True)
    assert (judgement.action, judgement.reason) == (Action.ROLLBACK, "guardrail:slo")
    assert judgement.verdict is Verdict.FAIL
    assert judgement.verdicts[0].reason == "guardrail:slo"
    assert judgement.sentence.startswith("Rolled back at 20 %: candidate fails 20.00 % of its requests (")
    assert judgement.sentence.endswith("and errorRateMax is 5.00 %.")


def test_the_guardrail_stays_whatever_comes_later() -> None:
    evidence = begun()
    while evidence.guardrail is None:
        evidence = fed(evidence, Tally(x_canary=2, n_canary=10))
    for _ in range(50):
        evidence = fed(evidence, a_second(20, 0.0, 0.0))
    assert ruled(evidence) == (Action.ROLLBACK, "guardrail:slo")


def test_both_at_twice_the_limit_from_the_start_hold_and_nobody_is_blamed() -> None:
    evidence = begun(settings=ONE_PERCENT)
    for _ in range(40):
        evidence = fed(evidence, Tally(x_canary=6, n_canary=300, x_stable=24, n_stable=1200), settings=ONE_PERCENT)
    assert evidence.guardrail is None
    assert evidence.regression is None
    judgement = judge(evidence, ONE_PERCENT, TIMING, evidence.block_start, shifted=True)
    assert (judgement.action, judgement.reason) == (Action.HOLD, "stableUnhealthy")
    assert "candidate fails 2.00 % of its requests (120 of 6 000), stable 2.00 % in the last 20 s" in judgement.sentence
    assert "raise spec.analysis.guardrails.errorRateMax" in judgement.sentence


@pytest.mark.parametrize("rate", [0.08, 0.2, 0.6])
@pytest.mark.parametrize("weight", [10, 25, 50, 75])
def test_a_fault_that_both_share_holds_at_every_weight_however_long_all_was_well(weight: int, rate: float) -> None:
    """Stable has had far more good requests than the candidate by then: they must not excuse it."""
    evidence = begun(10)
    for second in range(240):
        evidence = fed(evidence, a_second(10, 0.005, 0.005))
        assert ruled(evidence)[0] is not Action.ROLLBACK, second
    evidence = enter_step(evidence, ERRORS, step=1, weight=weight + 1, at=240)
    for _ in range(60):
        evidence = fed(evidence, a_second(weight, 0.005, 0.005))
    for _ in range(2400):
        evidence = fed(evidence, a_second(weight, rate, rate))
        if evidence.limits[0].excused_at is not None:
            break
    assert ruled(evidence) == (Action.HOLD, "stableUnhealthy")
    lasted = evidence.block_seq
    while evidence.limits[0].excused_at is not None and evidence.block_seq < 6 * lasted:
        evidence = fed(evidence, a_second(weight, 0.005, 0.005))
        assert ruled(evidence)[0] is not Action.ROLLBACK, "the end of a shared fault blames the candidate"
    assert evidence.limits[0].excused_at is None
    assert ruled(evidence)[1] != "stableUnhealthy"


def test_a_candidate_that_stays_bad_when_stable_has_recovered_is_taken_back() -> None:
    evidence = begun(20)
    for _ in range(60):
        evidence = fed(evidence, a_second(20, 0.2, 0.2))
    assert ruled(evidence) == (Action.HOLD, "stableUnhealthy")
    for _ in range(60):
        evidence = fed(evidence, a_second(20, 0.2, 0.005))
    assert ruled(evidence)[0] is Action.ROLLBACK


@pytest.mark.parametrize("settings", [ERRORS, ONE_PERCENT])
def test_the_end_of_a_shared_fault_ends_the_hold_soon(settings: AnalysisSettings) -> None:
    evidence = begun(20, settings)
    for _ in range(120):
        evidence = fed(evidence, a_second(20, 0.3, 0.3), settings=settings)
    assert ruled(evidence, settings) == (Action.HOLD, "stableUnhealthy")
    lasted = 0
    while ruled(evidence, settings)[1] == "stableUnhealthy" and lasted < 600:
        evidence = fed(evidence, a_second(20, 0.002, 0.002), settings=settings)
        lasted += 1
    assert lasted <= 60
    for _ in range(600):
        evidence = fed(evidence, a_second(20, 0.002, 0.002), settings=settings)
        assert ruled(evidence, settings)[0] is not Action.ROLLBACK


@pytest.mark.parametrize(("seconds", "stable"), [(300, 0.09), (2, 0.5)], ids=["always worse", "a moment"])
def test_at_all_traffic_stable_does_not_answer_for_what_comes(seconds: int, stable: float) -> None:
    evidence = begun(50)
    for _ in range(300):
        evidence = fed(evidence, a_second(50, 0.005, 0.005))
    for _ in range(seconds):
        evidence = fed(evidence, a_second(50, 0.005, stable))
    evidence = enter_step(evidence, ERRORS, step=3, weight=100, at=evidence.block_start)
    begun_at = evidence.block_seq
    while evidence.guardrail is None and evidence.block_seq < begun_at + 60:
        evidence = fed(evidence, Tally(x_canary=45, n_canary=50))
    assert evidence.block_seq - begun_at < 10


def test_a_shared_fault_just_before_all_traffic_is_not_the_candidates() -> None:
    evidence = begun(50)
    for _ in range(20):
        evidence = fed(evidence, a_second(50, 0.4, 0.4))
    evidence = enter_step(evidence, ERRORS, step=3, weight=100, at=evidence.block_start)
    for _ in range(300):
        evidence = fed(evidence, Tally(x_canary=0.25, n_canary=50))
    assert evidence.guardrail is None


def test_a_late_fault_of_the_candidate_is_found_although_its_first_steps_were_good() -> None:
    """The part that begins with the step has not seen the good requests; stable is out of the comparison here."""
    evidence = begun(10)
    for _ in range(600):
        evidence = fed(evidence, a_second(10, 0.005, 0.005))
    evidence = enter_step(evidence, ERRORS, step=1, weight=25, at=600)
    before = evidence.block_seq
    while evidence.guardrail is None and evidence.block_seq < before + 60:
        evidence = fed(evidence, Tally(x_canary=2, n_canary=10))
    assert evidence.block_seq - before < 15


def test_at_full_weight_a_candidate_that_goes_bad_is_still_found_from_raw_counters() -> None:
    settings = replace(AnalysisSettings(warmup=timedelta(0)), poll=timedelta(seconds=1))
    world = World(seed=1, rps=50)
    ending = roll_out(world, settings)
    before = ending.evidence
    assert (ending.judgement.action, before.guardrail) == (Action.ADVANCE, None)
    world.weight = 100
    evidence = enter_step(before, settings, step=3, weight=100, at=world.now)
    turns = world.now + 30
    while evidence.guardrail is None and world.now < turns + 60:
        world.rate_new = 0.5 if world.now >= turns else 0.005
        world.run_to(world.now + 0.5)
        for at in polls_due(evidence, settings, world.now):
            evidence = absorb(evidence, settings, world.poll(at, measure_since(evidence)), ARMS)
    assert evidence.guardrail is not None
    assert evidence.guardrail.at - turns < 30
    assert evidence.block_seq - before.block_seq > 20, "no block waits for requests of stable"
    assert evidence.metrics == enter_step(before, settings, step=3, weight=100, at=0).metrics, "nothing is compared"
    judgement = judge(evidence, settings, TIMING, world.now, shifted=True)
    assert (judgement.action, judgement.reason) == (Action.ROLLBACK, "guardrail:slo")
    assert judgement.sentence.startswith("Rolled back at 100 %: candidate fails ")


def test_fewer_bad_requests_than_min_bad_fire_nothing() -> None:
    careful = replace(ERRORS, min_bad=50)
    evidence = begun(settings=careful)
    for _ in range(12):
        evidence = fed(evidence, Tally(x_canary=4, n_canary=10), settings=careful)
    assert limits.log_evidence(evidence, careful) > 10
    assert evidence.guardrail is None


def test_counts_that_cannot_be_are_left_out() -> None:
    evidence = fed(begun(), Tally(x_canary=11, n_canary=10))
    assert evidence.limits == begun().limits


def test_a_candidate_at_the_limit_is_never_taken_back_by_its_expected_counts() -> None:
    evidence = begun()
    for _ in range(2000):
        evidence = fed(evidence, a_second(20, 0.05, 0.05))
    assert evidence.guardrail is None
    assert limits.log_evidence(evidence, ERRORS) < 0.1


def test_a_hold_for_stables_sake_counts_from_when_both_were_found() -> None:
    chosen = replace(ERRORS, on_hold_timeout=OnHoldTimeout.ROLLBACK, hold_timeout=timedelta(seconds=30))
    evidence = begun(settings=chosen)
    while evidence.limits[0].excused_at is None:
        evidence = fed(evidence, a_second(20, 0.2, 0.2), settings=chosen)
    since = evidence.limits[0].excused_at
    held = judge(evidence, chosen, TIMING, evidence.block_start, shifted=True)
    assert held.hold_since == since
    later = replace(evidence, last_eval=since + 31)
    assert judge(later, chosen, TIMING, since + 31, shifted=True).reason == "holdTimeout"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"error_rate_max": 0.5}, "analysis.guardrails.errorRateMax: 0.5 is not possible; write a rate above 0"),
        ({"error_rate_max": 0.0}, "analysis.guardrails.errorRateMax: 0.0 is not possible"),
        ({"alpha_slo": 0.3}, "analysis.guardrails.alphaSlo: 0.3 is not possible; write a number above 0, at most 0.2"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_with_what_to_write(wrong: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Guardrails(**wrong)
