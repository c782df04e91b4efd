"""What we have decided: `status.rollout`, written before any effect. Pure.

An effect follows only from an intent that was read back, never from one just decided.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from modelrollout.domain.conditions import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted:
    """A revision that was taken back; never tried again by itself."""

    revision: str
    version: str
    reason: Reason
    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCommand:
    """Acknowledgement of the command annotation. `id` is the annotation's whole text."""

    id: str
    action: str
    revision: str
    accepted: bool
    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Stable, candidate, step and weight as decided.

    The weight of `candidate` is `weight` per cent since `since`, the time of the decision. While `target` is above
    it, the capacity for `target` is being prepared, since `preparing_since`; `step` is the index of the target's step.
    `floor`: least replicas of stable while a candidate is there.
    """

    stable: str | None = None
    candidate: str | None = None
    step: int = 0
    weight: int = 0
    target: int = 0
    since: datetime | None = None
    preparing_since: datetime | None = None
    started_at: datetime | None = None
    floor: int = 0
    leaving: bool = False
    """The candidate gives its traffic back and drains; nothing raises its weight again."""
    promote: bool = False
    """A person (or the loss of stable) sends everything to the candidate without waiting for the judge."""
    approved_step: int = -1
    """Highest step that a person let pass."""
    paused: bool = False
    """Paused by command; spec.paused counts beside it."""
    paused_since: datetime | None = None
    paused_for: timedelta = timedelta(0)
    """Time spent paused since `since`: deadlines and bake stand still."""
    attempt: int = 0
    """Counts rollouts: evidence belongs to one attempt."""
    aborted: Aborted | None = None
    last_command: LastCommand | None = None
    router: str | None = None
    """Router of the present rollout; a change of it waits for rest."""
    analysis: str | None = None
    """spec.analysis as canonical JSON when the rollout started: frozen until it ends."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 100:
            raise ValueError(f"weight {self.weight} is not between 0 and 100")
        if self.candidate is not None and self.candidate == self.stable:
            raise ValueError("stable and candidate are the same revision")
        if self.candidate is None and (self.weight or self.leaving):
            raise ValueError("a weight without a candidate")

    @property
    def preparing(self) -> bool:
        return self.candidate is not None and not self.leaving and self.target > self.weight

    def withdrawing(self, now: datetime, *, aborted: Aborted | None) -> Self:
        """The candidate's weight goes to 0 at once; then it drains."""
        return replace(
            self,
            weight=0,
            target=0,
            since=now,
            leaving=True,
            promote=False,
            paused_since=None,
            paused_for=timedelta(0),
            aborted=aborted if aborted is not None else self.aborted,
        )

    def elapsed(self, now: datetime) -> timedelta:
        """Time since the weight was decided, without the time spent paused."""
        if self.since is None:
            return timedelta(0)
        end = self.paused_since if self.paused_since is not None else now
        return max(end - self.since - self.paused_for, timedelta(0))
