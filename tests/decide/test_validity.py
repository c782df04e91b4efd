"""Why evidence may be looked at as often as one likes: no block is expected to raise it while nothing is wrong.

Exact, by enumeration of everything that can happen in a few requests, over random margins and alternatives
inside each null hypothesis.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import comb, exp, fsum

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modelrollout.decide import gauges, mixture
from modelrollout.domain.metrics import Margin
from modelrollout.domain.tally import Tally

ROUNDING = 1e-12

Distribution = dict[float, float]
"""Probability of each count of bad requests of one arm."""

PART = st.floats(0, 1)
LIMIT = st.floats(0.001, 0.49)
EXACT = settings(max_examples=400, deadline=None, derandomize=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A margin, an alternative `apart` from it, and two arms inside the null hypothesis."""

    ps: float
    rho: float
    delta: float
    apart: float
    part: float
    """Where in the null hypothesis the candidate is: 0 at its far end, 1 at the margin."""

    def within(self) -> float:
        """A rate that the margin tolerates."""
        return self.part * min(1.0, self.rho * self.ps + self.delta)

    def beyond(self) -> float:
        """A rate at the margin or worse."""
        least = self.rho * self.ps + self.delta
        assume(least <= 1)
        return least + (1 - self.part) * (1 - least)

    def factor(self, *, proof: bool = False, phi: float = 1.0) -> Callable[[Tally], float]:
        r = self.rho / self.apart if proof else self.rho * self.apart
        return lambda block: mixture.log_factor(block, r=r, rho=self.rho, delta=self.delta, phi=phi)


CASE = st.builds(
    Case,
    ps=st.floats(0.0, 0.6),
    rho=st.floats(1.0, 3.0),
    delta=st.floats(0.0, 0.05),
    apart=st.floats(1.001, 200.0),
    part=st.just(1.0) | PART,
)


def independent(n: int, p: float) -> Distribution:
    return {x: comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(n + 1)}


def together(a: Distribution, b: Distribution) -> Distribution:
    """The sum of two independent counts."""
    found: Distribution = {}
    for (x, p), (y, q) in product(a.items(), b.items()):
        found[x + y] = found.get(x + y, 0.0) + p * q
    return found


def clustered(clusters: int, size: int, p: float, sticky: float) -> Distribution:
    """Clusters of requests: with probability `sticky` all of a cluster fare alike, else each for itself."""
    one = {x: (1 - sticky) * q for x, q in independent(size, p).items()}
    one[0] = one.get(0, 0.0) + sticky * (1 - p)
    one[size] = one.get(size, 0.0) + sticky * p
    return reduce(together, [one] * clusters)


def expected(
    canary: Distribution, stable: Distribution, n: tuple[float, float], log_factor: Callable[[Tally], float]
) -> float:
    return fsum(
        p * q * exp(log_factor(Tally(x_canary=x, n_canary=n[0], x_stable=y, n_stable=n[1])))
        for (x, p), (y, q) in product(canary.items(), stable.items())
    )


@given(CASE, st.integers(1, 7), st.integers(1, 9))
@EXACT
def test_no_block_is_expected_to_speak_against_a_candidate_within_the_margin(case: Case, nc: int, ns: int) -> None:
    canary, stable = independent(nc, case.within()), independent(ns, case.ps)
    assert expected(canary, stable, (nc, ns), case.factor()) <= 1 + ROUNDING


@given(CASE, st.integers(1, 7), st.integers(1, 9))
@EXACT
def test_no_block_is_expected_to_prove_a_candidate_beyond_the_margin(case: Case, nc: int, ns: int) -> None:
    canary, stable = independent(nc, case.beyond()), independent(ns, case.ps)
    assert expected(canary, stable, (nc, ns), case.factor(proof=True)) <= 1 + ROUNDING


@given(st.integers(1, 14), LIMIT, st.floats(1.001, 200.0), PART)
@EXACT
def test_no_block_is_expected_to_speak_against_a_rate_within_its_limit(
    nc: int, limit: float, above: float, part: float
) -> None:
    def log_factor(block: Tally) -> float:
        return mixture.log_factor(block, r=min(1.0, limit * above), rho=0.0, delta=limit)

    assert expected(independent(nc, part * limit), {0: 1.0}, (nc, 0), log_factor) <= 1 + ROUNDING


CLUSTERS = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))


