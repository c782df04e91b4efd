"""What looks at simulated rollouts block after block until it speaks up: the engine's tests, and rivals' rules."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Protocol, TypeVar

import numpy as np

from benchmarks.traffic import SECONDS
from benchmarks.vectorised import Block, Hypothesis, Process
from modelrollout.decide import mixture
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.metrics import Margin

SETTINGS = AnalysisSettings()
ERRORS, LATENCY = SETTINGS.metrics
STRICT = Margin(ratio=1, absolute=0)
A_MINUTE = 60 // SECONDS
FLAGGER_FAILURES, ARGO_FAILURES = 5, 4
"""The failed check at which each rolls back."""


Seen = TypeVar("Seen")
Seen_contra = TypeVar("Seen_contra", contravariant=True)


class Watcher(Protocol[Seen_contra]):
    def after(self, block: Seen_contra, /) -> np.ndarray:
        """For which runs it speaks up now: booleans."""


class Regression:
    """One plain mixture against "not worse": from evidence 1/alpha on, once `minBad` bad answers were the canary's."""

    def __init__(self, against: Hypothesis, runs: int) -> None:
        self._process = Process(against, runs)
        self._bad = np.zeros(runs)

    @classmethod
    def of(cls, margin: Margin, runs: int) -> "Regression":
        return cls(Hypothesis.of(mixture.REGRESSION, margin), runs)

    def after(self, block: Block) -> np.ndarray:
        self._bad += block.x_canary
        crossed = self._process.after(block) >= mixture.log_limit(SETTINGS.alpha)
        return crossed & (self._bad >= SETTINGS.min_bad)


class NonInferiority:
    """Proof that the canary is not worse than the margin, with error beta."""

    def __init__(self, margin: Margin, runs: int) -> None:
        self._process = Process(Hypothesis.of(mixture.NON_INFERIORITY, margin), runs)

    def after(self, block: Block) -> np.ndarray:
        return self._process.after(block) >= mixture.log_limit(SETTINGS.beta)


class EveryMinute:
    """A rival: a minute with less than 99 % success of the canary, or without a request, is a failed check.

    Failed checks are counted and never forgotten; at `failures` of them it speaks up.
    """

    def __init__(self, failures: int, runs: int) -> None:
        self._failures = failures
        self._failed = np.zeros(runs, int)
        self._minute = np.zeros((2, runs))
        self._blocks = 0

    def after(self, block: Block) -> np.ndarray:
        self._minute += (block.x_canary, block.n_canary)
        self._blocks += 1
        if self._blocks % A_MINUTE == 0:
            bad, total = self._minute
            self._failed += (total == 0) | (bad > 0.01 * total)
            self._minute[:] = 0
        return self._failed >= self._failures


def first_seconds(
    blocks: Iterable[Seen], watchers: Mapping[str, Watcher[Seen]], horizons: Mapping[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Seconds until each watcher first spoke up in each run; infinite where it did not.

    A watcher with a horizon looks at so many blocks only. It ends early once all have spoken in every run.
    """
    ends = horizons or {}
    seconds: dict[str, np.ndarray] = {}
    for number, block in enumerate(blocks, start=1):
        for name, watcher in watchers.items():
            if number <= ends.get(name, number):
                spoke = watcher.after(block)
                first = seconds.setdefault(name, np.full(spoke.shape, inf))
                first[spoke & np.isinf(first)] = number * SECONDS
        if all(np.isfinite(first).all() for first in seconds.values()):
            break
    return seconds


def joined(batches: Sequence[Mapping[str, np.ndarray]], cells: int) -> dict[str, np.ndarray]:
    """What batches of all cells brought, as (cells, runs) for each watcher."""
    return {name: np.concatenate([batch[name].reshape(cells, -1) for batch in batches], axis=1) for name in batches[0]}
