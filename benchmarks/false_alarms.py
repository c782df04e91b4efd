"""How often a canary that is no worse is rolled back all the same, and how soon it is proven not to be.

Blocks of 15 s, one plain mixture, one step. The engine looks for 24 hours, rivals for one. Needs no cluster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from benchmarks.agreement import Cell, Comparison, Row, within_bound
from benchmarks.pictures import Curve, Panel, curves
from benchmarks.result import Picture, Result
from benchmarks.traffic import HOUR, SEED, Traffic, batches, blocks
from benchmarks.watchers import (
    ARGO_FAILURES,
    ERRORS,
    FLAGGER_FAILURES,
    SETTINGS,
    STRICT,
    EveryMinute,
    NonInferiority,
    Regression,
    first_seconds,
    joined,
)

RUNS = 500
QUICK = 10
WEIGHTS = (0.05, 0.2, 0.5)
RATES = (0.001, 0.01)
RPS = (1.0, 10.0, 100.0, 1000.0)
LOOKS = 24 * HOUR
PROOF = 4 * HOUR
SHOWN = ((0.001, 1.0), (0.001, 100.0), (0.01, 10.0), (0.01, 100.0))
"""Stable's rate and requests a second of the specification's rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """A column of shares in per cent: the specification's rows at 5, 20 and 50 %, then its mean over all cells."""

    name: str
    rows: tuple[tuple[float, float, float], ...]
    mean: float
    bound: float | None = None

    def cell(self, wanted: float, rang: np.ndarray) -> Cell:
        if self.bound is None:
            return Cell.of_share(wanted, rang, runs=RUNS)
        return Cell.of_bounded(wanted, rang, self.bound)

    def of_all(self, rang: np.ndarray) -> Cell:
        """The mean over cells (cells, runs), against the bound, or against another sample of the same size."""
        shares = rang.mean(axis=1)
        error = sqrt(float((shares * (1 - shares)).sum()) * (1 / rang.shape[1] + 1 / RUNS)) / len(shares)
        share = float(shares.mean())
        unbounded = abs(share - self.mean / 100) <= 3 * error + 0.005
        agrees = unbounded if self.bound is None else within_bound(share, self.bound, rang.size)
        return Cell(wanted=f"{self.mean:g}", found=f"{100 * share:.2g}", agrees=agrees)


COLUMNS = (
    Alarms(name="engine", rows=((0, 0, 0), (0, 0, 0), (0.2, 0, 0), (0, 0, 0)), mean=0.01, bound=SETTINGS.alpha),
    Alarms(
        name="strict", rows=((0, 0.2, 0.4), (1.2, 1, 1.2), (0.4, 0.4, 0.6), (0, 0.2, 0)), mean=0.4, bound=SETTINGS.alpha
    ),
    Alarms(
        name="engine, canary at its margin",
        rows=((0.6, 0.2, 0.6), (0.2, 0.8, 1.6), (0.6, 0.2, 0.6), (0.6, 0.2, 0.2)),
        mean=0.5,
        bound=SETTINGS.alpha,
    ),
    Alarms(name="Flagger-like", rows=((21, 0, 2.8), (0, 0, 0), (100, 100, 100), (100, 100, 100)), mean=48),
    Alarms(name="Argo-like", rows=((40, 0.4, 11), (0, 0, 0), (100, 100, 100), (100, 100, 100)), mean=51),
    Alarms(
        name="not inferior, wrongly",
        rows=((0, 0.4, 1.4), (3.2, 3, 2.2), (3.2, 3, 1.6), (2, 3, 1.4)),
        mean=2.2,
        bound=SETTINGS.beta,
    ),
)
DRAWN = ("engine", "strict", "Flagger-like", "Argo-like", "engine, canary at its margin")
PROVEN = (("> 14400",) * 3, ("1095", "345", "195"), ("5228", "1748", "1208"), ("540", "195", "135"))
"""Median seconds until an equal canary is proven not inferior."""


def cells() -> list[Traffic]:
    return [Traffic(rps=rps, weight=w, stable=rate, canary=rate) for rate in RATES for rps in RPS for w in WEIGHTS]