@pytest.mark.parametrize("proof", [False, True], ids=["regression", "proof"])
@given(CASE, CLUSTERS, PART, st.floats(0, 3))
@EXACT
def test_clusters_of_at_most_phi_requests_are_expected_to_raise_nothing(
    proof: bool, case: Case, clusters: tuple[int, int, int, int], sticky: float, spare: float
) -> None:
    """Exact for independent clusters, whatever the dependence inside them."""
    many_c, size_c, many_s, size_s = clusters
    canary = clustered(many_c, size_c, case.beyond() if proof else case.within(), sticky)
    stable = clustered(many_s, size_s, case.ps, sticky)
    log_factor = case.factor(proof=proof, phi=max(size_c, size_s) + spare)
    assert expected(canary, stable, (many_c * size_c, many_s * size_s), log_factor) <= 1 + ROUNDING


@given(st.integers(1, 4), st.integers(1, 4), LIMIT, st.floats(1.001, 200.0), PART)
@EXACT
def test_clusters_within_a_limit_are_expected_to_raise_nothing(
    many: int, size: int, limit: float, above: float, sticky: float
) -> None:
    def log_factor(block: Tally) -> float:
        return mixture.log_factor(block, r=min(1.0, limit * above), rho=0.0, delta=limit, phi=size)

    assert expected(clustered(many, size, limit, sticky), {0: 1.0}, (many * size, 0), log_factor) <= 1 + ROUNDING


def test_clusters_larger_than_phi_do_raise_it() -> None:
    """The bound above is no accident of small numbers: without phi it breaks."""
    canary, stable = clustered(2, 4, 0.1, 1.0), clustered(2, 4, 0.1, 1.0)

    def log_factor(block: Tally) -> float:
        return mixture.log_factor(block, r=3.0, rho=1.0, delta=0.0)

    assert expected(canary, stable, (8, 8), log_factor) > 1.5


@given(CASE, st.integers(1, 4), st.integers(1, 4), PART)
@EXACT
def test_losses_in_parts_are_expected_to_raise_nothing(case: Case, nc: int, ns: int, halves: float) -> None:
    """Scores: a request may be bad by half."""

    def one(p: float) -> Distribution:
        half = halves * 2 * min(p, 1 - p)
        return {0.0: 1 - p - half / 2, 0.5: half, 1.0: p - half / 2}

    canary, stable = reduce(together, [one(case.within())] * nc), reduce(together, [one(case.ps)] * ns)
    assert expected(canary, stable, (nc, ns), case.factor()) <= 1 + ROUNDING


STEPS = st.tuples(st.tuples(st.integers(1, 3), st.integers(1, 3)), st.tuples(st.integers(1, 3), st.integers(1, 3)))


@given(STEPS, st.floats(0.0, 0.6), st.integers(1, 4), st.floats(0.1, 0.9))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_parts_metrics_and_alternatives_together_are_expected_to_raise_nothing(
    steps: tuple[tuple[int, int], tuple[int, int]], ps: float, planned: int, weight: float
) -> None:
    """Two steps of one block each, two metrics that see the same requests: whole evidence of a rollout."""
    margins = (Margin(ratio=1.25, absolute=0.0002), Margin(ratio=1.1, absolute=0.01))
    pc = min(1.0, *(m.ratio * ps + m.absolute for m in margins))
    outcomes = [
        [
            (p * q, Tally(x_canary=x, n_canary=nc, x_stable=y, n_stable=ns))
            for (x, p), (y, q) in product(independent(nc, pc).items(), independent(ns, ps).items())
        ]
        for nc, ns in steps
    ]
    total = fsum(
        p * q * exp(rollout_evidence((first, second), margins, planned, weight))
        for (p, first), (q, second) in product(*outcomes)
    )
    assert total <= 1 + ROUNDING


def rollout_evidence(blocks: tuple[Tally, Tally], margins: Iterable[Margin], planned: int, weight: float) -> float:
    scores = []
    for margin in margins:
        first, second = (mixture.log_factors(mixture.REGRESSION, block, margin) for block in blocks)
        parts = [mixture.added(first, second), second][:planned]
        logs = [mixture.log_mixture(mixture.REGRESSION, part) for part in parts]
        scores.append(mixture.log_restart(logs, planned, len(parts)))
    return mixture.log_average(scores, [weight, 1 - weight])[0]


@given(st.lists(st.floats(0, 0.5), min_size=15, max_size=15))
@EXACT
def test_gauges_that_are_worse_at_most_half_of_the_time_are_expected_to_raise_nothing(chances: list[float]) -> None:
    """Four windows; the chance of a worse one may depend on all that came before."""
    total = 0.0
    for worse in product((False, True), repeat=4):
        likely, node, products = 1.0, 0, gauges.no_window_yet()
        for w in worse:
            likely *= chances[node] if w else 1 - chances[node]
            node = 2 * node + (2 if w else 1)
            products = gauges.window_added(products, 0.2 if w else 0.0, margin=0.1)
        total += likely * exp(gauges.log_sign(products))
    assert total <= 1 + ROUNDING
