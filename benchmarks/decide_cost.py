"""CPU of the analysis in one poll: from raw samples to evidence, and the arithmetic and the judge alone.

Each ModelDeployment has a ratio and six edges of a histogram, and four parts of the restart mixture. No requests, no
cluster: what Prometheus's client costs comes on top.
"""

import gc
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from benchmarks.result import Result, Table, Target
from modelrollout.decide import blocks
from modelrollout.decide.counted import Counted, counted
from modelrollout.decide.evidence import absorb, begin, enter_step, measure_since, polls_due
from modelrollout.decide.growth import grown
from modelrollout.decide.judge import judge
from modelrollout.domain.analysis import AnalysisSettings, StepTiming
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.metrics import MetricSettings
from modelrollout.domain.polls import Poll
from tests.decide.simulated import ARMS, World

POLLS = 1500
"""Timed for each row."""
BATCHES = 15
EDGES = (0.05, 0.1, 0.15, 0.25, 0.4, 0.5)
STEPS = (5, 20, 35, 50)
SCRAPES = (1.0, 5.0, 15.0)
ACTIVE = (1, 100, 1000)
RPS = 50.0
STEP_SECONDS = 75.0
MOST_ARITHMETIC = 1.0
"""Milliseconds for one ModelDeployment and poll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A ModelDeployment in its last step with a poll that is due: all that the analysis needs."""

    evidence: Evidence
    settings: AnalysisSettings
    timing: StepTiming
    poll: Poll
    block: Counted

    @classmethod
    def of(cls, seed: int, scrape: float) -> "Due":
        """Out of simulated traffic over four steps."""
        settings = AnalysisSettings(
            warmup=timedelta(0),
            poll=timedelta(seconds=scrape),
            metrics=(MetricSettings.of("errors"), MetricSettings.of("latency", index=1, edges=EDGES)),
        )
        world = World(seed=seed, rps=RPS, scrape=scrape, bounds=(*EDGES, 1.0))
        world.run_to(STEP_SECONDS)
        evidence = begin(settings, stable="old", candidate="new", attempt="1", steps=len(STEPS), at=world.now)
        for step, weight in enumerate(STEPS):
            world.weight = weight
            evidence = enter_step(evidence, settings, step=step, weight=weight, at=world.now)
            world.run_to(world.now + STEP_SECONDS)
            *before, last = polls_due(evidence, settings, world.now, limit=1000)
            for at in before:
                evidence = absorb(evidence, settings, world.poll(at, measure_since(evidence)), ARMS)
        poll = world.poll(last, measure_since(evidence))
        opened = blocks.read_block(poll, ARMS, start=evidence.block_start, scrape_interval=scrape, warmup=0)
        return cls(
            evidence=evidence,
            settings=settings,
            timing=StepTiming.of(settings),
            poll=poll,
            block=counted(opened, ARMS, None, settings.metrics),
        )

    def apart(self) -> "Due":
        """The same in memory of its own."""
        copy: Due = pickle.loads(pickle.dumps(self))  # noqa: S301 -- its own bytes
        return copy

    def from_samples(self) -> None:
        evidence = absorb(self.evidence, self.settings, self.poll, ARMS)
        assert evidence.block_seq == self.evidence.block_seq + 1
        judge(evidence, self.settings, self.timing, self.poll.at, shifted=True)

    def from_counts(self) -> None:
        evidence = grown(self.evidence, self.settings, self.block)
        judge(evidence, self.settings, self.timing, self.poll.at, shifted=True)


def milliseconds(work: Callable[[Due], None], due: Sequence[Due], polls: int) -> float:
    """CPU of one round over all of them: the least of some batches, the one that other processes disturbed least."""
    rounds = max(1, polls // (BATCHES * len(due)))
    spent = []
    for _ in range(BATCHES):
        gc.collect()
        began = time.process_time()
        for _ in range(rounds):
            for each in due:
                work(each)
        spent.append(1000 * (time.process_time() - began) / rounds)
    return min(spent)


def measure(repetitions: int | None) -> Result:
    polls = POLLS if repetitions is None else repetitions
    one = {scrape: Due.of(1, scrape) for scrape in SCRAPES}
    alone = milliseconds(Due.from_counts, [one[15.0]], polls)
    sampled = {scrape: milliseconds(Due.from_samples, [due], polls) for scrape, due in one.items()}
    series = sum(len(answer) for answer in one[15.0].poll.answers.values() if isinstance(answer, tuple))
    return Result(
        title="CPU of the analysis in one poll",
        measured="CPU time of this process, in milliseconds: a ModelDeployment in the last of four steps, with one "
        f"ratio, a histogram tested at six edges and J = 4 parts; {RPS:g} requests a second, one gateway. *counts*: a "
        "closed block grows the evidence of all tests (`growth.grown`) and is judged. *raw samples*: what Prometheus "
        "answered is cleaned and counted first (`evidence.absorb`). Every poll closes a block. The least of "
        f"{BATCHES} batches, as other processes on the same cores only add to it. Prometheus's client, "
        "the walk and writing are not part of it (see operator_cost.md).",
        targets=(
            Target.at_most("one ModelDeployment and poll, the arithmetic and the judge", MOST_ARITHMETIC, alone, " ms"),
        ),
        tables=(
            Table(
                title="One ModelDeployment and poll, ms",
                head=("from", "CPU, ms"),
                rows=(
                    ("counts of one block", f"{alone:.2f}"),
                    *(
                        (f"raw samples of {series} series, scraped every {s:g} s", f"{t:.2f}")
                        for s, t in sampled.items()
                    ),
                ),
            ),
            _fleets(one[15.0], polls),
        ),
        remarks=(
            (
                "Polls follow the scrape interval. With scrapes every second, 1000 active ModelDeployments would take "
                f"{sampled[1.0]:.0%} of a core for this alone."
            ),
        ),
    )


def _fleets(due: Due, polls: int) -> Table:
    rows = []
    for count in ACTIVE:
        fleet = [due.apart() for _ in range(count)]
        counts, samples = (milliseconds(work, fleet, polls) for work in (Due.from_counts, Due.from_samples))
        core = samples / (1000 * 15) * 100
        rows.append((str(count), f"{counts:.3g}", f"{samples:.3g}", f"{core:.2g} %"))
    return Table(
        title="One poll of all that are active, ms",
        head=("active", "from counts", "from raw samples", "of one core, with a poll every 15 s"),
        rows=tuple(rows),
    )
