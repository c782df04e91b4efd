"""A live run to replay: what the operator decided at which poll, and the samples that it saw."""

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from modelrollout.domain.conditions import Reason
from modelrollout.domain.intent_document import timestamp
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.simulate.retell import PastRollout, PastStep
from modelrollout.simulate.scenario import Scenario
from modelrollout.simulate.scraped import Scraped
from modelrollout.simulate.world import EPOCH, STABLE, World

DECIDED = (Reason.ADVANCED, Reason.REGRESSED, Reason.ERROR_RATE_TOO_HIGH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """At the poll on which it rests."""

    at: float
    weight: int
    action: str
    reason: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    rollout: PastRollout
    decisions: tuple[Decision, ...]
    scraped: Scraped
    traffic_until: float


def live_run(desired: ModelDeployment, scenario: Scenario, seed: int) -> LiveRun:
    """Walked as in `modelrollout.simulate.rollout`, until it is promoted or taken back for a regression."""
    world = World(desired, scenario, Random(seed))
    decisions: list[Decision] = []
    weights: list[tuple[int, float]] = []
    while world.intent.stable == STABLE and not world.intent.leaving:
        decided, evidence = world.walk(), world.evidence
        if decided.reason in DECIDED and decided.judgement is not None:
            assert evidence is not None and evidence.last_eval is not None
            told = decided.judgement
            decisions.append(
                Decision(
                    at=evidence.last_eval,
                    weight=evidence.weight,
                    action=str(told.action),
                    reason=told.reason,
                    sentence=told.sentence,
                )
            )
        if world.intent.weight and world.intent.weight != (weights[-1][0] if weights else 0):
            weights.append((world.intent.weight, world.now))
        wake = [] if decided.wake_after is None else [world.now + max(decided.wake_after.total_seconds(), 0.02)]
        event = world.next_event()
        world.pass_to(min([*wake, event] if event is not None else wake))
    ends = [at for _, at in weights[1:]] + [world.now]
    steps = tuple(
        PastStep(weight=weight, begun=begun, ended=end)
        for (weight, begun), end in zip(weights, ends, strict=True)
        if weight < 100
    )
    ending = "rolled back" if world.intent.leaving else "promoted"
    rollout = PastRollout(
        stable=STABLE, candidate=desired.revision, steps=steps, ending=ending, started=EPOCH.timestamp()
    )
    return LiveRun(rollout=rollout, decisions=tuple(decisions), scraped=world.traffic.scraped, traffic_until=world.now)


def told_in_status(live: LiveRun, *, later: float = 0.0) -> dict[str, Any]:
    """`status` as that run would have left it, with its times so many seconds later."""
    rollout = live.rollout
    assert rollout.started is not None

    def decision(at: float, action: str, weight: int, since: float | None) -> dict[str, Any]:
        told = {"time": _moment(at + later), "action": action, "revision": rollout.candidate, "weight": weight}
        told |= {"stable": rollout.stable}
        return told if since is None else told | {"weightSince": _moment(since + later)}

    rolled = rollout.ending == "rolled back"
    decisions = [decision(rollout.started, "Start", 0, None)]
    for step, made in zip(rollout.steps, live.decisions, strict=True):
        decisions.append(decision(made.at + 0.5, made.action, step.weight, step.begun))
    if not rolled:
        decisions.append(decision(rollout.ended + 60, "Promote", 100, rollout.ended))
    stable = rollout.stable if rolled else rollout.candidate
    return {"rollout": {"stable": stable}, "decisions": decisions}


def _moment(seconds: float) -> str:
    return timestamp(datetime.fromtimestamp(seconds, UTC))
