"""Many simulated rollouts, and what they say together: how long, how often wrong, what is caught."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import ceil

from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.simulate.rollout import Ending, Run, roll_out
from modelrollout.simulate.scenario import Scenario, Version

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The middle of some seconds or counts, and what nine of ten do not exceed."""

    median: float
    p90: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """None of nothing. The value at the rank: always one that occurred."""
        if not values:
            return None
        ordered = sorted(values)
        median, p90 = (ordered[ceil(share * len(ordered)) - 1] for share in (0.5, 0.9))
        return cls(median=median, p90=p90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Simulated rollouts of the same scenario."""

    scenario: Scenario
    runs: tuple[Run, ...]

    def share(self, holds: Callable[[Run], bool]) -> float:
        return sum(map(holds, self.runs)) / len(self.runs)

    def ended(self, ending: Ending) -> float:
        """The share that ended so."""
        return self.share(lambda run: run.ending is ending)

    @property
    def seconds_to_rollback(self) -> Spread | None:
        return Spread.of([run.seconds_to_rollback for run in self.runs if run.seconds_to_rollback is not None])

    @property
    def bad_answers(self) -> Spread | None:
        """That users got from the candidate until it was taken back, or until it had everything."""
        return Spread.of([run.bad for run in self.runs])

    def reasons(self, ending: Ending) -> Mapping[str, int]:
        """How often each reason led there, the most frequent first."""
        found = Counter(" ".join(filter(None, (r.reason, r.culprit))) for r in self.runs if r.ending is ending)
        return dict(found.most_common())


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpread:
    """One weight over all runs that got past it."""

    weight: int
    seconds: Spread
    proven: float
    """The share that ended with proof; the rest at the deadline or by time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    desired: ModelDeployment
    expected: Runs
    """With the candidate that is expected."""
    same: Runs
    """With a candidate exactly like stable."""
    worse: tuple[Runs, ...]
    """With candidates that should be found out."""

    @property
    def steps(self) -> tuple[StepSpread, ...]:
        """How long each weight of the expected candidate lasts."""
        weights = [*(step.weight for step in self.desired.rollout.steps), 100]
        rows = []
        for weight in weights:
            mine = [step for run in self.expected.runs for step in run.steps if step.weight == weight]
            passed = [step for step in mine if step.by not in (Ending.ROLLED_BACK, Ending.HELD, Ending.UNFINISHED)]
            seconds = Spread.of([step.seconds for step in passed])
            if seconds is not None:
                proven = sum(step.by == "proven" for step in passed) / len(passed)
                rows.append(StepSpread(weight=weight, seconds=seconds, proven=proven))
        return tuple(rows)

    @property
    def getting_ready(self) -> Spread | None:
        return Spread.of([run.getting_ready for run in self.expected.runs if run.steps])

    @property
    def in_all(self) -> Spread | None:
        """From the new spec to the promotion."""
        return Spread.of([run.seconds for run in self.expected.runs if run.ending is Ending.PROMOTED])


def simulate(
    desired: ModelDeployment, scenario: Scenario, *, runs: int = 200, seed: int = 1, jobs: int = 1
) -> tuple[Run, ...]:
    """So many rollouts; the same arguments give the same runs, whatever `jobs` (processes at work)."""
    if runs < 1 or jobs < 1:
        raise ValueError(f"runs, jobs: {runs}, {jobs} is not possible; write 1 or more")
    one = partial(roll_out, desired, scenario)
    seeds = [f"{seed}/{number}" for number in range(runs)]
    if jobs == 1 or runs == 1:
        return tuple(map(one, seeds))
    with ProcessPoolExecutor(min(jobs, runs)) as pool:
        return tuple(pool.map(one, seeds, chunksize=max(1, runs // (8 * jobs))))


def study(
    desired: ModelDeployment,
    scenario: Scenario,
    *,
    worse: Sequence[Version] = (),
    runs: int = 200,
    seed: int = 1,
    jobs: int = 1,
) -> Study:
    """The candidate that is expected, one like stable, and each of `worse`: `runs` rollouts of each."""

    def of(candidate: Version | None) -> Runs:
        there = scenario.with_candidate(candidate)
        return Runs(scenario=there, runs=simulate(desired, there, runs=runs, seed=seed, jobs=jobs))

    same = of(None)
    expected = same if scenario.tested == scenario.stable else of(scenario.candidate)
    return Study(desired=desired, expected=expected, same=same, worse=tuple(of(version) for version in worse))


def upper_bound(found: int, of: int, confidence: float = CONFIDENCE) -> float:
    """The largest true rate that would still show so few in so many (Clopper and Pearson, one-sided).

    0 of 1000 at 95 %: 0.003, the rule of three.
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(found, of, middle) > 1 - confidence:
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
