"""Intervals that stay valid however often one looks: of the rate ratio, of one rate, of a whole distribution.

For reports; the judge never looks at them. Section 8.1 of the analysis. Pure.

*Ratio of two rates.* On a grid of 201 ratios from 0.01 to 100 each block adds
`(x_c ln R - (x_c + x_s) log1p(R k)) / phi`, k = n_c / n_s: the likelihood of the split of the bad requests.
From below, a ratio is rejected once the mean likelihood of all larger ratios, weighted by R^-0.5, is 2/alpha
times its own; from above by the smaller ones, weighted by R.

*One rate.* The gamma mixture with shape 0.5 and rate 50 of Poisson likelihood ratios, which bounds the
binomial: all p with `lgamma(.5+x) - lgamma(.5) + .5 ln 50 - (.5+x) ln(50+n) - x ln p + n p < ln(1/alpha)`.

*All quantiles at once.* The time-uniform band of Howard & Ramdas (2022) around an empirical distribution.

Worked examples: 30 bad of 1000 at alpha 0.05 give (0.015160, 0.052325); 10 000 requests at alpha 0.05 give
a half width of 0.027711.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from math import exp, inf, lgamma, log, log1p, sqrt

from modelrollout.decide.mixture import log_limit
from modelrollout.domain.tally import Tally

LOG_RATIOS = tuple((-2 + 4 * i / 200) * log(10) for i in range(201))
RATIOS = tuple(exp(log_r) for log_r in LOG_RATIOS)
FROM_BELOW = -0.5
FROM_ABOVE = 1.0
SHAPE, RATE = 0.5, 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """`low` is 0 and `high` infinity (1 for a rate) where nothing is rejected."""

    low: float
    high: float


def no_ratio_rejected() -> tuple[float, ...]:
    """The sums of a ratio interval before the first block."""
    return (0.0,) * len(LOG_RATIOS)


def ratio_added(sums: Sequence[float], block: Tally, *, phi: float = 1.0) -> tuple[float, ...]:
    """The sums after one more block; an arm without requests, or a block without bad ones, says nothing."""
    bad = block.x_canary + block.x_stable
    if block.n_canary <= 0 or block.n_stable <= 0 or bad <= 0:
        return tuple(sums)
    k, canary = block.n_canary / block.n_stable, block.x_canary
    up, down = canary / phi, bad / phi
    rows = zip(sums, LOG_RATIOS, _spread(k), strict=True)
    return tuple([s + up * log_r - down * spread for s, log_r, spread in rows])


@lru_cache(maxsize=16)
def _spread(k: float) -> tuple[float, ...]:
    """log1p(R k) per ratio: the edges of a histogram have one k, and it is most of the work."""
    return tuple(log1p(r * k) for r in RATIOS)


def ratio_interval(sums: Sequence[float], *, alpha: float) -> Interval:
    """Where canary's rate over stable's lies, with an error of at most about `alpha` over all looks together."""
    limit = log_limit(alpha / 2)
    points = list(zip(sums, LOG_RATIOS, strict=True))
    below = _rejected(points, FROM_BELOW, limit)
    above = _rejected(points[::-1], FROM_ABOVE, limit)
    return Interval(
        low=exp(LOG_RATIOS[below - 1]) if below else 0.0,
        high=exp(LOG_RATIOS[-above]) if above else inf,
    )


def _rejected(points: Sequence[tuple[float, float]], tilt: float, limit: float) -> int:
    """How many points from the front are rejected in a row, each against the mean of all behind it."""
    likelihood, prior = -inf, -inf
    means: list[float] = []
    for s, log_r in reversed(points[1:]):
        likelihood = _log_sum(likelihood, s + tilt * log_r)
        prior = _log_sum(prior, tilt * log_r)
        means.append(likelihood - prior)
    pairs = zip(points, reversed(means), strict=False)  # nothing is behind the last point
    return sum(1 for _ in takewhile(lambda pair: pair[1] - pair[0][0] >= limit, pairs))


def _log_sum(a: float, b: float) -> float:
    top, low = max(a, b), min(a, b)
    return top if low == -inf else top + log1p(exp(low - top))


def rate_interval(bad: float, total: float, *, alpha: float, phi: float = 1.0) -> Interval:
    """Where one rate lies; the whole of (0, 1) while there were no requests."""
    x, n, limit = bad / phi, total / phi, log_limit(alpha)
    if n <= 0:
        return Interval(low=0.0, high=1.0)
    mixed = lgamma(SHAPE + x) - lgamma(SHAPE) + SHAPE * log(RATE) - (SHAPE + x) * log(RATE + n)

    def is_inside(p: float) -> bool:
        return mixed - (x * log(p) if x else 0.0) + n * p < limit

    seen = min(1.0, bad / total)
    return Interval(
        low=_edge(seen, 0.0, is_inside) if x else 0.0, high=1.0 if is_inside(1.0) else _edge(seen, 1.0, is_inside)
    )


def _edge(inside: float, outside: float, is_inside: Callable[[float], bool]) -> float:
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_inside(middle) else (inside, middle)
    return inside


def half_width(n: float, *, alpha: float) -> float:
    """Half the height of the band around an empirical distribution of `n` requests that holds at all times at once."""
    if n < 1:
        return 1.0
    return min(1.0, 0.85 * sqrt((log1p(log(n)) + 0.8 * log(1612 / alpha)) / n))
