"""Latency from bucket counters: requests slower than an edge, and which edges to test.

An edge turns a histogram into an exact count of "slow" requests, tested like errors; interpolated
quantiles are for display only. Pure.
"""

from collections.abc import Mapping, Sequence
from math import inf, isclose, log

MOST_EDGES = 6
LEAST_REQUESTS = 1000
ELIGIBLE = (0.002, 0.5)


def numeric_le(text: str) -> float | None:
    """The bound of a bucket: `1` and `1.0` are the same bucket; None where it is no number."""
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if bound != bound else bound  # noqa: PLR0124 -- NaN is the one number unequal to itself


def slower_than(buckets: Mapping[float, float], edge: float) -> tuple[float, float] | None:
    """(requests slower than the edge, all requests); None where the histogram has no such bucket."""
    bound = next((b for b in buckets if isclose(b, edge, rel_tol=1e-9)), None)
    if bound is None or inf not in buckets:
        return None
    return buckets[inf] - buckets[bound], buckets[inf]


def exceedances(profile: Mapping[float, float]) -> dict[float, float]:
    """Share of requests slower than each finite bound."""
    total = profile.get(inf, 0.0)
    if total <= 0:
        return {}
    return {bound: (total - count) / total for bound, count in profile.items() if bound != inf}


def choose_edges(shares: Mapping[float, float], *, promised: float | None = None) -> tuple[float, ...]:
    """Up to six edges between which stable's requests spread evenly in the logarithm of the share.

    The `promised` one, of an slo, is one more where it is eligible.

    Example: shares .45 .30 .21 .14 .09 .06 .03 .011 .004 give .45 .21 .06 .03 .011 .004.
    """
    eligible = {edge: q for edge, q in shares.items() if ELIGIBLE[0] <= q <= ELIGIBLE[1]}
    if len(eligible) <= MOST_EDGES:
        return tuple(sorted(eligible))
    top, bottom = log(max(eligible.values())), log(min(eligible.values()))
    chosen: list[float] = []
    for i in range(MOST_EDGES):
        target = top + i * (bottom - top) / (MOST_EDGES - 1)
        left = [edge for edge in eligible if edge not in chosen]
        chosen.append(min(left, key=lambda edge: (abs(log(eligible[edge]) - target), -edge)))
    chosen += [edge for edge in eligible if edge not in chosen and promised and isclose(edge, promised, rel_tol=1e-9)]
    return tuple(sorted(chosen))


def displayed_quantile(bounds: Sequence[float], cumulative: Sequence[float], q: float) -> float:
    """Linear inside the bucket; the top bucket answers with the highest finite bound. For people only."""
    rank = q * cumulative[-1]
    below, low = 0.0, 0.0
    for bound, count in zip(bounds, cumulative, strict=True):
        if count >= rank:
            if bound == inf:
                return low
            return bound if count == below else low + (bound - low) * (rank - below) / (count - below)
        below, low = count, bound
    return low