def simulated(runs: int) -> dict[str, np.ndarray]:
    """Seconds until each test spoke up, infinite where it did not: (cells, runs)."""
    equal = cells()
    found = []
    for number, size in enumerate(batches(len(equal), runs)):
        rng, width = np.random.default_rng((SEED, number)), len(equal) * size
        spoke = first_seconds(
            blocks(rng, equal, size, LOOKS),
            {
                "engine": Regression.of(ERRORS.regression, width),
                "strict": Regression.of(STRICT, width),
                "Flagger-like": EveryMinute(FLAGGER_FAILURES, width),
                "Argo-like": EveryMinute(ARGO_FAILURES, width),
                "proven": NonInferiority(ERRORS.non_inferiority, width),
            },
            {"Flagger-like": HOUR, "Argo-like": HOUR, "proven": PROOF},
        )
        at_margin = [cell.at(ERRORS.regression) for cell in equal]
        spoke |= first_seconds(
            blocks(rng, at_margin, size, LOOKS),
            {"engine, canary at its margin": Regression.of(ERRORS.regression, width)},
        )
        inferior = [cell.at(ERRORS.non_inferiority) for cell in equal]
        spoke |= first_seconds(
            blocks(rng, inferior, size, PROOF),
            {"not inferior, wrongly": NonInferiority(ERRORS.non_inferiority, width)},
        )
        found.append(spoke)
    return joined(found, len(equal))


def measure(repetitions: int | None) -> Result:
    runs = RUNS if repetitions is None else repetitions
    seconds = simulated(runs)
    compared = [_alarms(column, np.isfinite(seconds[column.name])) for column in COLUMNS]
    compared.append(_proven(seconds["proven"]))
    return Result(
        title="False alarms",
        measured=f"Share in % of {runs} simulated rollouts, at 5 / 20 / 50 % of the traffic, in which a canary exactly "
        "as good as stable was rolled back: by the engine within 24 hours (5760 looks), by the rivals of "
        "detection_table.md within one. *canary at its margin*: its rate is 1.25 times stable's plus 0.0002, the worst "
        "that is tolerated. *not inferior, wrongly*: proven within 4 hours though it is exactly as bad as the margin "
        "of non-inferiority, 1.5 times plus 0.001. *proven*: median seconds until a canary as good as stable is proven "
        "not inferior. Within: at most alpha = 1 % (beta = 5 % for proof) and three standard errors; rivals have no "
        "bound, their shares agree within three standard errors of two samples; medians within 20 % or one block.",
        targets=tuple(each.target() for each in compared),
        tables=tuple(each.table() for each in compared),
        pictures=(_picture(seconds),),
        remarks=(
            "Any canary is within every margin here: each rollback is a false alarm, however long one looks.",
            (
                "The rivals' rule knows a fixed 99 % only: at a base rate of 1 % it fires on every healthy canary, and "
                "with little traffic on minutes without a request."
            ),
        ),
    )


def _alarms(column: Alarms, rang: np.ndarray) -> Comparison:
    rows = [
        Row(labels=_labels(rate, rps), cells=tuple(map(column.cell, wanted, _at(rang, rate, rps))))
        for (rate, rps), wanted in zip(SHOWN, column.rows, strict=True)
    ]
    rows.append(Row(labels=("mean of", f"{len(rang)} cells"), cells=(column.of_all(rang),)))
    return Comparison(title=column.name, labels=("base", "rps"), rows=rows)


def _proven(seconds: np.ndarray) -> Comparison:
    rows = [
        Row(
            labels=_labels(rate, rps),
            cells=tuple(Cell.of_seconds(w, s, runs=RUNS) for w, s in zip(wanted, _at(seconds, rate, rps), strict=True)),
        )
        for (rate, rps), wanted in zip(SHOWN, PROVEN, strict=True)
    ]
    return Comparison(title="proven not inferior, s", labels=("base", "rps"), rows=rows)


def _labels(rate: float, rps: float) -> tuple[str, str]:
    return f"{100 * rate:g} %", f"{rps:g}"


def _at(found: np.ndarray, rate: float, rps: float) -> Sequence[np.ndarray]:
    """Of the cells at the three weights."""
    first = (RATES.index(rate) * len(RPS) + RPS.index(rps)) * len(WEIGHTS)
    return tuple(found[first : first + len(WEIGHTS)])


def _picture(seconds: Mapping[str, np.ndarray]) -> Picture:
    def shares(name: str, rate: float) -> tuple[float, ...]:
        rang = np.isfinite(seconds[name])
        return tuple(100 * float(np.mean(_at(rang, rate, rps))) for rps in RPS)

    return curves(
        "false_alarms",
        "False alarms in % by requests a second, mean over the three weights: within 24 hours by the engine, within "
        "one by the rivals. Dashed: alpha.",
        [
            Panel(
                title=f"{100 * rate:g} % of requests fail, of both versions",
                curves=tuple(Curve(label=name, x=RPS, y=shares(name, rate)) for name in DRAWN),
                limit=100 * SETTINGS.alpha,
            )
            for rate in RATES
        ],
        x="requests a second",
        y="rolled back, %",
        linear_to=1,
    )
