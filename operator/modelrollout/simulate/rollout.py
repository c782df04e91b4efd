"""One simulated rollout, from the new spec until it is promoted, taken back, or waits for a person.

The operator's own plan is asked whenever it wished to be woken or a pod got ready, as the controller does.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from modelrollout.domain.conditions import Reason
from modelrollout.domain.intent import Intent
from modelrollout.domain.judgement import Action, Judgement
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.plan import Measure, Plan
from modelrollout.simulate.scenario import Scenario
from modelrollout.simulate.world import World

WALK = 0.02
"""Seconds from one walk to the next that follows at once: a write and its way back."""
LONGEST = 7 * 86_400.0


class Ending(StrEnum):
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    HELD = "held"
    """Longer than holdTimeout, at a weight or before the first one: a person has to decide."""
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One weight: how long it lasted, and what ended it."""

    weight: int
    seconds: float
    by: str
    """`proven`, `deadline`, `time` (nothing compared), `bake`; the rollout's own ending for its last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one simulated rollout went. Times are seconds from the new spec."""

    ending: Ending
    reason: str
    """Of a rollback or a hold: `regression`, `inconclusive`, `insufficientTraffic`, …; else empty."""
    culprit: str
    seconds: float
    getting_ready: float
    """Until the candidate took its first requests."""
    steps: tuple[StepRun, ...]
    requests: int
    """Answered by the candidate until it was taken back or got everything."""
    bad: int
    """Of these, bad ones."""
    seconds_to_rollback: float | None
    """From the candidate's first requests, or from when it turned; None where it was not taken back."""
    seconds_from_first_bad: float | None
    """The same from its first bad answer."""

    @property
    def undone(self) -> bool:
        return self.ending is Ending.ROLLED_BACK

    @property
    def proven(self) -> bool:
        """Whether every compared step ended with proof."""
        return self.ending is Ending.PROMOTED and all(step.by in ("proven", "bake") for step in self.steps)


@dataclass(slots=True)
class _Record:
    """What happened so far. `by`: what will have ended the present step, where that is known."""

    begun: float
    first: float | None = None
    weight: int = 0
    since: float = 0.0
    by: str = "time"
    judgement: Judgement | None = None
    steps: list[StepRun] = field(default_factory=list)
    requests: int = 0
    bad: int = 0

    def saw(self, world: World, decided: Plan) -> None:
        weight = world.intent.weight
        if decided.judgement is not None:
            self.judgement = decided.judgement
            if decided.judgement.action is Action.ADVANCE and not decided.judgement.observed:
                self.by = decided.judgement.reason
        if weight > self.weight:
            self.close(world.now, self.by)
            self.weight, self.since, self.by = weight, world.now, "time"
            self.first = world.now if self.first is None else self.first
        if self.weight < 100:
            self.requests, self.bad = world.traffic.answered.requests, world.traffic.answered.bad

    def close(self, now: float, by: str) -> None:
        if self.weight:
            self.steps.append(StepRun(weight=self.weight, seconds=now - self.since, by=by))


def roll_out(desired: ModelDeployment, scenario: Scenario, seed: int | str) -> Run:
    """The same seed gives the same run."""
    world = World(desired, scenario, Random(str(seed)))  # noqa: S311 -- chance of a simulation, no secret
    record = _Record(begun=world.now)
    end = world.now + LONGEST
    comes: float | None = None
    while True:
        decided = world.walk()
        record.saw(world, decided)
        ending = _ending(world, decided, end)
        if ending is not None:
            return _told(world, record, decided, ending)
        if comes is None and _waits_for_a_person(world, decided):
            comes = world.now + scenario.approve_after
        wake = [world.now + max(decided.wake_after.total_seconds(), WALK)] if decided.wake_after is not None else []
        wake += [moment for moment in (world.next_event(), comes) if moment is not None]
        if any(isinstance(action, Measure) for action in decided.actions):
            wake.append(world.now + WALK)  # the end of a measurement rings
        if not wake:
            return _told(world, record, decided, Ending.UNFINISHED)
        world.pass_to(max(min(wake), world.now + WALK))
        if comes is not None and comes <= world.now:
            world.command = f"advance:{world.intent.candidate}:{world.intent.step}"
            comes = None


def _ending(world: World, decided: Plan, end: float) -> Ending | None:
    intent, judgement = world.intent, decided.judgement
    if intent.stable == world.desired.revision:
        return Ending.PROMOTED
    if _taken_back(intent) and world.candidate_weight == 0:
        return Ending.ROLLED_BACK
    if decided.reason is Reason.HOLDING and judgement is not None and judgement.hold_since is not None:
        held = world.now - judgement.hold_since
        return Ending.HELD if held >= world.desired.analysis.hold_timeout.total_seconds() else None
    if decided.reason is Reason.SERVICE_BURNING and intent.preparing_since is not None:
        waited = world.now - intent.preparing_since.timestamp()
        return Ending.HELD if waited >= world.desired.analysis.hold_timeout.total_seconds() else None
    return Ending.UNFINISHED if world.now > end else None


def _taken_back(intent: Intent) -> bool:
    return intent.leaving or intent.aborted is not None


def _waits_for_a_person(world: World, decided: Plan) -> bool:
    step = next((step for step in world.desired.rollout.steps if step.weight == world.intent.weight), None)
    endless = step is not None and step.pause is not None and step.pause.duration is None
    return endless and decided.reason is Reason.WAITING_FOR_APPROVAL


def _told(world: World, record: _Record, decided: Plan, ending: Ending) -> Run:
    answered, intent, turned = world.traffic.answered, world.intent, world.traffic.turns_at
    undone = ending is Ending.ROLLED_BACK
    at = intent.since.timestamp() if undone and record.weight and intent.since is not None else world.now
    record.close(at, "bake" if ending is Ending.PROMOTED else str(ending))
    judgement = record.judgement
    judged = judgement is not None and judgement.action is (Action.ROLLBACK if undone else Action.HOLD)
    reason = culprit = ""
    if ending is not Ending.PROMOTED:
        reason = str(intent.aborted.reason if intent.aborted is not None else decided.reason)
    if judged and judgement is not None:
        reason, culprit = judgement.reason, judgement.culprit
    return Run(
        ending=ending,
        reason=reason,
        culprit=culprit,
        seconds=at - record.begun,
        getting_ready=(at if record.first is None else record.first) - record.begun,
        steps=tuple(record.steps),
        requests=record.requests,
        bad=record.bad,
        seconds_to_rollback=at - turned if undone and at >= turned else None,
        seconds_from_first_bad=at - answered.first_bad if undone and answered.first_bad is not None else None,
    )
