"""How long until a slow canary is rolled back: three edges of a histogram, and a rival's interpolated percentile.

Blocks of 15 s, one step, default margins, an hour at most. Needs no cluster.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from benchmarks.agreement import Cell, Comparison, Row
from benchmarks.result import Result
from benchmarks.traffic import HOUR, SECONDS, SEED, share_slower
from benchmarks.vectorised import Block, Hypothesis, Process, displayed_quantile, log_average
from benchmarks.watchers import A_MINUTE, FLAGGER_FAILURES, LATENCY, SETTINGS, Watcher, first_seconds
from modelrollout.decide import mixture
from modelrollout.domain.metrics import Margin

RUNS = 300
QUICK = 40
WEIGHTS = (0.05, 0.2, 0.5)
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, inf)
EDGES = (0.1, 0.25, 0.5)
STRICT = Margin(ratio=1.1, absolute=0.001)
SLOW = 0.5
"""The rival's limit for the 99th percentile, in seconds."""
WATCHERS = ("engine", "strict", "Flagger-like")

SPECIFIED: Mapping[tuple[float, float], tuple[tuple[str, str, str], ...]] = {
    (1.5, 10): (("255", "105", "75"), ("202", "75", "45"), ("600", "360", "300")),
    (1.5, 100): (("30", "15", "15"), ("30", "15", "15"), ("300", "300", "300")),
    (3, 1): (("255", "90", "75"), ("210", "75", "60"), ("600", "300", "300")),
    (1.1, 100): (("(3%)", "(7%)", "(10%)"), ("1148", "390", "255"), ("1620", "(8%)", "-")),
    (1, 10): (("-", "-", "-"), ("-", "-", "-"), ("2880", "(45%)", "(28%)")),
}
"""By slowdown and requests a second: for each watcher the seconds at 5, 20 and 50 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histograms:
    """Requests per bucket in one block, not cumulative: (bounds, runs)."""

    canary: np.ndarray
    stable: np.ndarray

    def slower_than(self, edge: float) -> Block:
        above = BOUNDS.index(edge) + 1
        return Block(
            x_canary=self.canary[above:].sum(axis=0),
            n_canary=self.canary.sum(axis=0),
            x_stable=self.stable[above:].sum(axis=0),
            n_stable=self.stable.sum(axis=0),
        )


class Edges:
    """The engine's latency test: the mean evidence over the edges, with minBad slow requests at the loudest."""

    def __init__(self, margin: Margin, runs: int) -> None:
        self._processes = [Process(Hypothesis.of(mixture.REGRESSION, margin), runs) for _ in EDGES]
        self._bad = np.zeros((len(EDGES), runs))

    def after(self, block: Histograms) -> np.ndarray:
        blocks = [block.slower_than(edge) for edge in EDGES]
        self._bad += [each.x_canary for each in blocks]
        each = np.array([process.after(edge) for process, edge in zip(self._processes, blocks, strict=True)])
        evidence, loudest = log_average(each, [1.0] * len(EDGES))
        bad = np.take_along_axis(self._bad, loudest[None], axis=0)[0]
        enough: np.ndarray = bad >= SETTINGS.min_bad
        return enough & (evidence >= mixture.log_limit(SETTINGS.alpha))


class Percentile:
    """A rival: a minute whose interpolated p99 is above the limit, or without a request, is a failed check."""

    def __init__(self, runs: int) -> None:
        self._failed = np.zeros(runs, int)
        self._minute: list[np.ndarray] = []

    def after(self, block: Histograms) -> np.ndarray:
        self._minute.append(block.canary)
        if len(self._minute) == A_MINUTE:
            cumulative = np.cumsum(np.sum(self._minute, axis=0), axis=0)
            self._failed += (cumulative[-1] == 0) | (displayed_quantile(BOUNDS, cumulative, 0.99) > SLOW)
            self._minute = []
        return self._failed >= FLAGGER_FAILURES


def rolled_back(slowdown: float, rps: float, weight: float, runs: int) -> dict[str, np.ndarray]:
    """Seconds to rollback in each run for each watcher."""
    tests: tuple[Watcher[Histograms], ...] = (
        Edges(LATENCY.regression, runs),
        Edges(STRICT, runs),
        Percentile(runs),
    )
    requests = SECONDS * rps
    means = _means(requests * weight, slowdown), _means(requests * (1 - weight), 1.0)
    return first_seconds(_drawn(*means, runs), dict(zip(WATCHERS, tests, strict=True)))


def _drawn(canary: np.ndarray, stable: np.ndarray, runs: int) -> Iterator[Histograms]:
    """An hour of blocks, each bucket Poisson with its mean."""
    rng, shape = np.random.default_rng(SEED), (len(BOUNDS), runs)
    for _ in range(HOUR):
        yield Histograms(canary=rng.poisson(canary[:, None], shape), stable=rng.poisson(stable[:, None], shape))


def _means(requests: float, slowdown: float) -> np.ndarray:
    """Mean requests per bucket."""
    slower = [1.0, *(share_slower(bound, slowdown) for bound in BOUNDS)]
    return -requests * np.diff(slower)


def measure(repetitions: int | None) -> Result:
    runs = RUNS if repetitions is None else repetitions
    found = {
        case: [rolled_back(slowdown=case[0], rps=case[1], weight=weight, runs=runs) for weight in WEIGHTS]
        for case in SPECIFIED
    }
    compared = [Comparison(title=name, labels=("canary", "rps"), rows=_rows(name, found)) for name in WATCHERS]
    return Result(
        title="Time until a slow canary is rolled back",
        measured=f"Median seconds of {runs} simulated rollouts to the rollback, at 5 / 20 / 50 % of the traffic; "
        "`(7%)`: found within the hour in so many only; `-`: in fewer than 0.5 %. Answers take 100 ms in the median "
        "(lognormal, sigma 0.6, p99 404 ms) in buckets from 5 ms to 10 s; the canary's take a factor longer, and ×1 is "
        "a healthy one. *engine*: the mean evidence of the edges 0.1, 0.25 and 0.5 s, default margins; an edge counts "
        "once it has 3 slow requests. *strict*: margins of ratio 1.1 and absolute 0.001. *Flagger-like*: once a "
        "minute, an interpolated p99 above 500 ms is a failed check; rollback at the fifth. Within: medians within "
        "20 % or one block; shares within three standard errors of two samples.",
        targets=tuple(each.target() for each in compared),
        tables=tuple(each.table() for each in compared),
        remarks=(
            (
                "Answers that take 10 % longer are within the default margins but for the edge at 0.25 s (8.6 % slower,"
                " 8.1 % tolerated): the engine is meant to find them hardly ever."
            ),
            (
                "The rival's percentile is interpolated in the bucket of 250 to 500 ms, where it swings with few "
                "requests: hence its false alarms on the healthy canary."
            ),
        ),
    )


def _rows(name: str, found: Mapping[tuple[float, float], Sequence[Mapping[str, np.ndarray]]]) -> list[Row]:
    rows = []
    for (slowdown, rps), wanted in SPECIFIED.items():
        pairs = zip(wanted[WATCHERS.index(name)], found[slowdown, rps], strict=True)
        cells = tuple(Cell.of_seconds(text, seconds[name], runs=RUNS) for text, seconds in pairs)
        rows.append(Row(labels=(f"×{slowdown:g}", f"{rps:g}"), cells=cells))
    return rows
