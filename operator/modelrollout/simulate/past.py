"""Rollouts that are over: out of a ModelDeployment's status, or of a list that somebody wrote.

`status.decisions` keeps the last ten decisions, about two rollouts, each with the revision that was stable and since
when the weight was in effect. Where one does not say so yet, the weight is taken to have begun with the decision before
it, so that the time in which its pods got ready counts to it: without requests nothing is judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from modelrollout.domain.parse_fields import Field, Wrong
from modelrollout.simulate.deployment_file import Unreadable, documents
from modelrollout.simulate.retell import PastRollout, PastStep

_ENDINGS = {"Promote": "promoted", "Rollback": "rolled back", "Withdraw": "withdrawn"}
"""By the action of the decision that ended it."""
NOTHING_KEPT = (
    "status has no decisions of a rollout that is over; take the file from `kubectl get modeldeployment -o yaml`, "
    "or name rollouts with --rollouts"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a status tells. `untold`: why of some of its rollouts nothing can be said."""

    rollouts: tuple[PastRollout, ...]
    untold: tuple[str, ...] = ()


@dataclass(slots=True)
class _Open:
    candidate: str
    stable: str | None
    started: float
    since: float
    """When the present weight began, as far as is known."""
    exact: bool = False
    """Whether the first weight's beginning is known."""
    steps: list[PastStep] = field(default_factory=list)

    def passed(self, weight: int, at: float, weighed: float | None) -> None:
        """The present weight was left at `at`; said twice of one weight, it lasted until the later.

        `weighed`: since when it was in effect, where that is kept; until then the weight before it lasted.
        """
        last = self.steps[-1] if self.steps else None
        if weighed is not None:
            self.since = weighed
            self.exact = self.exact or last is None
            if last is not None and last.weight != weight and last.begun < weighed:
                self.steps[-1] = replace(last, ended=weighed)
        if not 0 < weight < 100 or at <= self.since:
            return
        begun = self.steps.pop().begun if last is not None and last.weight == weight else self.since
        self.steps.append(PastStep(weight=weight, begun=begun, ended=at))
        self.since = at


def rollouts_of_status(body: Mapping[str, Any]) -> Found:
    """Of `status.decisions`, oldest first; one that still runs is left out. Without any, `untold` says so."""
    status = body.get("status")
    status = status if isinstance(status, Mapping) else {}
    rollouts: list[PastRollout] = []
    untold: list[str] = []
    stables = _stables(status)
    under_way: _Open | None = None
    for decision, stable in zip(_decisions(status), stables, strict=True):
        at, action = _moment(decision["time"]), decision["action"]
        revision, weight = str(decision.get("revision", "")), int(decision.get("weight", 0))
        if action == "Start":
            under_way = _Open(candidate=revision, stable=stable, started=at, since=at)
            continue
        if under_way is None:
            if action in _ENDINGS:
                untold.append(f"{revision}, {_ENDINGS[action]} at {decision['time']}: its beginning is not kept")
            continue
        weighed = decision.get("weightSince")
        under_way.stable = under_way.stable or stable
        under_way.passed(weight, at, _moment(weighed) if isinstance(weighed, str) else None)
        if action in _ENDINGS:
            told = _closed(under_way, _ENDINGS[action])
            rollouts += [told] if isinstance(told, PastRollout) else []
            untold += [told] if isinstance(told, str) else []
            under_way = None
    return Found(rollouts=tuple(rollouts), untold=tuple(untold) if rollouts or untold else (NOTHING_KEPT,))


def _closed(done: _Open, ending: str) -> PastRollout | str:
    """The rollout, or why nothing can be said about it."""
    if not done.steps:
        return f"{done.candidate}, {ending}: it never took a share of the requests"
    if done.stable is None:
        return f"{done.candidate}, {ending}: which revision was stable is not kept; name it with --rollouts"
    return PastRollout(
        stable=done.stable,
        candidate=done.candidate,
        steps=tuple(done.steps),
        ending=ending,
        started=done.started if done.exact else None,
    )


def _stables(status: Mapping[str, Any]) -> list[str | None]:
    """Which revision was stable at each decision: as it says, else forwards from promotions, else as it is now."""
    decisions = _decisions(status)
    rollout = status.get("rollout")
    now = rollout.get("stable") if isinstance(rollout, Mapping) else None
    promotions = [index for index, each in enumerate(decisions) if each["action"] == "Promote"]
    known: list[str | None] = []
    stable: str | None = None if promotions else now
    for index, decision in enumerate(decisions):
        said = decision.get("stable")
        known.append(said if isinstance(said, str) and said else stable)
        if index in promotions:
            stable = str(decision.get("revision", "")) or None
    return known


def _decisions(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = status.get("decisions") or ()
    return [each for each in listed if isinstance(each, Mapping) and {"time", "action"} <= each.keys()]


def rollouts_of_file(path: str) -> tuple[PastRollout, ...]:
    """A list of `{stable, candidate, steps: [{weight, at}, …], ended, ending}`; Unreadable names the field."""
    listed = [each for document in documents(path) for each in _listed(document)]
    if not listed:
        raise Unreadable(f"{path}: has no rollouts; write a list of stable, candidate, steps and ended")
    try:
        return tuple(_rollout(Field(f"[{number}]", each)) for number, each in enumerate(listed))
    except Wrong as wrong:
        raise Unreadable(f"{path}: {wrong}") from wrong


def _listed(document: object) -> Sequence[object]:
    return document if isinstance(document, list) else [document]


def _rollout(each: Field) -> PastRollout:
    stable = each["stable"].needed("name the revision that served").text()
    candidate = each["candidate"].needed("name the revision that was tried").text()
    steps = [
        (step["weight"].needed("write the candidate's per cent").whole(1, 99), _time(step["at"]))
        for step in each["steps"].needed("write weight and at of each").elements()
    ]
    ended = _time(each["ended"])
    if not steps:
        each["steps"].wrong("is empty; write weight and at of each")
    return PastRollout(
        stable=stable,
        candidate=candidate,
        steps=tuple(_steps(each, steps, ended)),
        ending=each["ending"].text() if each["ending"].given else "",
    )


def _steps(each: Field, steps: Sequence[tuple[int, float]], ended: float) -> Iterator[PastStep]:
    ends = [at for _, at in steps[1:]] + [ended]
    for (weight, begun), end in zip(steps, ends, strict=True):
        if end <= begun:
            each["steps"].wrong("does not rise in time; write each step's `at` before the next one's, and `ended` last")
        yield PastStep(weight=weight, begun=begun, ended=end)


def _time(field_: Field) -> float:
    value = field_.needed("write a time such as 2026-11-22T10:00:00Z").value
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    try:
        return _moment(field_.text())
    except Wrong:
        raise
    except ValueError:
        field_.wrong("is no time; write one such as 2026-11-22T10:00:00Z")


def _moment(text: str) -> float:
    """RFC 3339; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
