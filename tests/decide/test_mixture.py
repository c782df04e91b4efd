"""Evidence is a sum over what happened: how it was cut into blocks changes nothing."""

import random
from collections.abc import Callable, Sequence
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.decide import mixture
from modelrollout.decide.intervals import no_ratio_rejected, ratio_added
from modelrollout.domain.metrics import Margin
from modelrollout.domain.tally import Tally

Row = tuple[float, float, float, float]
Sums = tuple[float, ...]

BLOCKS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(5, 300), st.integers(0, 5), st.integers(5, 300)), min_size=1, max_size=12
)
MARGIN = Margin(ratio=1.25, absolute=0.0002)
PROOF = Margin(ratio=1.5, absolute=0.001)
SLO = mixture.slo_grid(0.01)


def a_block(xc: float, nc: float, xs: float, ns: float) -> Tally:
    return Tally(x_canary=xc, n_canary=nc, x_stable=xs, n_stable=ns)


def regression(blocks: Sequence[Row], phi: float = 1.0) -> Sums:
    return _summed([mixture.log_factors(mixture.REGRESSION, a_block(*row), MARGIN, phi=phi) for row in blocks])


def proof(blocks: Sequence[Row], phi: float = 1.0) -> Sums:
    return _summed([mixture.log_factors(mixture.NON_INFERIORITY, a_block(*row), PROOF, phi=phi) for row in blocks])


def slo(blocks: Sequence[Row], phi: float = 1.0) -> Sums:
    return _summed([mixture.slo_log_factors(SLO, a_block(*row), 0.01, phi=phi) for row in blocks])


def ratio(blocks: Sequence[Row], phi: float = 1.0) -> Sums:
    sums = no_ratio_rejected()
    for row in blocks:
        sums = ratio_added(sums, a_block(*row), phi=phi)
    return sums


def _summed(factors: Sequence[Sums]) -> Sums:
    sums = factors[0]
    for each in factors[1:]:
        sums = mixture.added(sums, each)
    return sums


every_test = pytest.mark.parametrize("sums_of", [regression, proof, slo, ratio])
SumsOf = Callable[..., Sums]


def same(expected: Sums) -> object:
    return pytest.approx(expected, rel=1e-9, abs=1e-9)


@every_test
@given(blocks=BLOCKS, rng=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_blocks_changes_nothing(sums_of: SumsOf, blocks: list[Row], rng: random.Random) -> None:
    shuffled = list(blocks)
    rng.shuffle(shuffled)
    assert sums_of(shuffled) == same(sums_of(blocks))


@every_test
@given(blocks=BLOCKS, cuts=st.lists(st.integers(0, 20), min_size=12, max_size=12))
@settings(max_examples=40, deadline=None)
def test_splitting_blocks_at_equal_shares_changes_nothing(sums_of: SumsOf, blocks: list[Row], cuts: list[int]) -> None:
    """Requests and bad ones need not be split alike, only both arms' requests."""
    split: list[Row] = []
    for (xc, nc, xs, ns), cut in zip(blocks, cuts, strict=False):
        first = (0.0, nc * (cut + 1) / 25, float(xs), ns * (cut + 1) / 25)
        split += [first, (float(xc), nc - first[1], 0.0, ns - first[3])]
    assert sums_of(split) == same(sums_of(blocks))


@every_test
@given(blocks=BLOCKS, phi=st.floats(1.0, 10.0))
@settings(max_examples=40, deadline=None)
def test_counts_and_dispersion_scaled_together_change_nothing(sums_of: SumsOf, blocks: list[Row], phi: float) -> None:
    scaled = [(xc * phi, nc * phi, xs * phi, ns * phi) for xc, nc, xs, ns in blocks]
    assert sums_of(scaled, phi) == same(sums_of(blocks))


@given(BLOCKS, BLOCKS, st.floats(1.0, 10.0), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_the_same_holds_for_a_whole_rollout(first: list[Row], second: list[Row], phi: float, planned: int) -> None:
    def log_evidence(before: list[Row], after: list[Row], by: float) -> float:
        late = regression(after, by)
        parts = (mixture.added(regression(before, by), late), late)
        logs = [mixture.log_mixture(mixture.REGRESSION, part) for part in parts]
        return mixture.log_restart(logs, planned, 2)

    def changed(rows: list[Row]) -> list[Row]:
        halves = [(xc / 2, nc / 2, xs / 2, ns / 2) for xc, nc, xs, ns in reversed(rows) for _ in range(2)]
        return [(xc * phi, nc * phi, xs * phi, ns * phi) for xc, nc, xs, ns in halves]

    found = log_evidence(changed(first), changed(second), phi)
    assert found == pytest.approx(log_evidence(first, second, 1.0), rel=1e-9, abs=1e-9)


def test_an_arm_without_requests_says_nothing() -> None:
    assert mixture.log_factor(a_block(0, 0, 3, 100), r=2.5, rho=1.25, delta=0.0) == 0
    assert mixture.log_factor(a_block(3, 100, 0, 0), r=2.5, rho=1.25, delta=0.0) == 0
    assert mixture.log_factor(a_block(0, 0, 3, 100), r=0.02, rho=0.0, delta=0.01) == 0


def test_the_worked_examples_of_the_specification_hold() -> None:
    block = a_block(3, 100, 4, 400)
    assert mixture.log_factor(block, r=2.5, rho=1.25, delta=0.0002) == pytest.approx(0.572115, abs=1e-6)
    assert mixture.log_factor(block, r=2.5, rho=1.25, delta=0.0002, phi=2) == pytest.approx(0.286058, abs=1e-6)
    fewer = a_block(3, 100, 1, 400)
    assert mixture.log_factor(fewer, r=4, rho=1, delta=0.0) == pytest.approx(2.278869, abs=1e-6)


@pytest.mark.parametrize("limit", [0.0, 0.5, 1.0])
def test_a_rate_limit_that_no_grid_fits_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match=r"below 0\.5"):
        mixture.slo_grid(limit)


def test_alternatives_of_a_rate_limit_are_rates() -> None:
    grid = mixture.slo_grid(0.3)
    assert max(grid.multiples) * 0.3 <= 1
    assert len(grid.multiples) < len(mixture.REGRESSION.multiples)
    assert exp(mixture.logsumexp(grid.log_weights)) == pytest.approx(1.0)


def test_parts_not_yet_started_stay_in_hand() -> None:
    assert mixture.log_restart([0.0], 4, 1) == pytest.approx(0.0)
    assert exp(mixture.log_restart([-50.0], 4, 1)) == pytest.approx(0.5 - 1 / 8)
    assert exp(mixture.log_restart([-50.0] * 4, 4, 4)) == pytest.approx(0.0, abs=1e-9)


def test_weights_of_metrics_count_by_their_shares() -> None:
    log_e, culprit = mixture.log_average([1.2, 6.1, -3.0], [4, 2, 2])
    assert log_e == pytest.approx(4.728599, abs=1e-6)
    assert culprit == 1
