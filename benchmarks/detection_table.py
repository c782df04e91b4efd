"""How long the engine and rivals need to roll a bad canary back, by error rates, requests a second and weight.

Blocks of 15 s, one plain mixture, one step, default margins, an hour at most. Needs no cluster.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from benchmarks.agreement import Cell, Comparison, Row
from benchmarks.pictures import Curve, Panel, curves
from benchmarks.result import Picture, Result
from benchmarks.traffic import HOUR, SEED, Traffic, batches, blocks
from benchmarks.vectorised import Block
from benchmarks.watchers import (
    ARGO_FAILURES,
    ERRORS,
    FLAGGER_FAILURES,
    STRICT,
    EveryMinute,
    Regression,
    Watcher,
    first_seconds,
    joined,
)

RUNS = 1000
QUICK = 60
WEIGHTS = (0.05, 0.2, 0.5)
WATCHERS = ("engine", "strict", "Flagger-like", "Argo-like")
AT_ONCE = (("15", "15", "15"), ("15", "15", "15"), ("300", "300", "300"), ("240", "240", "240"))

Wanted = tuple[tuple[str, str, str], ...]
SPECIFIED: Mapping[tuple[float, float, float], Wanted] = {
    (0.001, 0.005, 10): (
        ("(40%)", "1350", "990"),
        ("2865", "885", "675"),
        ("1980", "2220", "2280"),
        ("1560", "1740", "1800"),
    ),
    (0.001, 0.005, 100): (("450", "150", "120"), ("300", "105", "75"), ("2280", "-", "-"), ("1800", "(1%)", "-")),
    (0.001, 0.5, 1): (("135", "60", "45"), ("120", "45", "45"), ("360", "300", "300"), ("300", "240", "240")),
    (0.001, 0.5, 10): AT_ONCE,
    (0.001, 0.5, 100): AT_ONCE,
    (0.001, 0.5, 1000): AT_ONCE,
    (0.01, 0.5, 10): AT_ONCE,
    (0.01, 0.5, 100): AT_ONCE,
    (0.01, 0.5, 1000): AT_ONCE,
    (0.01, 0.02, 10): (
        ("(25%)", "2145", "1545"),
        ("2865", "930", "638"),
        ("600", "420", "300"),
        ("480", "300", "240"),
    ),
    (0.01, 0.02, 100): (("690", "240", "180"), ("330", "105", "75"), ("300", "300", "300"), ("240", "240", "240")),
    (0.01, 0.05, 1): (
        ("(42%)", "1305", "1035"),
        ("3240", "982", "750"),
        ("1500", "600", "360"),
        ("1200", "480", "300"),
    ),
}
"""By stable's rate, the canary's and requests a second: for each watcher the seconds at 5, 20 and 50 %."""

DRAWN = {0.001: (0.005, 0.5), 0.01: (0.02, 0.5)}
"""The canaries of the picture, by stable's rate."""
DRAWN_RPS = (1, 3, 10, 30, 100, 300, 1000)


def rolled_back(cells: list[Traffic], runs: int) -> dict[str, np.ndarray]:
    """Seconds to rollback for each watcher: (cells, runs)."""
    found = []
    for number, size in enumerate(batches(len(cells), runs)):
        drawn = blocks(np.random.default_rng((SEED, number)), cells, size, HOUR)
        found.append(first_seconds(drawn, _watchers(len(cells) * size)))
    return joined(found, len(cells))


def _watchers(runs: int) -> dict[str, Watcher[Block]]:
    tests: tuple[Watcher[Block], ...] = (
        Regression.of(ERRORS.regression, runs),
        Regression.of(STRICT, runs),
        EveryMinute(FLAGGER_FAILURES, runs),
        EveryMinute(ARGO_FAILURES, runs),
    )
    return dict(zip(WATCHERS, tests, strict=True))


def measure(repetitions: int | None) -> Result:
    runs = RUNS if repetitions is None else repetitions
    cells = [
        Traffic(rps=rps, weight=weight, stable=stable, canary=canary)
        for stable, canary, rps in SPECIFIED
        for weight in WEIGHTS
    ]
    seconds = rolled_back(cells, runs)
    compared = [
        Comparison(title=name, labels=("base", "canary", "rps"), rows=_rows(name, seconds)) for name in WATCHERS
    ]
    return Result(
        title="Time until a bad canary is rolled back",
        measured=f"Median seconds of {runs} simulated rollouts to the rollback, at 5 / 20 / 50 % of the traffic. "
        "Requests are Poisson, counted in blocks of 15 s; errors are binomial. `(25%)`: found within the hour in so "
        "many only. `-`: in fewer than 0.5 %. *engine*: the plain mixture with the default margins, alpha = 0.01, "
        "minBad = 3. *strict*: the same with margins of ratio 1 and absolute 0. *Flagger-like*: once a minute, less "
        "than 99 % success of the canary or no request is a failed check; rollback at the fifth. *Argo-like*: at the "
        "fourth. Within: medians within 20 % or one block; shares within three standard errors of two samples. On a "
        "cluster half a scrape interval, half a poll and the lag come on top.",
        targets=tuple(each.target() for each in compared),
        tables=tuple(each.table() for each in compared),
        pictures=(_picture(max(runs // 4, 20)),),
        remarks=(
            (
                "At a base rate of 1 % the rules with a fixed 99 % are quick because they fire on healthy canaries "
                "too: see false_alarms.md."
            ),
        ),
    )


def _rows(name: str, seconds: Mapping[str, np.ndarray]) -> list[Row]:
    ours: Iterator[np.ndarray] = iter(seconds[name])
    rows = []
    for (stable, canary, rps), wanted in SPECIFIED.items():
        cells = [Cell.of_seconds(each, next(ours), runs=RUNS) for each in wanted[WATCHERS.index(name)]]
        rows.append(Row(labels=(f"{100 * stable:g} %", f"{100 * canary:g} %", f"{rps:g}"), cells=tuple(cells)))
    return rows


def _picture(runs: int) -> Picture:
    cases = [(stable, canary) for stable, canaries in DRAWN.items() for canary in canaries]
    cells = [Traffic(rps=rps, weight=0.2, stable=s, canary=c) for s, c in cases for rps in DRAWN_RPS]
    medians = {
        name: np.median(seconds, axis=1).reshape(len(cases), -1) for name, seconds in rolled_back(cells, runs).items()
    }
    return curves(
        "detection_table",
        f"Median seconds to the rollback at 20 % of the traffic, of {runs} rollouts each; a line ends where fewer "
        "than half are found within the hour.",
        [
            Panel(
                title=f"{100 * stable:g} % of stable's requests fail, {100 * canary:g} % of the canary's",
                curves=tuple(
                    Curve(label=name, x=DRAWN_RPS, y=tuple(median[number])) for name, median in medians.items()
                ),
            )
            for number, (stable, canary) in enumerate(cases)
        ],
        x="requests a second",
        y="seconds",
    )
