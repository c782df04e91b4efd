"""How long until a canary that turns bad is found out, by when it turns: counters and rules, in simulated time.

What `detection` cannot give: a canary that is good at first. Needs no cluster.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks.result import Result, Spread, Table
from benchmarks.spec import simulated_spec
from modelrollout.simulate import Scenario, Version, roll_out

REPETITIONS = 100
RATE = 50.0
WEIGHT = 10
ERROR_RATE = 0.5
GOOD_FOR = (0.0, 30.0, 110.0)
"""Seconds in the step until the canary turns bad."""
LONGEST = 120.0
PHIS = {"seen in stable's past": "auto", "taken to be 1": "none"}
"""How far bad requests are taken to come in bursts: `overdispersion.mode`."""
SPECS = {
    phi: simulated_spec(weights=(WEIGHT,), analysis={"poll": "1s", "overdispersion": {"mode": mode}})
    for phi, mode in PHIS.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    seed: int
    good_for: float
    phi: str


def found_out(case: Case) -> float | None:
    """Seconds from the first bad answer to the rollback's decision; None where it came too late or never."""
    scenario = Scenario(
        requests_per_second=RATE, candidate=Version(error_rate=ERROR_RATE), good_for=case.good_for, scrape=1.0
    )
    seconds = roll_out(SPECS[case.phi], scenario, case.seed).seconds_from_first_bad
    return seconds if seconds is not None and seconds <= LONGEST else None


def measure(repetitions: int | None) -> Result:
    count = REPETITIONS if repetitions is None else repetitions
    cases = [
        Case(seed=seed, good_for=good_for, phi=phi) for phi in PHIS for good_for in GOOD_FOR for seed in range(count)
    ]
    with ProcessPoolExecutor(os.cpu_count(), initializer=os.nice, initargs=(10,)) as pool:
        return told(list(zip(cases, pool.map(found_out, cases, chunksize=4), strict=True)))


def told(found: Sequence[tuple[Case, float | None]]) -> Result:
    rows = []
    for phi in PHIS:
        for good_for in sorted({case.good_for for case, _ in found}):
            mine = [seconds for case, seconds in found if (case.good_for, case.phi) == (good_for, phi)]
            came = [seconds for seconds in mine if seconds is not None]
            cells = Spread.of(came).cells(1) if came else ("–", "–", "–")
            rows.append((phi, f"{good_for:g} s", str(len(mine)), *cells, str(len(mine) - len(came))))
    return Result(
        title="How long until a canary that turns bad is found out, simulated",
        measured=f"A canary that fails {100 * ERROR_RATE:g} % of its requests from some moment of its first step on "
        f"and 0.5 % before, at {RATE:g} requests a second (Poisson) and {WEIGHT} % weight, beside a stable version "
        "that fails 0.5 %; scrapes and polls every second, each poll half a second after its grid time, default "
        "margins. From the first failure to the decision; writing the route and the gateway come on top (see "
        "detection.md).",
        tables=(
            Table(
                title="Seconds from the first failure to the decision",
                head=("phi", "good for", "canaries", "median", "min", "max", f"not within {LONGEST:.0f} s"),
                rows=tuple(rows),
            ),
        ),
        remarks=(
            (
                "A canary that was good for a while has its good requests in the same sum of evidence, and the bad "
                "ones must first outweigh them."
            ),
            (
                "Phi is how many bad requests count as one. The simulated ones are independent, so that seeing it "
                "costs only what chance makes of it."
            ),
        ),
    )
