"""How many healthy rollouts the analysis undoes: counters, scrapes, polls and rules, in simulated time.

Both revisions fail 0.5 % of their requests and answer alike; 50 to 200 requests a second, weights 10, 25 and 50 %,
default margins, scrapes every 1 or 5 s. What comes between two scrapes is drawn as counts, and every scrape is a
sample, as on a cluster; only time is not waited for. Needs no cluster. Half a second of CPU each, on all cores, at low
priority.
"""

import os
import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks.result import Result, Spread, Table, Target
from benchmarks.spec import simulated_spec
from modelrollout.simulate import Ending, Scenario, roll_out
from modelrollout.simulate.study import upper_bound

ROLLOUTS = 1000
SPEC = simulated_spec(weights=(10, 25, 50), analysis={"minDuration": "60s", "deadline": "120s", "warmup": "0s"})
ALPHA = SPEC.analysis.alpha


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
        return self.ending.startswith(Ending.ROLLED_BACK)


def one(seed: int) -> Rollout:
    rng = random.Random(seed)
    scenario = Scenario(requests_per_second=rng.uniform(50, 200), scrape=rng.choice((1.0, 5.0)))
    run = roll_out(SPEC, scenario, seed)
    compared = [step for step in run.steps if step.weight < 100]
    return Rollout(
        scrape=scenario.scrape,
        ending=f"{run.ending} {run.reason}" if run.reason else f"{run.ending}, last step {compared[-1].by}",
        seconds=sum(step.seconds for step in compared),
        requests=run.requests,
    )


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
        "alpha = 0.01. The counters are scraped, polled, counted in blocks, judged and moved on by the operator's own "
        "code (`modelrollout.simulate`), from the first weight to 100 %; "
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
                head=("ending", "rollouts"),
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
                "A last step that is proven ended by proof that the candidate is not worse, one at its deadline with "
                "nothing against it."
            ),
        ),
    )
