"""How many healthy rollouts the analysis undoes: raw counters, scrapes, polls and judge, in simulated time.

Both revisions fail 0.5 % of their requests and answer alike; 50 to 200 requests a second, weights 10, 25 and 50 %,
default margins, scrapes every 1 or 5 s. Every request is drawn one by one and every scrape is a sample, as on a
cluster; only time is not waited for. Needs no cluster. Half a second of CPU each, on all cores, at low priority.
"""

import os
import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from benchmarks.result import Result, Spread, Table, Target
from modelrollout.domain.analysis import AnalysisSettings
from tests.decide.simulated import World, roll_out

ROLLOUTS = 1000
ALPHA = AnalysisSettings().alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    scrape: float
    ending: str
    seconds: float
    """Simulated."""
    requests: float
    """That reached the candidate."""

    @property
    def undone(self) -> bool:
        return self.ending.startswith("Rollback")


def one(seed: int) -> Rollout:
    rng = random.Random(seed)
    world = World(seed=seed, rps=rng.uniform(50, 200), scrape=rng.choice((1.0, 5.0)))
    ending = roll_out(world, AnalysisSettings(warmup=timedelta(0)))
    return Rollout(
        scrape=world.scrape,
        ending=f"{ending.judgement.action} {ending.judgement.reason}",
        seconds=ending.at,
        requests=ending.evidence.requests.n_canary,
    )


def upper_bound(undone: int, of: int, confidence: float = 0.95) -> float:
    """The largest true rate that would still show so few in so many (Clopper and Pearson, one-sided).

    0 of 1000 at 95 %: 0.003, the rule of three.
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(undone, of, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(k: int, n: int, p: float) -> float:
    """Chance of k or fewer of n."""
    if p >= 1:
        return 1.0 if k >= n else 0.0
    term = total = (1 - p) ** n
    for i in range(1, k + 1):
        term *= (n - i + 1) / i * p / (1 - p)
        total += term
    return total


def measure(repetitions: int | None) -> Result:
    count = ROLLOUTS if repetitions is None else repetitions
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, initializer=os.nice, initargs=(10,)) as pool:
        return told(list(pool.map(one, range(count), chunksize=4)), workers)


def told(rollouts: Sequence[Rollout], workers: int) -> Result:
    undone, count = sum(each.undone for each in rollouts), len(rollouts)
    endings = Counter(each.ending for each in rollouts)
    rows = []
    for scrape in sorted({each.scrape for each in rollouts}):
        mine = [each for each in rollouts if each.scrape == scrape]
        lasted, reached = Spread.of([each.seconds for each in mine]), Spread.of([each.requests for each in mine])
        rows.append(
            (
                f"{scrape:g} s",
                str(len(mine)),
                str(sum(each.undone for each in mine)),
                *lasted.cells(0),
                *reached.cells(0),
            )
        )
    return Result(
        title="Healthy rollouts that were undone, simulated",
        measured="Both revisions fail 0.5 % of their requests and take equally long (lognormal, median 100 ms). "
        "Each rollout has its own seed (0, 1, 2, …), 50 to 200 requests a second, the weights 10, 25 and 50 %, "
        "steps of 60 to 120 s, scrapes every 1 or 5 s, both metrics (errors, latency) with the default margins and "
        "alpha = 0.01. The counters are scraped, polled, counted in blocks and judged by the operator's own code; "
        f"only the clock is simulated. {workers} processes at nice 10.",
        targets=(Target.none("healthy rollouts rolled back", undone, count),),
        tables=(
            Table(
                title="By scrape interval",
                head=(
                    *("scrape", "rollouts", "rolled back", "simulated s, median", "min", "max"),
                    *("requests to the candidate, median", "min", "max"),
                ),
                rows=tuple(rows),
            ),
            Table(
                title="How they ended",
                head=("last decision", "rollouts"),
                rows=tuple((ending, str(number)) for ending, number in endings.most_common()),
            ),
        ),
        remarks=(
            (
                f"{undone} of {count} bounds the true rate of false alarms below "
                f"{100 * upper_bound(undone, count):.2f} % with 95 % confidence; the analysis promises at most "
                f"alpha = {100 * ALPHA:g} % of rollouts."
            ),
            (
                "“Advance proven” ended its last step by proof that the candidate is not worse, “Advance deadline” "
                "with nothing against it."
            ),
        ),
    )
