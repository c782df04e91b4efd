"""Requests that the candidate has not answered yet: what it has answered does not tell how quick it is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.decide.blocks import OpenBlock, read_block
from modelrollout.decide.counted import Counted, counted
from modelrollout.decide.evidence import absorb, begin, enter_step
from modelrollout.decide.findings import is_piling
from modelrollout.decide.growth import grown
from modelrollout.decide.judge import judge
from modelrollout.domain.analysis import AnalysisSettings, OnInconclusive, StepTiming
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.judgement import Action
from modelrollout.domain.polls import IN_FLIGHT, REQUESTS, FaultKind, Poll, ProviderFault, Sample, Series
from modelrollout.domain.tally import NO_REQUESTS, Tally
from tests.decide.simulated import ARMS
from tests.decide.test_judge import ERRORS, TIMING, at, evidence

SETTINGS = AnalysisSettings()
NOW, START = 115.0, 100.0


def gauge(revision: str, value: float, *, target: str = "pod-0", last: float = 110.0, name: str = "running") -> Series:
    samples = (Sample(last - 15, 99.0), Sample(last, value))
    return Series(revision=revision, target=target, labels=(("__name__", name),), samples=samples)


def requests(revision: str, rise: float, target: str = "pod-0") -> Series:
    return Series(revision=revision, target=target, labels=(), samples=(Sample(95, 0.0), Sample(110, rise)))


def block_of(*gauges: Series) -> OpenBlock:
    both = (requests("new", 10), requests("old", 40))
    return read_block(
        Poll(at=NOW, answers={REQUESTS: both, IN_FLIGHT: gauges}), ARMS, start=START, scrape_interval=15, warmup=0
    )


def closed(canary: float | None, stable: float | None, *, n: tuple[float, float] = (100.0, 400.0)) -> Counted:
    errors = Tally(n_canary=n[0], n_stable=n[1])
    return Counted(start=0, end=1, errors=errors, histograms={}, carried=(), in_flight=(canary, stable))


def in_step() -> Evidence:
    begun = begin(SETTINGS, stable="old", candidate="new", attempt="1", steps=3, at=0)
    return enter_step(begun, SETTINGS, step=0, weight=20, at=0)


def fed(canary: float | None, stable: float | None, blocks: int = 20) -> Evidence:
    known = in_step()
    for _ in range(blocks):
        known = grown(known, SETTINGS, closed(canary, stable))
    return known


def test_the_last_values_of_all_series_and_pods_of_an_arm_are_summed_up() -> None:
    block = block_of(
        gauge("new", 3),
        gauge("new", 2, name="waiting"),
        gauge("new", 4, target="pod-1"),
        gauge("old", 1),
    )
    found = counted(block, ARMS, None, SETTINGS.metrics)
    assert found.in_flight == (9.0, 1.0)
    assert found.errors == Tally(n_canary=10, n_stable=40), "a gauge is no request"


def test_a_value_of_long_ago_is_none() -> None:
    block = block_of(gauge("new", 3, last=80.0), gauge("old", 1))
    assert counted(block, ARMS, None, ()).in_flight == (None, 1.0)


def test_more_than_twice_stables_per_answered_request_is_piling() -> None:
    assert is_piling(fed(21, 40)), "0.21 each against 0.1"
    assert not is_piling(fed(19, 40))
    assert not is_piling(fed(0.9, 0)), "less than one at a time is chance"
    assert is_piling(fed(2, 0))


def test_without_a_gauge_of_both_arms_nothing_is_known() -> None:
    assert fed(50, None).in_flight == NO_REQUESTS
    assert not is_piling(fed(None, 3))


def test_what_piles_up_late_is_not_hidden_by_what_did_not_before() -> None:
    known = fed(10, 40, blocks=500)
    for _ in range(5):
        known = grown(known, SETTINGS, closed(60, 40))
    assert is_piling(known)
    assert enter_step(known, SETTINGS, step=1, weight=50, at=2).in_flight == NO_REQUESTS


@given(st.floats(0, 1e6), st.floats(1, 1e6), st.floats(0.01, 100))
def test_an_arm_that_is_like_the_other_never_piles(stable: float, n: float, k: float) -> None:
    known = grown(in_step(), SETTINGS, closed(k * stable, stable, n=(k * n, n)))
    assert not is_piling(known)


PILING = Tally(x_canary=50, n_canary=100, x_stable=40, n_stable=400)


def test_proof_waits_while_requests_pile_up_at_the_candidate() -> None:
    known = replace(evidence(proven=True), in_flight=PILING)
    judgement = judge(known, ERRORS, TIMING, 130, shifted=True)
    assert (judgement.action, judgement.reason) == (Action.CONTINUE, "inFlightPiling")
    assert "InFlightPiling" in judgement.flags
    assert "waiting for requests that the candidate has not answered" in judgement.sentence
    calm = replace(known, in_flight=replace(PILING, x_canary=20))
    assert judge(calm, ERRORS, TIMING, 130, shifted=True).reason == "proven"


@pytest.mark.parametrize(
    ("choice", "ruling"),
    [
        (OnInconclusive.ADVANCE, (Action.ADVANCE, "deadline")),
        (OnInconclusive.HOLD, (Action.HOLD, "inconclusive")),
        (OnInconclusive.ROLLBACK, (Action.ROLLBACK, "inconclusive")),
    ],
)
def test_at_the_deadline_it_is_as_if_nothing_were_proven(choice: OnInconclusive, ruling: tuple[Action, str]) -> None:
    settings = replace(ERRORS, on_inconclusive=choice)
    known = at(600, replace(evidence(proven=True), in_flight=PILING))
    found = judge(known, settings, StepTiming.of(settings), 600, shifted=True)
    assert (found.action, found.reason) == ruling


def test_a_gauge_that_cannot_be_asked_for_keeps_nothing_from_being_judged() -> None:
    down = ProviderFault(kind=FaultKind.TOO_LARGE, message="too large", permanent=True)
    answers: dict[str, tuple[Series, ...] | ProviderFault]
    answers = {REQUESTS: (requests("new", 100), requests("old", 400)), "latency": (), IN_FLIGHT: down}
    begun = begin(SETTINGS, stable="old", candidate="new", attempt="1", steps=3, at=START)
    after = absorb(
        enter_step(begun, SETTINGS, step=0, weight=20, at=START), SETTINGS, Poll(at=NOW, answers=answers), ARMS
    )
    assert after.faults == () and after.data_ok
