"""How many healthy rollouts the analysis undoes: raw counters, scrapes, polls and judge, in simulated time.

Both revisions fail 0.5 % of their requests and answer alike; 50 to 200 requests a second, weights
10, 25 and 50 %, default margins, scrapes every 1 or 5 s. Any rollback is a false alarm; at most
alpha (1 %) are allowed, none are expected.

    PYTHONPATH=operator:. python benchmarks/simulated_healthy_rollouts.py --rollouts 1000
"""

import argparse
import random
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from math import sqrt

from modelrollout.domain.analysis import AnalysisSettings
from tests.decide.simulated import World, roll_out

ALPHA = 0.01


def one(seed: int) -> tuple[str, float]:
    """Ending and simulated seconds of one healthy rollout."""
    rng = random.Random(seed)
    world = World(seed=seed, rps=rng.uniform(50, 200), scrape=rng.choice((1.0, 5.0)))
    ending = roll_out(world, AnalysisSettings(warmup=timedelta(0)))
    return f"{ending.judgement.action} {ending.judgement.reason}", ending.at


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=None)
    given = parser.parse_args()
    began = time.monotonic()
    with ProcessPoolExecutor(given.processes) as pool:
        endings = list(pool.map(one, range(given.rollouts), chunksize=4))
    counts = Counter(ending for ending, _ in endings)
    for ending, count in counts.most_common():
        print(f"{count:6d}  {ending}")
    undone = sum(count for ending, count in counts.items() if ending.startswith("Rollback"))
    allowed = given.rollouts * ALPHA + 3 * sqrt(given.rollouts * ALPHA * (1 - ALPHA))
    seconds = time.monotonic() - began
    print(f"{undone} of {given.rollouts} healthy rollouts rolled back ({allowed:.1f} allowed), {seconds:.0f} s")
    return 0 if undone <= allowed else 1


if __name__ == "__main__":
    raise SystemExit(main())
