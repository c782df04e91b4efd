"""Drawn counts have the distributions that they claim: against their exact chances, with fixed seeds."""

from collections import Counter
from collections.abc import Callable
from math import exp, lgamma, log, log1p
from random import Random

import pytest

from modelrollout.simulate.chance import binomial, poisson, shared_out

DRAWS = 20_000


def misfit(draw: Callable[[], int], chance: Callable[[int], float], most: int) -> float:
    """Chi-square per degree of freedom over the counts that are expected five times or more."""
    seen = Counter(draw() for _ in range(DRAWS))
    expected = {k: DRAWS * chance(k) for k in range(most + 1)}
    kept = {k: e for k, e in expected.items() if e >= 5}
    rare_seen = DRAWS - sum(seen[k] for k in kept)
    rare = DRAWS - sum(kept.values())
    total = sum((seen[k] - e) ** 2 / e for k, e in kept.items()) + (rare_seen - rare) ** 2 / max(rare, 1)
    return total / len(kept)


@pytest.mark.parametrize("mean", [0.3, 4.0, 9.9, 10.1, 75.0])
def test_poisson_counts_have_poissons_chances(mean: float) -> None:
    rng = Random(1)
    chance = lambda k: exp(k * log(mean) - mean - lgamma(k + 1))  # noqa: E731 -- a formula
    assert misfit(lambda: poisson(rng, mean), chance, int(mean * 3 + 40)) < 2


@pytest.mark.parametrize(("n", "p"), [(75, 0.005), (20, 0.3), (4000, 0.005), (100, 0.4), (200, 0.9)])
def test_binomial_counts_have_their_chances(n: int, p: float) -> None:
    rng = Random(2)

    def chance(k: int) -> float:
        return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p))

    assert misfit(lambda: binomial(rng, n, p), chance, n) < 2


def test_what_cannot_be_otherwise_is_certain() -> None:
    rng = Random(3)
    assert [poisson(rng, 0), binomial(rng, 7, 0), binomial(rng, 7, 1), binomial(rng, 0, 0.5)] == [0, 0, 7, 0]


def test_all_are_shared_out_in_the_shares() -> None:
    rng = Random(4)
    sums = [0, 0, 0]
    for _ in range(300):
        counts = shared_out(rng, 100, [0.7, 0.0, 0.3])
        assert sum(counts) == 100
        sums = [total + count for total, count in zip(sums, counts, strict=True)]
    assert sums[1] == 0
    assert sums[0] == pytest.approx(21_000, abs=4 * (30_000 * 0.21) ** 0.5)
