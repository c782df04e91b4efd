"""What the operator would have decided about a rollout that is over, poll by poll as it would have looked.

The weights move as they really did; nothing that is decided here changes them. Pure: whoever has the samples is asked
for each measurement by a generator, at once or over a network. The service-wide burn rule is left out: it decides
nothing about the candidate, and its six hours lie before what a recording has.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from modelrollout.decide.evidence import polls_due
from modelrollout.decide.view import View
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import EMPTY
from modelrollout.domain.intent import Intent
from modelrollout.domain.judgement import Action, Judgement
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.observed import Observed, Workload
from modelrollout.domain.plan import Measure
from modelrollout.domain.revision import Snapshot
from modelrollout.domain.traffic import RouteSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStep:
    """One weight as it was, in unix seconds."""

    weight: int
    begun: float
    ended: float

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 100 or self.ended <= self.begun:
            raise ValueError(f"a step of {self.weight} % from {self.begun} to {self.ended} cannot have been")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRollout:
    """What happened. `ending` is for people: `promoted`, `rolled back`.

    `started`: when its first step began to be prepared; None: with its first weight.
    """

    stable: str
    candidate: str
    steps: tuple[PastStep, ...]
    ending: str = ""
    started: float | None = None

    @property
    def begun(self) -> float:
        return self.steps[0].begun

    @property
    def ended(self) -> float:
        return self.steps[-1].ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A measurement that the operator would have begun, and the world that it would have seen."""

    action: Measure
    observed: Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A poll at which the judge came to think otherwise."""

    at: float
    """Of the poll's grid; the operator would have acted as much later as metrics are late."""
    weight: int
    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Retold:
    rollout: PastRollout
    turns: tuple[Turn, ...]
    evidence: Evidence | None
    """None where no weight was ever compared."""

    @property
    def stopped(self) -> Turn | None:
        """The rollback, after which nothing was asked any more; None where it would have gone on."""
        return next((turn for turn in self.turns if turn.judgement.action is Action.ROLLBACK), None)


Telling = Generator[Ask, Evidence, Retold]


def retell(desired: ModelDeployment, rollout: PastRollout) -> Telling:
    """Send the evidence that each `Ask` makes; the value returned is what was decided.

    A weight's settings are those of `desired`, whatever they were at the time.
    """
    observed = _observed(desired, rollout)
    turns: list[Turn] = []
    for past in rollout.steps:
        observed = _at_step(observed, rollout, past)
        before = (Action.CONTINUE, "")
        while (at := _next_poll(observed, desired, past)) is not None:
            view = View(observed, desired, _moment(at + 60))
            assert view.evidence is not None
            evidence = yield Ask(
                action=Measure(evidence=view.evidence, polls=(at,), look_back=view.look_back), observed=observed
            )
            observed = replace(observed, evidence=evidence)
            judgement = View(observed, desired, _moment(at + view.lag)).judgement
            if judgement is None:
                continue
            now = (judgement.action, judgement.reason)
            if now != before:
                turns.append(Turn(at=at, weight=past.weight, judgement=judgement))
                before = now
            if judgement.action is Action.ROLLBACK:
                return Retold(rollout=rollout, turns=tuple(turns), evidence=evidence)
    return Retold(rollout=rollout, turns=tuple(turns), evidence=observed.evidence)


def _next_poll(observed: Observed, desired: ModelDeployment, past: PastStep) -> float | None:
    """The next time of the grid that was over within the step."""
    view = View(observed, desired, _moment(past.ended))
    if view.evidence is None:
        return None
    due = polls_due(view.evidence, view.settings, past.ended, lag=view.lag, limit=1)
    return due[0] if due else None


def _observed(desired: ModelDeployment, rollout: PastRollout) -> Observed:
    """The world as the operator would have seen it; `_at_step` puts in the weight."""
    return Observed(
        key=desired.key,
        uid=desired.uid,
        resource_version="1",
        generation=desired.generation,
        deleting=False,
        desired=desired,
        intent=Intent(stable=rollout.stable),
        snapshots=tuple(_snapshot(desired, revision) for revision in (rollout.stable, rollout.candidate)),
        workloads=tuple(Workload(revision=revision) for revision in (rollout.stable, rollout.candidate)),
    )


def _at_step(observed: Observed, rollout: PastRollout, past: PastStep) -> Observed:
    weights = {rollout.stable: 100 - past.weight, rollout.candidate: past.weight}
    begun = _moment(past.begun)
    desired = observed.desired
    assert isinstance(desired, ModelDeployment)
    intent = Intent(
        stable=rollout.stable,
        candidate=rollout.candidate,
        weight=past.weight,
        target=past.weight,
        since=begun,
        started_at=_moment(rollout.begun if rollout.started is None else rollout.started),
        attempt=1,
        router=str(desired.traffic.router),
        analysis=desired.analysis_text,
    )
    route = RouteSeen(exists=True, weights=tuple(weights.items()), accepted=True, answered=True, shifted_at=begun)
    return replace(observed, intent=intent, route=route)


def _snapshot(desired: ModelDeployment, revision: str) -> Snapshot:
    return Snapshot(
        revision=revision,
        number=1,
        version="",
        preset=desired.preset,
        template_version=1,
        pod_template=EMPTY,
        ready_timeout=timedelta(minutes=10),
        model=EMPTY,
        runtime=EMPTY,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
