"""Simulated rollouts, small and with fixed seeds; the large run is benchmarks/simulated_healthy_rollouts.py."""

import random
from dataclasses import replace
from datetime import timedelta
from math import log
from statistics import median

import pytest

from modelrollout.decide.counted import Counted
from modelrollout.decide.evidence import begin, enter_step
from modelrollout.decide.growth import grown
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.judgement import Action
from modelrollout.domain.safeguards import Overdispersion
from modelrollout.domain.tally import Tally
from tests.decide.simulated import World, roll_out

SETTINGS = AnalysisSettings(warmup=timedelta(0))
ERRORS = replace(SETTINGS, metrics=SETTINGS.metrics[:1])


def bad_of(rng: random.Random, requests: int, rate: float) -> int:
    """Binomial by the gaps between bad requests: cheap where they are rare."""
    bad, at = 0, 0
    while True:
        at += 1 + int(log(1 - rng.random()) / log(1 - rate))
        if at > requests:
            return bad
        bad += 1


def is_undone(seed: int) -> bool:
    """One healthy rollout through three steps of two minutes, block by block."""
    rng = random.Random(seed)
    rps = rng.uniform(50, 200)
    evidence = begin(ERRORS, stable="old", candidate="new", attempt="1", steps=3, at=0)
    for step, weight in enumerate((10, 25, 50)):
        start = step * 120.0
        evidence = enter_step(evidence, ERRORS, step=step, weight=weight, at=start)
        for i in range(24):
            requests = max(20, round(rng.gauss(5 * rps, (5 * rps) ** 0.5)))
            nc = max(5, bad_of(rng, requests, weight / 100))
            ns = requests - nc
            errors = Tally(x_canary=bad_of(rng, nc, 0.005), n_canary=nc, x_stable=bad_of(rng, ns, 0.005), n_stable=ns)
            end = start + 5 * i + 5
            block = Counted(start=end - 5, end=end, errors=errors, histograms={}, carried=())
            evidence = grown(evidence, ERRORS, block)
    return evidence.regression is not None


def test_of_healthy_rollouts_none_is_undone() -> None:
    assert sum(is_undone(seed) for seed in range(100)) == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_a_healthy_rollout_goes_through_from_raw_counters(seed: int) -> None:
    ending = roll_out(World(seed=seed, rps=50), SETTINGS)
    assert (ending.judgement.action, ending.evidence.step) == (Action.ADVANCE, 2)


@pytest.mark.parametrize(("phi", "typical", "longest"), [(1.0, 3.0, 7.0), (2.0, 5.0, 9.0)], ids=["seen", "assumed"])
def test_half_of_all_answers_failing_is_undone_within_seconds_of_the_first(
    phi: float, typical: float, longest: float
) -> None:
    """Phi is 1 where stable's pods are seen to scatter like chance, and assumed to be 2 where there is one pod."""
    settings = replace(SETTINGS, poll=timedelta(seconds=1), overdispersion=Overdispersion(fallback=phi))
    delays = []
    for seed in range(25):
        world = World(seed=seed, rps=50, rate_new=0.5, scrape=1.0)
        ending = roll_out(world, settings)
        assert ending.judgement.action is Action.ROLLBACK
        assert world.first_bad is not None
        delays.append(ending.at - world.first_bad)
    assert median(delays) <= typical
    assert max(delays) <= longest


def test_slower_answers_are_undone_and_the_edge_is_named() -> None:
    ending = roll_out(World(seed=4, rps=80, slower=2.0), SETTINGS)
    assert ending.judgement.action is Action.ROLLBACK
    assert ending.judgement.culprit == "latency"
    assert ending.judgement.figures is not None
    assert ending.judgement.figures.edge in {0.25, 0.5}
