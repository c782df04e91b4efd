"""Thousands of rollouts at once that stand exactly at the margin: how often evidence ever reaches its limit.

A log factor is linear in the bad requests while the arms' requests stay the same, so the functions of the
analysis are asked once per phase and numpy does the rest. Fixed seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import pytest

from modelrollout.decide import mixture
from modelrollout.decide.dispersion import PodCount, dispersion
from modelrollout.decide.mixture import NON_INFERIORITY, REGRESSION, Grid
from modelrollout.domain.metrics import Margin
from modelrollout.domain.tally import Tally

RUNS, BLOCKS = 2000, 200
ALPHA, BETA, MIN_BAD = 0.01, 0.05, 3
REGRESSION_MARGIN, PROOF_MARGIN = Margin(ratio=1.25, absolute=0.0002), Margin(ratio=1.5, absolute=0.001)
STRICT = Margin(ratio=1.0, absolute=0.0)

LogFactors = Callable[[Tally], tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Requests of both arms in each block of one step, and stable's bad rate at its start and end."""

    canary: int
    stable: int
    ps: tuple[float, float]

    def rates(self) -> Any:
        """Stable's rate in each block: a load that changes is no reason to be wrong."""
        return np.linspace(*self.ps, BLOCKS)


STEPS = (Phase(canary=30, stable=570, ps=(0.01, 0.03)), Phase(canary=300, stable=300, ps=(0.05, 0.005)))


def against(margin: Margin, grid: Grid = REGRESSION, phi: float = 1.0) -> LogFactors:
    return lambda block: mixture.log_factors(grid, block, margin, phi=phi)


def by_bad(log_factors: LogFactors, phase: Phase) -> tuple[Any, Any, Any]:
    """What a block adds per alternative: without bad requests, and for each bad one of canary and stable."""
    empty, one_canary, one_stable = (
        np.array(log_factors(Tally(x_canary=x, n_canary=phase.canary, x_stable=y, n_stable=phase.stable)))
        for x, y in ((0, 0), (1, 0), (0, 1))
    )
    return empty, one_canary - empty, one_stable - empty


def share_that_crossed(
    grid: Grid, log_factors: LogFactors, phases: Sequence[tuple[Phase, Any, Any]], error: float, min_bad: int = 0
) -> float:
    """`phases`: each with its bad requests of canary and stable, runs by blocks."""
    runs = phases[0][1].shape[0]
    sums, bad = np.zeros((runs, len(grid.multiples))), np.zeros(runs)
    crossed, weights = np.zeros(runs, dtype=bool), np.array(grid.log_weights)
    for phase, canary, stable in phases:
        empty, of_canary, of_stable = by_bad(log_factors, phase)
        for x, y in zip(canary.T, stable.T, strict=True):
            sums += empty + np.outer(x, of_canary) + np.outer(y, of_stable)
            bad += x
            top = sums.max(axis=1, keepdims=True)
            log_e = top[:, 0] + np.log(np.exp(sums - top + weights).sum(axis=1))
            crossed |= (log_e >= mixture.log_limit(error)) & (bad >= min_bad)
    return float(crossed.mean())


def at_the_margin(margin: Margin, seed: int, runs: int = RUNS) -> list[tuple[Phase, Any, Any]]:
    rng = np.random.default_rng(seed)

    def drawn(n: int, rates: Any) -> Any:
        return rng.binomial(n, np.broadcast_to(rates, (runs, BLOCKS)))

    return [
        (
            phase,
            drawn(phase.canary, margin.ratio * phase.rates() + margin.absolute),
            drawn(phase.stable, phase.rates()),
        )
        for phase in STEPS
    ]


def most(error: float, runs: int = RUNS) -> float:
    return error + 3 * sqrt(error * (1 - error) / runs)


def test_the_shortcut_through_numpy_is_what_the_analysis_computes() -> None:
    log_factors, phase = against(REGRESSION_MARGIN), STEPS[0]
    empty, of_canary, of_stable = by_bad(log_factors, phase)
    block = Tally(x_canary=4, n_canary=phase.canary, x_stable=9, n_stable=phase.stable)
    assert list(empty + 4 * of_canary + 9 * of_stable) == pytest.approx(log_factors(block))


@pytest.mark.parametrize("margin", [REGRESSION_MARGIN, STRICT], ids=["default margin", "no margin"])
def test_a_candidate_at_the_margin_is_taken_back_with_at_most_alpha(margin: Margin) -> None:
    found = share_that_crossed(REGRESSION, against(margin), at_the_margin(margin, 20240601), ALPHA, MIN_BAD)
    assert 0 < found <= most(ALPHA)


def test_a_candidate_at_the_margin_of_proof_is_proven_with_at_most_beta() -> None:
    drawn = at_the_margin(PROOF_MARGIN, 20240602)
    found = share_that_crossed(NON_INFERIORITY, against(PROOF_MARGIN, NON_INFERIORITY), drawn, BETA)
    assert 0 < found <= most(BETA)


def test_a_rate_at_its_limit_fires_with_at_most_alpha() -> None:
    limit, rng = 0.05, np.random.default_rng(20240603)
    grid = mixture.slo_grid(limit)
    phases = [(p, rng.binomial(p.canary, limit, (RUNS, BLOCKS)), np.zeros((RUNS, BLOCKS))) for p in STEPS]
    found = share_that_crossed(grid, lambda block: mixture.slo_log_factors(grid, block, limit), phases, ALPHA, MIN_BAD)
    assert 0 < found <= most(ALPHA)


def test_a_candidate_beyond_the_margin_is_found() -> None:
    """The bounds above are kept by tests that see something."""
    drawn = at_the_margin(Margin(ratio=2.0, absolute=0.0), 20240604, runs=400)
    assert share_that_crossed(REGRESSION, against(REGRESSION_MARGIN), drawn, ALPHA, MIN_BAD) > 0.99


def test_bursts_that_would_undo_a_healthy_candidate_do_not_once_phi_is_known() -> None:
    """One canary and nine stable pods, 1 % errors in bursts of five on average, six hours of 15 s."""
    rng, runs, polls = np.random.default_rng(20240605), 300, 1440
    phase = Phase(canary=150, stable=9 * 150, ps=(0.01, 0.01))

    def bursts(pods: int, rows: int) -> Any:
        starts = rng.poisson(pods * 1.5 / 5, (rows, polls))
        return np.minimum(rng.negative_binomial(np.maximum(starts, 1), 0.2) * (starts > 0) + starts, pods * 150)

    history = [{str(i): PodCount(float(x), 150.0) for i, x in enumerate(row)} for row in bursts(1, 9).T]
    phi = dispersion(history).phi
    drawn = [(phase, bursts(1, runs), bursts(9, runs))]
    blind = share_that_crossed(REGRESSION, against(REGRESSION_MARGIN), drawn, ALPHA, MIN_BAD)
    aware = share_that_crossed(REGRESSION, against(REGRESSION_MARGIN, phi=phi), drawn, ALPHA, MIN_BAD)
    assert blind > 0.15
    assert aware <= most(ALPHA, runs)
