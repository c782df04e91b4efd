"""Requests of many simulated rollouts, counted in blocks of 15 s: no scrapes and no polls in between."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import erfc, inf, log, sqrt

import numpy as np

from benchmarks.vectorised import Block
from modelrollout.domain.metrics import Margin

SECONDS = 15
"""Of one block, which is also one poll."""
HOUR = 3600 // SECONDS
"""In blocks."""
SEED = 20240601
_AT_ONCE = 64
_MEDIAN, _SIGMA = 0.1, 0.6
"""Seconds, and of the logarithm: what answers take. Their 99th percentile is 404 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What users send, and how much of it is answered badly: one cell of a table."""

    rps: float
    weight: float
    """The canary's share, 0 to 1."""
    stable: float
    """Rate of bad answers."""
    canary: float

    def at(self, margin: Margin) -> "Traffic":
        """With a canary exactly as bad as is tolerated."""
        return replace(self, canary=margin.ratio * self.stable + margin.absolute)

    def means(self) -> tuple[float, float, float, float]:
        """Of a block: bad and good answers of the canary, bad and good ones of stable."""
        canary, stable = SECONDS * self.rps * self.weight, SECONDS * self.rps * (1 - self.weight)
        return canary * self.canary, canary * (1 - self.canary), stable * self.stable, stable * (1 - self.stable)


def blocks(rng: np.random.Generator, cells: Sequence[Traffic], runs: int, count: int) -> Iterator[Block]:
    """`count` blocks of `runs` rollouts of each cell, one cell after the other: arrays of cells * runs.

    n is Poisson and x binomial of n, drawn as independent Poisson numbers of bad and of good answers: the same law.
    """
    means = [np.repeat(mean, runs) for mean in zip(*(cell.means() for cell in cells), strict=True)]
    for first in range(0, count, _AT_ONCE):
        shape = (min(_AT_ONCE, count - first), len(cells) * runs)
        x_canary, good_canary, x_stable, good_stable = (rng.poisson(mean, shape) for mean in means)
        for x_c, n_c, x_s, n_s in zip(x_canary, x_canary + good_canary, x_stable, x_stable + good_stable, strict=True):
            yield Block(x_canary=x_c, n_canary=n_c, x_stable=x_s, n_stable=n_s)


def batches(cells: int, runs: int, *, most: int = 500) -> list[int]:
    """Runs per cell of each batch, so that a batch's arrays stay in the processor's cache."""
    size = max(1, most // cells)
    return [min(size, runs - first) for first in range(0, runs, size)]


def share_slower(edge: float, slowdown: float = 1.0) -> float:
    """Of answers than `edge` seconds; lognormal, all `slowdown` times as slow."""
    if edge in (0, inf):
        return 1.0 if edge == 0 else 0.0
    return erfc(log(edge / (_MEDIAN * slowdown)) / (_SIGMA * sqrt(2))) / 2
