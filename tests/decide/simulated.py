"""A world with two revisions behind a gateway, request by request, scraped like a real one.

`modelrollout.simulate` draws counts instead; that both come to the same is tested in tests/simulate.
"""

import random
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import inf

from modelrollout.decide.evidence import absorb, begin, enter_step, measure_since, polls_due
from modelrollout.decide.judge import judge
from modelrollout.domain.analysis import AnalysisSettings, StepTiming
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.judgement import Action, Judgement
from modelrollout.domain.polls import REQUESTS, Arm, Arms, Poll
from modelrollout.simulate.scraped import Scraped

ARMS = Arms(stable=Arm(revision="old", service="old@gw"), candidate=Arm(revision="new", service="new@gw"))
BOUNDS = (0.1, 0.25, 0.5, 1.0)
TARGET = "gw/1"
QUICK = StepTiming(min_duration=timedelta(seconds=60), deadline=timedelta(seconds=120))


def slowness(rng: random.Random) -> float:
    """Seconds of one answer: lognormal, median 100 ms."""
    return rng.lognormvariate(-2.302585, 0.6)


@dataclass(kw_only=True)
class World:
    """Requests at `rps`, a share `weight` to the new revision; scraped every `scrape` seconds from t = 0."""

    seed: int
    rps: float
    rate_old: float = 0.005
    rate_new: float = 0.005
    slower: float = 1.0
    scrape: float = 1.0
    weight: int = 0
    first_bad: float | None = None
    now: float = 0.0
    with_latency: bool = True
    bounds: tuple[float, ...] = BOUNDS
    _rng: random.Random = field(init=False)
    _scraped: Scraped = field(init=False)
    _next: float = 0.0
    _next_scrape: float = 0.37

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._scraped = Scraped(self.bounds if self.with_latency else None)
        self._next = self._rng.expovariate(self.rps)

    def run_to(self, until: float) -> None:
        while min(self._next, self._next_scrape) <= until:
            if self._next <= self._next_scrape:
                self._serve(self._next)
                self._next += self._rng.expovariate(self.rps)
            else:
                self._scraped.scrape(TARGET, self._next_scrape)
                self._next_scrape += self.scrape
        self.now = until

    def _serve(self, at: float) -> None:
        new = self._rng.random() * 100 < self.weight
        revision = "new" if new else "old"
        bad = self._rng.random() < (self.rate_new if new else self.rate_old)
        if bad and new and self.first_bad is None:
            self.first_bad = at
        buckets: list[int] = []
        if self.with_latency:
            took = slowness(self._rng) * (self.slower if new else 1.0)
            buckets = [0] * (len(self.bounds) + 1)
            buckets[bisect_left(self.bounds, took)] = 1
        self._scraped.add(TARGET, revision, good=int(not bad), bad=int(bad), buckets=buckets)

    def poll(self, at: float, since: float = -inf) -> Poll:
        return replace(self._scraped.poll(at, since), queries={REQUESTS: "requests[60s]"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a simulated rollout ended."""

    judgement: Judgement
    at: float
    evidence: Evidence


def roll_out(
    world: World,
    settings: AnalysisSettings,
    *,
    weights: tuple[int, ...] = (10, 25, 50),
    timing: StepTiming = QUICK,
    each: Callable[[Evidence], Evidence] = lambda evidence: evidence,
    longest: float = 3600.0,
) -> Ending:
    """Walk the steps, polling as the operator would, until it is promoted, rolled back or out of time."""
    world.run_to(65.0)
    evidence = begin(settings, stable="old", candidate="new", attempt="1", steps=len(weights), at=world.now)
    judgement = None
    for step, weight in enumerate(weights):
        world.weight = weight
        evidence = enter_step(evidence, settings, step=step, weight=weight, at=world.now)
        while True:
            world.run_to(world.now + 0.5)
            for at in polls_due(evidence, settings, world.now):
                evidence = each(absorb(evidence, settings, world.poll(at, measure_since(evidence)), ARMS))
            judgement = judge(evidence, settings, timing, world.now, shifted=True)
            if judgement.action is Action.ROLLBACK or world.now > longest:
                return Ending(judgement=judgement, at=world.now, evidence=evidence)
            if judgement.action is Action.ADVANCE:
                break
    assert judgement is not None
    return Ending(judgement=judgement, at=world.now, evidence=evidence)
