"""How long a canary that turns bad in its second step is missed: the restart mixture against one process.

40 good minutes at 20 %, then three times the errors at 50 %; 100 requests a second. Needs no cluster.
"""

from itertools import chain
from math import inf

import numpy as np

from benchmarks.agreement import Cell, Comparison, Row
from benchmarks.result import Result
from benchmarks.traffic import HOUR, SECONDS, SEED, Traffic, blocks
from benchmarks.vectorised import Block, Hypothesis, Process, RestartProcess
from benchmarks.watchers import ERRORS, SETTINGS
from modelrollout.decide import mixture

RUNS = 500
QUICK = 60
GOOD_BLOCKS = 40 * 60 // SECONDS
PLANNED = 4
TIMES = 3
KINDS = ("restart mixture", "one process")
SPECIFIED = {0.01: ("60", "510"), 0.001: ("600", "1695")}
"""By base rate: median seconds of each kind, from the second step's first request on."""


class Watched:
    """Seconds from the second step on until the evidence of each run first sufficed."""

    def __init__(self, runs: int) -> None:
        against = Hypothesis.of(mixture.REGRESSION, ERRORS.regression)
        self._restart, self._one = RestartProcess(against, runs, PLANNED), Process(against, runs)
        self._bad = np.zeros(runs)
        self.seconds = {kind: np.full(runs, inf) for kind in KINDS}

    def see(self, block: Block, number: int, step: int) -> None:
        self._bad += block.x_canary
        each = self._restart.after(block, np.full(self._bad.shape, step)), self._one.after(block)
        for kind, evidence in zip(KINDS, each, strict=True):
            crossed = (evidence >= mixture.log_limit(SETTINGS.alpha)) & (self._bad >= SETTINGS.min_bad)
            first = self.seconds[kind]
            first[crossed & np.isinf(first)] = (number - GOOD_BLOCKS) * SECONDS


def found_out(base: float, runs: int) -> dict[str, np.ndarray]:
    rng, watched = np.random.default_rng(SEED), Watched(runs)
    good = Traffic(rps=100, weight=0.2, stable=base, canary=base)
    bad = Traffic(rps=100, weight=0.5, stable=base, canary=TIMES * base)
    drawn = chain(blocks(rng, [good], runs, GOOD_BLOCKS), blocks(rng, [bad], runs, HOUR))
    for number, block in enumerate(drawn, start=1):
        watched.see(block, number, 1 if number <= GOOD_BLOCKS else 2)
    return watched.seconds


def measure(repetitions: int | None) -> Result:
    runs = RUNS if repetitions is None else repetitions
    found = {base: found_out(base, runs) for base in SPECIFIED}
    compared = [
        Comparison(
            title=kind,
            labels=("base",),
            rows=[
                Row(
                    labels=(f"{100 * base:g} %",),
                    cells=(Cell.of_seconds(wanted[KINDS.index(kind)], found[base][kind], runs=RUNS),),
                )
                for base, wanted in SPECIFIED.items()
            ],
        )
        for kind in KINDS
    ]
    early = {kind: sum(int((each[kind] <= 0).sum()) for each in found.values()) for kind in KINDS}
    return Result(
        title="A canary that turns bad in its second step",
        measured=f"Median seconds of {runs} simulated rollouts from the start of the second step to the rollback. The "
        f"canary is as good as stable for 40 minutes at 20 %, then {TIMES} times as bad at 50 %; 100 requests a "
        "second, default margins. *restart mixture*: half of the evidence from the start of the rollout, the rest over "
        f"{PLANNED} parts that begin with the steps. *one process*: all of it from the start of the rollout. Within: "
        "medians within 20 % or one block.",
        targets=tuple(each.target() for each in compared),
        tables=tuple(each.table() for each in compared),
        remarks=(
            (
                f"Rolled back in the 40 good minutes: {early[KINDS[0]]} and {early[KINDS[1]]} of {len(found) * runs}. "
                "They count as found at once in the medians."
            ),
        ),
    )
