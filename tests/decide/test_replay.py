"""An operator that dies at any moment and asks again ends with the evidence of one that never did."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.decide.evidence import absorb, begin, enter_step, measure_since, polls_due
from modelrollout.decide.evidence_document import from_document, to_document
from modelrollout.decide.judge import judge
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.polls import Poll, Series
from tests.decide.simulated import ARMS, QUICK, World

SETTINGS = AnalysisSettings(warmup=timedelta(0))
STEPS = ((65.0, 20), (125.0, 50))
END = 185.0
TICK = 0.5


@cache
def finished_world(scrape: float) -> World:
    """Everything that was ever scraped; a poll sees only what was there at its time."""
    world = World(seed=7, rps=60, rate_new=0.01, scrape=scrape)
    for at, weight in STEPS:
        world.run_to(at)
        world.weight = weight
    world.run_to(END)
    return world


def scraped(scrape: float, at: float, since: float, lost: frozenset[int]) -> Poll:
    """The answer at `at`, without the scrapes of lost seconds."""

    def without(series: Series) -> Series:
        return replace(series, samples=tuple(s for s in series.samples if int(s.t) not in lost))

    poll = finished_world(scrape).poll(at, since)
    answers = {
        name: tuple(without(series) for series in answer)
        for name, answer in poll.answers.items()
        if isinstance(answer, tuple)
    }
    return replace(poll, answers=answers)


def stored(evidence: Evidence) -> str:
    return json.dumps(to_document(evidence), allow_nan=False)


def followed(
    scrape: float,
    lost: frozenset[int] = frozenset(),
    *,
    crashes: Iterable[tuple[float, float]] = (),
    every: int = 1,
    sparing: bool = True,
) -> Evidence:
    """The evidence at the end.

    `crashes`: when, and for how long; a checkpoint at each `every`-th poll and each step. `sparing`: no more samples
    are asked for than the next poll needs.
    """
    evidence = begin(SETTINGS, stable="old", candidate="new", attempt="1", steps=len(STEPS), at=STEPS[0][0])
    away = sorted(crashes)
    for step, (at, weight) in enumerate(STEPS):
        evidence = enter_step(evidence, SETTINGS, step=step, weight=weight, at=at)
        checkpoint, polls, now = stored(evidence), 0, at
        until = STEPS[step + 1][0] if step + 1 < len(STEPS) else END
        while now < until:
            now += TICK
            if any(begun <= now < begun + seconds for begun, seconds in away) and now < until:
                evidence = from_document(json.loads(checkpoint))
                continue
            while due := polls_due(evidence, SETTINGS, now):
                for time in due:
                    since = measure_since(evidence) if sparing else -inf
                    evidence = absorb(evidence, SETTINGS, scraped(scrape, time, since, lost), ARMS)
                    polls += 1
                    checkpoint = stored(evidence) if polls % every == 0 else checkpoint
    return evidence


CRASHES = st.lists(st.tuples(st.floats(STEPS[0][0], END), st.floats(0.0, 40.0)), min_size=1, max_size=4)

LOST = st.builds(
    lambda singles, start, length: singles | frozenset(range(start, start + length)),
    st.frozensets(st.integers(60, 185), max_size=20),
    st.integers(60, 150),
    st.integers(0, 50),
)
"""Seconds whose scrapes failed: some here and there, and many in a row."""


@pytest.mark.parametrize("scrape", [1.0, 5.0])
@given(crashes=CRASHES, every=st.integers(1, 40), lost=LOST)
@settings(max_examples=5, deadline=None, derandomize=True)
def test_an_operator_that_dies_and_comes_back_has_missed_nothing(
    scrape: float, crashes: list[tuple[float, float]], every: int, lost: frozenset[int]
) -> None:
    live = followed(scrape, lost)
    again = followed(scrape, lost, crashes=crashes, every=every, sparing=False)
    assert again == live
    assert judge(again, SETTINGS, QUICK, END, shifted=True) == judge(live, SETTINGS, QUICK, END, shifted=True)


@pytest.mark.parametrize("scrape", [1.0, 5.0])
def test_a_step_asked_for_from_its_beginning_at_its_end_gives_the_same_evidence(scrape: float) -> None:
    live = followed(scrape)
    late = followed(scrape, crashes=[(at, 59.4) for at, _ in STEPS], every=10_000)
    assert live.block_seq > 10
    assert late == live


def test_a_checkpoint_that_lags_has_lost_something_until_it_is_asked_for() -> None:
    """What the tests above compare does differ in between."""
    evidence = begin(SETTINGS, stable="old", candidate="new", attempt="1", steps=1, at=65.0)
    before = enter_step(evidence, SETTINGS, step=0, weight=20, at=65.0)
    after = absorb(before, SETTINGS, scraped(1.0, 66.0, measure_since(before), frozenset()), ARMS)
    assert from_document(json.loads(stored(before))) == before != after
