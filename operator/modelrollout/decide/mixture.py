"""Tests that stay valid however often one looks: factors, grids, mixtures, thresholds.

Pure arithmetic on float64; only differences of logarithms are ever stored, and `exp` of a piece
of evidence is for display. A block multiplies the evidence by a factor whose expectation is at
most 1 while the null hypothesis holds, so evidence of 1/alpha has at most probability alpha, ever.

Worked example: (3 of 100 canary, 4 of 400 stable), r = 2.5, rho = 1.25, delta = 0.0002:
k = 0.25, lam = 1.25 / (1.25 * 1.625) = 0.615385,
3 * ln 1.615385 + 4 * ln(1.3125 / 1.625) - 100 * 0.0002 * 0.615385 = 0.572115.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, expm1, inf, log, log1p

from modelrollout.domain.metrics import Margin
from modelrollout.domain.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Alternatives as multiples of the tolerated ratio, with their prior weights."""

    multiples: tuple[float, ...]
    log_weights: tuple[float, ...]


def _tilted(low: float, high: float, points: int, tilt: float, sign: int) -> Grid:
    etas = [log(low) + j * (log(high) - log(low)) / (points - 1) for j in range(points)]
    total = logsumexp([-tilt * eta for eta in etas])
    return Grid(
        multiples=tuple(exp(sign * eta) for eta in etas), log_weights=tuple(-tilt * eta - total for eta in etas)
    )


def logsumexp(values: Iterable[float]) -> float:
    """Logarithm of the sum of exponentials, shifted by the largest; -inf for nothing."""
    terms = list(values)
    top = max(terms, default=-inf)
    if top == -inf:
        return -inf
    return top + log(sum([exp(term - top) for term in terms]))  # a list: this is what a poll's time goes into


REGRESSION = _tilted(1.15, 200.0, 24, 0.5, 1)
NON_INFERIORITY = _tilted(1.05, 50.0, 12, 1.0, -1)


@lru_cache(maxsize=64)
def slo_grid(limit: float) -> Grid:
    """The regression grid against a fixed rate: alternatives above 1 are no rates and fall out."""
    if not 0 < limit < 0.5:
        raise ValueError(f"limit: {limit} is not possible; write a rate above 0 and below 0.5")
    pairs = [p for p in zip(REGRESSION.multiples, REGRESSION.log_weights, strict=True) if p[0] * limit <= 1]
    total = logsumexp(weight for _, weight in pairs)
    return Grid(multiples=tuple(m for m, _ in pairs), log_weights=tuple(weight - total for _, weight in pairs))


def log_factor(block: Tally, *, r: float, rho: float, delta: float, phi: float = 1.0) -> float:
    """Logarithm of what one block multiplies the evidence for ratio `r` by.

    rho = 0 is the test of the canary alone against the rate `delta`; there `r` is a rate too.
    An arm without requests says nothing.
    """
    xc, nc, xs, ns = block.x_canary, block.n_canary, block.x_stable, block.n_stable
    if nc <= 0:
        return 0.0
    if rho == 0:
        return (xc * log(r / delta) - nc * (r - delta)) / phi
    if ns <= 0:
        return 0.0
    k = nc / ns
    bet = (r - rho) / (rho * (1 + r * k))
    return (xc * log1p(bet) + xs * (log1p(rho * k) - log1p(r * k)) - nc * delta * bet) / phi


def log_growth(canary_rate: float, stable_rate: float, *, r: float, k: float, margin: Margin) -> float:
    """What one canary request adds to the log evidence for `r` on average, at `k` canary requests for one of stable."""
    request = Tally(x_canary=canary_rate, n_canary=1.0, x_stable=stable_rate / k, n_stable=1.0 / k)
    return log_factor(request, r=r, rho=margin.ratio, delta=margin.absolute)


def log_factors(grid: Grid, block: Tally, margin: Margin, *, phi: float = 1.0) -> tuple[float, ...]:
    """One log factor per alternative of the grid, against the margin."""
    rho = margin.ratio
    return tuple([log_factor(block, r=rho * m, rho=rho, delta=margin.absolute, phi=phi) for m in grid.multiples])


def slo_log_factors(grid: Grid, block: Tally, limit: float, *, phi: float = 1.0) -> tuple[float, ...]:
    return tuple(log_factor(block, r=limit * m, rho=0.0, delta=limit, phi=phi) for m in grid.multiples)


def added(sums: Sequence[float], factors: Sequence[float]) -> tuple[float, ...]:
    return tuple([a + b for a, b in zip(sums, factors, strict=True)])


def nothing_yet(grid: Grid) -> tuple[float, ...]:
    return (0.0,) * len(grid.multiples)


def log_mixture(grid: Grid, sums: Sequence[float]) -> float:
    """Log evidence of one test: the weighted mean over its alternatives."""
    return logsumexp([s + w for s, w in zip(sums, grid.log_weights, strict=True)])


def log_average(log_evidence: Sequence[float], weights: Sequence[float]) -> tuple[float, int]:
    """Logarithm of the mean evidence, valid under any dependence, and the index that weighs most."""
    total = sum(weights)
    terms = [e + log(w / total) for e, w in zip(log_evidence, weights, strict=True)]
    return logsumexp(terms), max(range(len(terms)), key=terms.__getitem__)


def log_restart(parts: Sequence[float], planned: int, started: int) -> float:
    """Log evidence over parts that each began with a step, so that good early steps cannot hide a late regression.

    The first part counts twice: as the whole rollout (1/2) and as its first step (1/(2J)). What no
    step has yet been started for stays in hand as 1.
    """
    share = 1 / (2 * planned)
    terms = [part + log(share) for part in parts[1:]]
    terms.append(parts[0] + log(0.5 + (share if started else 0.0)))
    unspent = 0.5 - started * share
    if unspent > 1e-12:
        terms.append(log(unspent))
    return logsumexp(terms)


def log_limit(error: float) -> float:
    """ln(1/error): what evidence has to reach."""
    return log(1 / error)


def displayed(log_evidence: float) -> float:
    """Evidence as a number for people; never a probability."""
    return 1 + expm1(min(log_evidence, 690.0))
