from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.decide.dispersion import (
    Dispersion,
    PodCount,
    PodCounts,
    dispersion,
    dispersion_at,
    pod_spread,
    widened,
)
from modelrollout.domain.metrics import Margin

PODS, POLLS, PER_POLL = 9, 1440, 150
"""Stable pods, polls of 15 s in six hours, requests of a pod in each."""

COUNT = st.builds(PodCount, st.integers(0, 40), st.integers(0, 500))
BLOCK = st.dictionaries(st.sampled_from("abcd"), COUNT, max_size=4)
MARGIN = Margin(ratio=1.25, absolute=0.0002)

Counts = Any
"""An array of bad requests, polls by pods."""


def history(bad: Counts) -> list[PodCounts]:
    return [{str(i): PodCount(float(x), PER_POLL) for i, x in enumerate(row)} for row in bad]


def independent(rng: np.random.Generator) -> Counts:
    return rng.poisson(1.5, (POLLS, PODS))


def bursts(rng: np.random.Generator) -> Counts:
    """Errors come in bursts of geometric length, five on average."""
    starts = rng.poisson(1.5 / 5, (POLLS, PODS))
    return rng.negative_binomial(np.maximum(starts, 1), 1 / 5) * (starts > 0) + starts


def noisy_minutes(rng: np.random.Generator) -> Counts:
    """Each pod's rate differs from minute to minute as much as it is large."""
    rates = rng.gamma(1.0, 1.5, (POLLS // 4, PODS)).repeat(4, axis=0)
    return rng.poisson(rates)


def unlike_pods(rng: np.random.Generator) -> Counts:
    rates = 1.5 * rng.lognormal(0.0, 0.4, PODS)
    return rng.poisson(np.tile(rates, (POLLS, 1)))


@pytest.mark.parametrize(
    ("draw", "low", "high"),
    [(independent, 1.0, 1.1), (bursts, 7.5, 10.0), (noisy_minutes, 5.5, 7.8), (unlike_pods, 2.5, 8.0)],
    ids=["independent", "bursts", "noisy minutes", "unlike pods"],
)
def test_phi_is_what_the_specification_measured(
    draw: Callable[[np.random.Generator], Counts], low: float, high: float
) -> None:
    rng = np.random.default_rng(20240601)
    found = [dispersion(history(draw(rng)), most=20).phi for _ in range(3)]
    assert low <= sorted(found)[1] <= high


def test_what_lasts_for_minutes_is_seen_only_in_longer_sums() -> None:
    polls = history(noisy_minutes(np.random.default_rng(1)))
    assert dispersion(polls).phi > 1.5 * dispersion_at(polls)


def test_movements_common_to_all_pods_need_nothing() -> None:
    rng = np.random.default_rng(2)
    rates = rng.gamma(1.0, 5.0, (POLLS, 1)).repeat(PODS, axis=1)
    assert dispersion(history(rng.poisson(rates))).phi == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    "polls",
    [[], [{}], [{"a": PodCount(3, 100)}] * 29, [{"a": PodCount(0, 100), "b": PodCount(0, 0)}] * 50],
    ids=["no history", "no pods", "too few polls of one pod", "one pod without a bad request"],
)
def test_where_nothing_can_be_compared_the_fallback_counts_and_is_flagged(polls: list[PodCounts]) -> None:
    found = dispersion(polls, fallback=2.5)
    assert (found.phi, found.known) == (2.5, False)


def test_one_pod_is_held_against_itself_over_time_and_the_fallback_is_the_most_that_it_says() -> None:
    even = dispersion([{"a": PodCount(3, 100)}] * 50)
    assert (even.phi, even.known) == (1.0, True)
    bursts = [{"a": PodCount(30.0 * (i % 10 == 0), 100)} for i in range(50)]
    assert dispersion(bursts, fallback=2.5) == Dispersion(phi=2.5, known=True)
    assert dispersion(bursts, fallback=50, most=10).phi > 10


@pytest.mark.parametrize("cluster", [1, 3])
def test_over_time_bursts_of_one_arm_are_not_underrated(cluster: int) -> None:
    rng = np.random.default_rng(7)
    found = [
        dispersion([{"": PodCount(float(x), 500)} for x in cluster * rng.poisson(5 / cluster, 400)], fallback=10).phi
        for _ in range(50)
    ]
    assert sum(found) / len(found) >= 0.9 * cluster
    assert sum(found) / len(found) <= 1.3 * cluster


def test_pods_without_a_bad_request_scatter_not_at_all() -> None:
    found = dispersion([{"a": PodCount(0, 100), "b": PodCount(0, 80)}] * 50)
    assert (found.phi, found.known) == (1.0, True)


def test_little_history_stays_near_one() -> None:
    """chi2 is 20 with one degree of freedom; thirty prior ones hold it down."""
    assert dispersion_at([{"a": PodCount(20, 100), "b": PodCount(0, 100)}]) == pytest.approx(50 / 31)


def test_longer_sums_do_not_overlap_and_what_is_left_at_the_end_falls_out() -> None:
    """Five polls: one sum of four with chi2 = 12 and one degree of freedom, (12 + 30) / (1 + 30)."""
    assert dispersion([{"a": PodCount(3, 100), "b": PodCount(0, 100)}] * 5).phi == pytest.approx(42 / 31)


def test_phi_is_capped() -> None:
    wild: list[PodCounts] = [{"a": PodCount(100, 100), "b": PodCount(0, 100)}] * 100
    assert dispersion(wild).phi == 10
    assert dispersion(wild, most=4).phi == 4


def test_a_pod_that_comes_or_goes_counts_while_it_serves() -> None:
    """Two polls are one block at a scale of two: a pod's requests follow its name, not its place."""
    early: PodCounts = {"a": PodCount(2, 100), "b": PodCount(2, 100)}
    late: PodCounts = {"b": PodCount(2, 100), "c": PodCount(2, 100)}
    assert dispersion([early, late] * 40).phi == 1


@given(st.lists(BLOCK, max_size=30), st.permutations("abcd"))
def test_phi_does_not_depend_on_the_pods_names(blocks: list[PodCounts], names: list[str]) -> None:
    renamed = [{names["abcd".index(pod)]: count for pod, count in block.items()} for block in blocks]
    found, again = dispersion(blocks), dispersion(renamed)
    assert 1 <= found.phi <= 10
    assert again.phi == pytest.approx(found.phi)


def test_spread_is_what_the_pods_rates_differ_by() -> None:
    rng = np.random.default_rng(3)
    totals = [PodCount(float(rng.poisson(2000 * f)), 200_000) for f in rng.lognormal(0.0, 0.4, 200)]
    assert pod_spread(totals) == pytest.approx(0.4, abs=0.06)


def test_pods_alike_have_no_spread() -> None:
    rng = np.random.default_rng(4)
    assert pod_spread([PodCount(float(rng.poisson(2000)), 200_000) for _ in range(50)]) < 0.02
    assert pod_spread([PodCount(0, 200_000)] * 50) == 0


def test_few_pods_say_nothing_of_their_spread() -> None:
    pods = [PodCount(10.0 * i * i, 1000) for i in range(1, 5)]
    assert pod_spread(pods) == 0
    assert pod_spread(pods, least_pods=4) > 0
    assert pod_spread(pods[:2], least_pods=1) == 0
    assert pod_spread([*pods, PodCount(0, 0)]) == 0


def test_the_margin_widens_with_spread_and_with_fewer_pods_up_to_a_cap() -> None:
    tau = 0.3278800548
    assert widened(MARGIN, 0.0, canary_pods=1, stable_pods=4) == MARGIN
    assert widened(MARGIN, tau, canary_pods=1, stable_pods=4).ratio == pytest.approx(2.6020657)
    assert widened(MARGIN, tau, canary_pods=3, stable_pods=9).ratio == pytest.approx(1.9354, abs=1e-4)
    assert widened(MARGIN, 2.0, canary_pods=1, stable_pods=4).ratio == 3 * 1.25
    assert widened(MARGIN, 2.0, canary_pods=1, stable_pods=4).absolute == MARGIN.absolute


def test_a_widened_margin_is_still_a_margin() -> None:
    assert widened(Margin(ratio=60, absolute=0), 3.0, canary_pods=1, stable_pods=1).ratio == 100
    assert widened(MARGIN, 0.3, canary_pods=0, stable_pods=0) == widened(MARGIN, 0.3, canary_pods=1, stable_pods=1)
