"""Where a metric of the user's own is counted: series by name with their labels. Pure.

Free PromQL only for the value of a gauge, and only as a text here.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSelector:
    """Series by name, all of them together, with (label, operator, value) for each."""

    series: tuple[str, ...]
    matchers: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Bad ones of all, each a counter."""

    total: SeriesSelector
    bad: SeriesSelector


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Values from `low` (worst) to `high` (best), as a running sum and a count."""

    sums: SeriesSelector
    counts: SeriesSelector
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            raise ValueError(f"score.low: {self.low:g} is not possible; write 0 or more, and less than high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """A histogram of times."""

    buckets: SeriesSelector
    unit: float
    """Seconds per unit of its bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """PromQL as it was written, not yet looked at; only `measure` makes a query of it."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """One value per evaluation; the candidate is worse in a window in which it is off by more than `margin`."""

    gauge: SeriesSelector | Expression
    margin: float
    window: timedelta
    """What one evaluation covers: values are compared once in it."""
    higher_is_worse: bool = True

    def __post_init__(self) -> None:
        if self.margin < 0:
            raise ValueError(f"gauge.margin: {self.margin:g} is not possible; write 0 or more")
        if self.window < timedelta(seconds=1):
            raise ValueError(f"gauge.window: {self.window} is not possible; write 1s or more")


Signal = Counts | Score | Buckets | Gauge

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
"""Seconds per unit of a histogram's bounds."""
