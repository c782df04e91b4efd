"""What makes the tests valid, checked by enumeration, by symmetry and by Monte Carlo."""

import random
from itertools import product
from math import comb, exp, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.decide import mixture
from modelrollout.domain.analysis import Margin, Tally

RATES = st.floats(0.0, 0.5)
RHO = st.floats(1.0, 2.0)
DELTA = st.floats(0.0, 0.05)


def binomial(n: int, p: float) -> list[float]:
    return [comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(n + 1)]


def expected_factor(*, nc: int, ns: int, pc: float, ps: float, r: float, rho: float, delta: float) -> float:
    """The mean of a block's factor over everything that can happen in it."""
    canary, stable = binomial(nc, pc), binomial(ns, ps)
    return sum(
        canary[xc] * stable[xs] * exp(mixture.log_factor(a_block(xc, nc, xs, ns), r=r, rho=rho, delta=delta))
        for xc, xs in product(range(nc + 1), range(ns + 1))
    )


def a_block(xc: float, nc: float, xs: float, ns: float) -> Tally:
    return Tally(x_canary=xc, n_canary=nc, x_stable=xs, n_stable=ns)


@given(st.integers(1, 6), st.integers(1, 8), RATES, st.tuples(RHO, DELTA, st.floats(1.01, 200)), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_no_block_can_be_expected_to_grow_evidence_against_a_candidate_within_the_margin(
    nc: int, ns: int, ps: float, margin: tuple[float, float, float], part: float
) -> None:
    rho, delta, above = margin
    pc = part * min(1.0, rho * ps + delta)
    assert expected_factor(nc=nc, ns=ns, pc=pc, ps=ps, r=rho * above, rho=rho, delta=delta) <= 1 + 1e-9


@given(st.integers(1, 6), st.integers(1, 8), RATES, st.tuples(RHO, DELTA, st.floats(0.02, 0.99)), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_no_block_can_be_expected_to_prove_a_candidate_that_is_worse_than_the_margin(
    nc: int, ns: int, ps: float, margin: tuple[float, float, float], part: float
) -> None:
    rho, delta, below = margin
    least = rho * ps + delta
    if least > 1:
        return
    pc = least + part * (1 - least)
    assert expected_factor(nc=nc, ns=ns, pc=pc, ps=ps, r=rho * below, rho=rho, delta=delta) <= 1 + 1e-9


@given(st.integers(1, 12), st.floats(0.001, 0.4), st.floats(1.01, 2.0), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_no_block_can_be_expected_to_grow_evidence_against_a_rate_within_its_limit(
    nc: int, limit: float, above: float, part: float
) -> None:
    assert expected_factor(nc=nc, ns=0, pc=part * limit, ps=0.0, r=limit * above, rho=0.0, delta=limit) <= 1 + 1e-9


BLOCKS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(5, 300), st.integers(0, 5), st.integers(5, 300)), min_size=1, max_size=12
)
MARGIN = Margin(ratio=1.25, absolute=0.0002)


def log_evidence(blocks: list[tuple[float, float, float, float]], phi: float = 1.0) -> float:
    sums = mixture.nothing_yet(mixture.REGRESSION)
    for row in blocks:
        sums = mixture.added(sums, mixture.log_factors(mixture.REGRESSION, a_block(*row), MARGIN, phi=phi))
    return mixture.log_mixture(mixture.REGRESSION, sums)


@given(BLOCKS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_blocks_changes_nothing(blocks: list[tuple[int, int, int, int]], rng: random.Random) -> None:
    shuffled = list(blocks)
    rng.shuffle(shuffled)
    assert log_evidence(list(shuffled)) == pytest.approx(log_evidence(list(blocks)), abs=1e-9)


@given(BLOCKS)
@settings(max_examples=60, deadline=None)
def test_splitting_a_block_at_equal_shares_changes_nothing(blocks: list[tuple[int, int, int, int]]) -> None:
    halves = [(xc / 2, nc / 2, xs / 2, ns / 2) for xc, nc, xs, ns in blocks for _ in range(2)]
    assert log_evidence(halves) == pytest.approx(log_evidence(list(blocks)), abs=1e-9)


@given(BLOCKS, st.floats(1.0, 10.0))
@settings(max_examples=60, deadline=None)
def test_counts_and_dispersion_scaled_together_change_nothing(
    blocks: list[tuple[int, int, int, int]], phi: float
) -> None:
    scaled = [(xc * phi, nc * phi, xs * phi, ns * phi) for xc, nc, xs, ns in blocks]
    assert log_evidence(scaled, phi=phi) == pytest.approx(log_evidence(list(blocks)), rel=1e-9, abs=1e-9)


def test_at_the_margin_itself_false_alarms_stay_below_alpha() -> None:
    rng, runs, alpha = random.Random(20240601), 150, 0.05
    ps = 0.02
    pc = MARGIN.ratio * ps + MARGIN.absolute

    def bad(n: int, p: float) -> int:
        return sum(rng.random() < p for _ in range(n))

    def alarms() -> bool:
        sums = mixture.nothing_yet(mixture.REGRESSION)
        for _ in range(40):
            block = a_block(bad(60, pc), 60, bad(120, ps), 120)
            sums = mixture.added(sums, mixture.log_factors(mixture.REGRESSION, block, MARGIN))
            if mixture.log_mixture(mixture.REGRESSION, sums) >= mixture.log_limit(alpha):
                return True
        return False

    share = sum(alarms() for _ in range(runs)) / runs
    assert share <= alpha + 3 * sqrt(alpha * (1 - alpha) / runs)


def test_an_arm_without_requests_says_nothing() -> None:
    assert mixture.log_factor(a_block(0, 0, 3, 100), r=2.5, rho=1.25, delta=0.0) == 0
    assert mixture.log_factor(a_block(3, 100, 0, 0), r=2.5, rho=1.25, delta=0.0) == 0


def test_the_worked_examples_of_the_specification_hold() -> None:
    block = a_block(3, 100, 4, 400)
    assert mixture.log_factor(block, r=2.5, rho=1.25, delta=0.0002) == pytest.approx(0.572115, abs=1e-6)
    assert mixture.log_factor(block, r=2.5, rho=1.25, delta=0.0002, phi=2) == pytest.approx(0.286058, abs=1e-6)


def test_a_rate_limit_of_a_half_or_more_is_refused() -> None:
    with pytest.raises(ValueError, match=r"below 0\.5"):
        mixture.slo_grid(0.5)


def test_parts_not_yet_started_stay_in_hand() -> None:
    assert mixture.log_restart([0.0], 4, 1) == pytest.approx(0.0)
    assert exp(mixture.log_restart([-50.0], 4, 1)) == pytest.approx(0.5 - 1 / 8)
    assert exp(mixture.log_restart([-50.0] * 4, 4, 4)) == pytest.approx(0.0, abs=1e-9)
