"""The engine's evidence for many rollouts at once: `decide/mixture.py` and `decide/dispersion.py` on numpy arrays.

The grids are the engine's own, and a test holds each function here against the engine's to 1e-9: what the tables say,
they say of the engine. Counts are arrays of one entry per run; evidence is kept as its logarithm. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from modelrollout.decide.dispersion import MOST, PRIOR_FREEDOM, SCALES
from modelrollout.decide.mixture import Grid
from modelrollout.domain.metrics import Margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Bad and total requests of both arms over one span: arrays of shape (runs)."""

    x_canary: np.ndarray
    n_canary: np.ndarray
    x_stable: np.ndarray
    n_stable: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """What is tested: the canary's rate against `ratio` times stable's plus `absolute`.

    `ratio` and `phi` may differ between runs: then they are arrays of shape (runs).
    """

    grid: Grid
    ratio: float | np.ndarray
    absolute: float
    phi: float | np.ndarray = 1.0

    @classmethod
    def of(cls, grid: Grid, margin: Margin) -> "Hypothesis":
        return cls(grid=grid, ratio=margin.ratio, absolute=margin.absolute)


def log_factors(block: Block, against: Hypothesis) -> np.ndarray:
    """`mixture.log_factors` of every run: (alternatives, runs).

    With r = rho * m the bet is (m - 1) / (1 + r k), and ln(1 + bet) = ln m + ln(1 + rho k) - ln(1 + r k): one logarithm
    an alternative. Where an arm has no requests all terms vanish.
    """
    multiples = np.array(against.grid.multiples)[:, None]
    both = block.n_stable > 0
    x_canary, n_canary = np.where(both, block.x_canary, 0.0), np.where(both, block.n_canary, 0.0)
    tolerated = against.ratio * n_canary / np.where(both, block.n_stable, 1.0)
    alternative = multiples * tolerated
    factors = np.log1p(tolerated) - np.log1p(alternative)
    factors *= x_canary + block.x_stable
    factors += x_canary * np.log(multiples)
    alternative += 1
    factors -= (multiples - 1) * (n_canary * against.absolute) / alternative
    return factors / against.phi


def logsumexp(values: np.ndarray) -> np.ndarray:
    """Over the first axis, shifted by the largest; at least one value is finite."""
    top: np.ndarray = values.max(axis=0)
    total: np.ndarray = np.exp(values - top).sum(axis=0)
    return np.asarray(top + np.log(total))


def log_mixture(grid: Grid, sums: np.ndarray) -> np.ndarray:
    """`mixture.log_mixture` over the first axis of the sums of log factors."""
    return logsumexp(sums + np.array(grid.log_weights).reshape(-1, *[1] * (sums.ndim - 1)))


def log_restart(parts: np.ndarray, started: np.ndarray) -> np.ndarray:
    """`mixture.log_restart` of parts (planned, runs), of which run i has started the first `started[i]`."""
    planned = len(parts)
    share = 1 / (2 * planned)
    weights = np.full(planned, log(share))
    weights[0] = log(0.5 + share)
    begun = np.arange(planned)[:, None] < started
    terms = np.where(begun, parts + weights[:, None], -np.inf)
    unspent = np.where(started < planned, np.log(np.maximum(0.5 - started * share, share / 2)), -np.inf)
    return logsumexp(np.vstack([terms, unspent[None]]))


def log_average(log_evidence: np.ndarray, weights: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """`mixture.log_average` over the first axis: the logarithm of the mean, and who weighs most."""
    terms = log_evidence + np.log(np.array(weights) / sum(weights))[:, None]
    return logsumexp(terms), terms.argmax(axis=0)


def displayed_quantile(bounds: Sequence[float], cumulative: np.ndarray, q: float) -> np.ndarray:
    """`histogram.displayed_quantile` of cumulative counts (bounds, runs); the last bound is infinite.

    0 for no requests.
    """
    rank, highest = q * cumulative[-1], len(bounds) - 2
    ends, starts = np.array([*bounds[:-1], bounds[-2]]), np.array([0.0, *bounds[:-1]])
    at = (cumulative >= rank).argmax(axis=0)
    runs = np.arange(cumulative.shape[1])
    below = np.where(at > 0, cumulative[at - 1, runs], 0)
    inside = np.maximum(cumulative[at, runs] - below, 1)
    value = starts[at] + (ends[at] - starts[at]) * (rank - below) / inside
    return np.where(cumulative[-1] > 0, np.where(at > highest, bounds[-2], value), 0.0)


class Process:
    """One test of each run, from its first block on."""

    def __init__(self, against: Hypothesis, runs: int) -> None:
        self._against = against
        self._sums = np.zeros((len(against.grid.multiples), runs))

    def after(self, block: Block) -> np.ndarray:
        """Log evidence of each run once this block is counted too."""
        self._sums += log_factors(block, self._against)
        return log_mixture(self._against.grid, self._sums)

    def begin_afresh(self, where: np.ndarray) -> None:
        """Forget what these runs have shown: a new step."""
        self._sums[:, where] = 0


class RestartProcess:
    """One test of each run as the mixture over `planned` parts that begin with the steps."""

    def __init__(self, against: Hypothesis, runs: int, planned: int) -> None:
        self._against = against
        self._sums = np.zeros((len(against.grid.multiples), planned, runs))
        self._parts = np.arange(planned)[:, None]

    def after(self, block: Block, started: np.ndarray) -> np.ndarray:
        """Log evidence once this block is counted too in the parts that each run has started."""
        self._sums += np.where(self._parts < started, log_factors(block, self._against)[:, None], 0.0)
        return log_restart(log_mixture(self._against.grid, self._sums), started)


def dispersion(bad: np.ndarray, total: np.ndarray, *, most: float = MOST) -> np.ndarray:
    """`dispersion.dispersion` of counts (polls, pods, runs), where two pods of each run have requests."""
    each = [dispersion_at(_summed(bad, scale), _summed(total, scale), most=most) for scale in SCALES]
    largest: np.ndarray = np.max(each, axis=0)
    return largest


def dispersion_at(bad: np.ndarray, total: np.ndarray, *, most: float = MOST) -> np.ndarray:
    """`dispersion.dispersion_at` of blocks (blocks, pods, runs)."""
    pods, errors, requests = (total > 0).sum(axis=1), bad.sum(axis=1), total.sum(axis=1)
    counts = (pods > 1) & (errors > 0)
    expected = total * (errors / np.maximum(requests, 1))[:, None]
    scatter = ((bad - expected) ** 2 / np.where(expected > 0, expected, 1.0)).sum(axis=1)
    chi2, freedom = np.where(counts, scatter, 0.0).sum(axis=0), np.where(counts, pods - 1, 0).sum(axis=0)
    phi: np.ndarray = (chi2 + PRIOR_FREEDOM) / (freedom + PRIOR_FREEDOM)
    return phi.clip(1.0, most)


def pod_spread(bad: np.ndarray, total: np.ndarray) -> np.ndarray:
    """`dispersion.pod_spread` of totals (pods, runs) of three or more pods that all have requests."""
    expected = total * bad.sum(axis=0) / total.sum(axis=0)
    scatter = (((bad - expected) / expected) ** 2).sum(axis=0) / (len(bad) - 1)
    spread: np.ndarray = np.sqrt(np.log1p(np.maximum(0.0, scatter - (1 / expected).mean(axis=0))))
    return spread


def _summed(polls: np.ndarray, scale: int) -> np.ndarray:
    whole = len(polls) // scale
    sums: np.ndarray = polls[: whole * scale].reshape(whole, scale, *polls.shape[1:]).sum(axis=1)
    return sums
