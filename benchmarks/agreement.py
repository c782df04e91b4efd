"""Whether what was simulated agrees with what the specification says, cell by cell. Pure.

Medians agree within 20 % or one block. False alarms stay within their bound and three standard errors. A share that
has no bound agrees within three standard errors of the difference of two samples: the specification's was one too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from benchmarks.result import Table, Target
from benchmarks.traffic import SECONDS

LEAST_TOLD = 0.005
"""Shares below are written as `-`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One number of the specification, as it is written there, beside the one found here."""

    wanted: str
    found: str
    agrees: bool

    @classmethod
    def of_seconds(cls, wanted: str, seconds: np.ndarray, *, runs: int) -> "Cell":
        """A median of seconds, infinite where nothing came; the specification's is of `runs` runs.

        `450`: the median. `(25%)`: only so many came. `-`: fewer than 0.5 % came. `> 14400`: fewer than half came.
        """
        came = float(np.isfinite(seconds).mean())
        if wanted == "-":
            agrees = within_bound(came, LEAST_TOLD, seconds.size)
        elif wanted.startswith(">"):
            agrees = within_bound(came, 0.5, seconds.size)
        elif wanted.startswith("("):
            agrees = same_share(came, seconds.size, float(wanted.strip("(%)")) / 100, runs)
        else:
            agrees = _same_median(float(wanted), seconds, least=SECONDS, runs=runs)
        return cls(wanted=wanted, found=told(seconds), agrees=agrees)

    @classmethod
    def of_median(cls, wanted: float, numbers: np.ndarray, *, least: float, runs: int) -> "Cell":
        """A median that may be off by 20 % or by `least`."""
        agrees = _same_median(wanted, numbers, least=least, runs=runs)
        return cls(wanted=f"{wanted:g}", found=f"{np.median(numbers):g}", agrees=agrees)

    @classmethod
    def of_bounded(cls, wanted: float, happened: np.ndarray, bound: float) -> "Cell":
        """A share in % that must not exceed its bound."""
        share = float(happened.mean())
        return cls(wanted=f"{wanted:g}", found=f"{100 * share:.3g}", agrees=within_bound(share, bound, happened.size))

    @classmethod
    def of_share(cls, wanted: float, happened: np.ndarray, *, runs: int) -> "Cell":
        """A share in % that knows no bound."""
        share = float(happened.mean())
        agrees = same_share(share, happened.size, wanted / 100, runs)
        return cls(wanted=f"{wanted:g}", found=f"{100 * share:.3g}", agrees=agrees)


def told(seconds: np.ndarray) -> str:
    """A cell as the specification writes them."""
    came = np.isfinite(seconds).mean()
    if came >= 0.5:
        return f"{np.median(seconds):.0f}" if np.isfinite(np.median(seconds)) else "(50%)"
    return f"({100 * came:.0f}%)" if came >= LEAST_TOLD else "-"


def within_bound(share: float, bound: float, runs: int) -> bool:
    return share <= bound + 3 * sqrt(bound * (1 - bound) / runs)


def same_share(share: float, runs: int, other: float, other_runs: int) -> bool:
    """Whether both may be samples of one share, as far as a number rounded to a per cent can tell."""
    pooled = (share * runs + other * other_runs) / (runs + other_runs)
    error = sqrt(pooled * (1 - pooled) * (1 / runs + 1 / other_runs))
    return abs(share - other) <= 3 * error + 0.005


def _same_median(wanted: float, numbers: np.ndarray, *, least: float, runs: int) -> bool:
    """A sample smaller than the specification's may be off by three standard errors of its median on top."""
    ranked, middle = np.sort(numbers), (numbers.size - 1) / 2
    spread = 1.5 * sqrt(numbers.size) if numbers.size < runs else 0.0
    low, high = (ranked[int(np.clip(round(middle + off), 0, numbers.size - 1))] for off in (-spread, spread))
    if not spread:
        low = high = float(np.median(numbers))
    allowed = max(0.2 * wanted, least)
    return bool(low - allowed <= wanted <= high + allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    labels: tuple[str, ...]
    cells: tuple[Cell, ...]

    def written(self) -> tuple[str, ...]:
        wanted, found = (" / ".join(getattr(cell, name) for cell in self.cells) for name in ("wanted", "found"))
        off = [cell.found for cell in self.cells if not cell.agrees]
        return (*self.labels, wanted, found, "yes" if not off else f"**no**: {', '.join(off)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A column of the specification's table as a table of its own, and the target that all of it agrees."""

    title: str
    labels: tuple[str, ...]
    rows: Sequence[Row]

    def table(self) -> Table:
        head = (*self.labels, "specification", "measured", "within")
        return Table(title=self.title, head=head, rows=tuple(row.written() for row in self.rows))

    def target(self) -> Target:
        cells = [cell for row in self.rows for cell in row.cells]
        good = sum(cell.agrees for cell in cells)
        return Target(
            what=self.title,
            wanted=f"{len(cells)} of {len(cells)} within",
            measured=f"{good} of {len(cells)}",
            met=good == len(cells),
        )
