"""What the candidate burns of an error budget, and that nobody has one who did not ask for it."""

from dataclasses import replace

import pytest

from modelrollout.decide.budget import SPAN
from modelrollout.decide.counted import Counted
from modelrollout.decide.evidence import begin, enter_step
from modelrollout.decide.growth import grown
from modelrollout.decide.judge import judge
from modelrollout.decide.mixture import log_limit
from modelrollout.decide.standing import standing
from modelrollout.domain.analysis import AnalysisSettings, StepTiming
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.judgement import Action
from modelrollout.domain.safeguards import Guardrails
from modelrollout.domain.tally import Tally

ERRORS = replace(AnalysisSettings(), metrics=AnalysisSettings().metrics[:1])
WITH_SLO = replace(ERRORS, guardrails=Guardrails(slo=0.999))
TIMING = StepTiming.of(ERRORS)


def begun(settings: AnalysisSettings = WITH_SLO, weight: int = 10) -> Evidence:
    evidence = begin(settings, stable="old", candidate="new", attempt="1", steps=3, at=0)
    return enter_step(evidence, settings, step=0, weight=weight, at=0)


def fed(evidence: Evidence, canary: float, stable: float, settings: AnalysisSettings = WITH_SLO) -> Evidence:
    """One block of ten seconds with 100 and 900 requests."""
    start = evidence.block_start
    errors = Tally(x_canary=100 * canary, n_canary=100, x_stable=900 * stable, n_stable=900)
    block = Counted(start=start, end=start + 10, errors=errors, histograms={}, carried=())
    return replace(grown(evidence, settings, block), last_eval=start + 10, data_ok=True)


def watched(canary: float, stable: float, *, blocks: int, settings: AnalysisSettings = WITH_SLO) -> Evidence:
    evidence = begun(settings)
    for _ in range(blocks):
        evidence = fed(evidence, canary, stable, settings)
    return evidence


def ruled(evidence: Evidence, settings: AnalysisSettings = WITH_SLO) -> tuple[Action, str]:
    found = judge(evidence, settings, TIMING, evidence.block_start, shifted=True)
    return found.action, found.reason


def test_a_candidate_that_burns_too_fast_is_taken_back_at_its_tenth_bad_request() -> None:
    """2 % at 0.999 is 20 times too fast; the comparison with stable's 1.5 % says nothing."""
    evidence = watched(0.02, 0.012, blocks=4)
    assert evidence.guardrail is None
    evidence = fed(evidence, 0.02, 0.012)
    assert standing(evidence, WITH_SLO).log_evidence < log_limit(WITH_SLO.alpha)
    judgement = judge(evidence, WITH_SLO, TIMING, evidence.block_start, shifted=True)
    assert (judgement.action, judgement.reason) == (Action.ROLLBACK, "guardrail:burn")
    assert (
        "the error budget of slo 0.999 burns 20 times too fast over 5 min, and the limit is 14.4" in judgement.sentence
    )


def test_where_stable_burns_as_fast_nothing_is_taken_back() -> None:
    assert watched(0.02, 0.015, blocks=40).guardrail is None


def test_without_an_slo_nobody_has_a_budget() -> None:
    evidence = watched(0.02, 0.012, blocks=10, settings=ERRORS)
    assert (evidence.guardrail, evidence.spans, evidence.budget_spent) == (None, (), 0.0)


def test_what_is_over_for_a_minute_takes_nothing_back() -> None:
    """Eight bad requests are too few; a minute later there are ten in five minutes, but no longer in the last one."""
    evidence = watched(0.02, 0.0, blocks=4)
    for _ in range(7):
        evidence = fed(evidence, 0.0, 0.0)
    assert fed(evidence, 0.02, 0.0).guardrail is None


def test_a_new_step_answers_for_itself_only() -> None:
    evidence = watched(0.02, 0.012, blocks=4)
    evidence = enter_step(evidence, WITH_SLO, step=1, weight=11, at=40)
    assert evidence.spans == ()
    for _ in range(4):
        evidence = fed(evidence, 0.02, 0.012)
    assert evidence.guardrail is None


def test_only_the_last_minutes_are_kept_in_few_spans() -> None:
    evidence = watched(0.001, 0.001, blocks=100)
    assert sum(span.errors.n_canary for span in evidence.spans) == pytest.approx(100 * 30, abs=200)
    assert len(evidence.spans) <= 300 / SPAN * 2


def test_the_worked_example_of_what_is_spent() -> None:
    hours = 8
    evidence = begun()
    for _ in range(hours * 60):
        start = evidence.block_start
        errors = Tally(x_canary=15, n_canary=1000, x_stable=135, n_stable=9000)
        block = Counted(start=start, end=start + 60, errors=errors, histograms={}, carried=())
        evidence = replace(grown(evidence, WITH_SLO, block), guardrail=None)
    assert evidence.budget_spent == pytest.approx(0.1 * 15 * hours / 720)


def test_a_candidate_that_spent_its_share_goes_no_further() -> None:
    evidence = replace(watched(0.001, 0.001, blocks=3), budget_spent=0.021)
    assert ruled(evidence) == (Action.HOLD, "budgetSpent")
    judgement = judge(evidence, WITH_SLO, TIMING, evidence.block_start, shifted=True)
    assert "more than spec.analysis.guardrails.maxBudgetShare (2.00 %) of a month's error budget" in judgement.sentence
    assert ruled(replace(evidence, budget_spent=0.019))[0] is Action.CONTINUE


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"slo": 0.3}, "slo: 0.3 is not possible; write a share from 0.5 to 0.99999"),
        ({"slo": 0.9}, "burn: 14.4 is not possible; write less than 10, which is all"),
        ({"burn": 0.5}, "burn: 0.5 is not possible; write a number from 1"),
        ({"max_budget_share": 0.0}, "maxBudgetShare: 0.0 is not possible; write a share above 0"),
    ],
)
def test_a_budget_that_cannot_be_is_refused_with_what_to_write(wrong: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=f"analysis.guardrails.{told}"):
        Guardrails(**wrong)
