"""`status.decisions`: what was decided and on which numbers, and what a replay of the rollout needs to know. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from modelrollout.decide.verdicts import Circumstances
from modelrollout.domain.conditions import GIVEN_UP, Reason
from modelrollout.domain.intent import Intent
from modelrollout.domain.intent_document import timestamp
from modelrollout.domain.judgement import Action, Judgement

DECISIONS_KEPT = 10
LONGEST_MESSAGE = 1024

_DECISIONS = {
    Reason.COMMANDED: "Advance",  # of all commands only those that raise the weight: a step ends with them, too
    Reason.ROLLOUT_STARTED: "Start",
    Reason.ADVANCED: "Advance",
    Reason.PROMOTED: "Promote",
    Reason.SUPERSEDED: "Withdraw",
    Reason.FAILED_OVER: "FailOver",
    Reason.ADOPTED: "Adopt",
    Reason.WOULD_ROLL_BACK: "WouldRollBack",
    **dict.fromkeys(GIVEN_UP, "Rollback"),
}


def decisions_of(seen: Circumstances, before: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """Those that `before` (a status) keeps, and the one that this walk makes."""
    kept: list[dict[str, Any]] = before.get("decisions", [])
    plan = seen.plan
    aborted = seen.intent.aborted
    reason = plan.reason
    if reason is Reason.COMMANDED and aborted is not None and aborted != seen.observed.intent.aborted:
        reason = aborted.reason
    judgement, message = plan.judgement, plan.message
    if judgement is not None and _newly_observed(seen, judgement, kept):
        reason, message = Reason.WOULD_ROLL_BACK, judgement.sentence
    elif plan.intent is None or reason not in _DECISIONS:
        return kept
    if reason is Reason.COMMANDED:
        if seen.intent.target <= seen.observed.intent.target or seen.intent.last_command is None:
            return kept
        message = seen.intent.last_command.message
    about = seen.intent if reason is Reason.ROLLOUT_STARTED else seen.observed.intent
    entry: dict[str, Any] = {
        "time": timestamp(now),
        "action": _DECISIONS[reason],
        "reason": str(reason),
        "revision": seen.intent.candidate or seen.intent.stable or "",
        **_circumstances(about),
        "step": about.step + 1,
        "weight": 100 if reason is Reason.PROMOTED else about.weight,
        "message": (message or reason.meaning)[:LONGEST_MESSAGE],
    }
    if judgement is not None:
        entry |= _figures(judgement)
    return [*kept, entry][-DECISIONS_KEPT:]


def _circumstances(about: Intent) -> dict[str, str]:
    """Against which revision, and since when the weight was what it was."""
    told = {} if about.stable is None else {"stable": about.stable}
    if about.weight > 0 and about.since is not None:
        told["weightSince"] = timestamp(about.since)
    return told


def _figures(judgement: Judgement) -> dict[str, Any]:
    told: dict[str, Any] = {"verdict": str(judgement.verdict)}
    figures = judgement.figures
    if figures is None:
        return told
    numbers = {"value": figures.value, "threshold": figures.threshold}
    told |= {name: round(number, 6) for name, number in numbers.items() if number is not None}
    told |= {"samples": figures.samples, "metric": figures.test}
    return told | ({"query": figures.query[:LONGEST_MESSAGE]} if figures.query else {})


def _newly_observed(seen: Circumstances, judgement: Judgement, kept: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a rollback is seen that nobody carries out, for the first time in this rollout."""
    if seen.plan.intent is not None or not judgement.observed or judgement.action is not Action.ROLLBACK:
        return False
    told, start = _DECISIONS[Reason.WOULD_ROLL_BACK], _DECISIONS[Reason.ROLLOUT_STARTED]
    last = next((each["action"] for each in reversed(kept) if each["action"] in (told, start)), start)
    return last == start
