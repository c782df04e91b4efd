"""The intent as it is kept in `status.rollout` and `status.lastCommand`. Pure.

Whoever may write status may write anything: of what cannot be an intent only memory is kept, and the world says the
rest.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout.domain.conditions import Reason
from modelrollout.domain.intent import Aborted, Intent, LastCommand


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-11-22T10:12:22.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def rollout_document(intent: Intent) -> dict[str, Any]:
    """`status.rollout`; what has its default value is left out."""
    document: dict[str, Any] = {"step": intent.step, "weight": intent.weight}
    plain = {
        "stable": intent.stable,
        "candidate": intent.candidate,
        "target": intent.target,
        "floor": intent.floor,
        "attempt": intent.attempt,
        "leaving": intent.leaving,
        "promote": intent.promote,
        "paused": intent.paused,
        "router": intent.router,
        "analysis": intent.analysis,
    }
    document |= {field: value for field, value in plain.items() if value}
    for field, at in (
        ("since", intent.since),
        ("preparingSince", intent.preparing_since),
        ("startedAt", intent.started_at),
        ("pausedSince", intent.paused_since),
    ):
        if at is not None:
            document[field] = timestamp(at)
    if intent.approved_step >= 0:
        document["approvedStep"] = intent.approved_step
    if intent.paused_for:
        document["pausedForSeconds"] = intent.paused_for / timedelta(seconds=1)
    if intent.aborted is not None:
        document["aborted"] = {
            "revision": intent.aborted.revision,
            "version": intent.aborted.version,
            "reason": str(intent.aborted.reason),
            "message": intent.aborted.message,
            "at": timestamp(intent.aborted.at),
        }
    return document


def command_document(command: LastCommand) -> dict[str, Any]:
    return {
        "id": command.id,
        "action": command.action,
        "revision": command.revision,
        "accepted": command.accepted,
        "message": command.message,
        "at": timestamp(command.at),
    }


def intent_from(status: Mapping[str, Any]) -> Intent:
    """The inverse; an empty status is the intent of an object never seen before. ValueError: it cannot be one."""
    rollout = status.get("rollout") or {}
    aborted = rollout.get("aborted")
    command = status.get("lastCommand")
    return Intent(
        stable=rollout.get("stable"),
        candidate=rollout.get("candidate"),
        step=rollout.get("step", 0),
        weight=rollout.get("weight", 0),
        target=rollout.get("target", 0),
        since=_moment(rollout, "since"),
        preparing_since=_moment(rollout, "preparingSince"),
        started_at=_moment(rollout, "startedAt"),
        floor=rollout.get("floor", 0),
        leaving=rollout.get("leaving", False),
        promote=rollout.get("promote", False),
        approved_step=rollout.get("approvedStep", -1),
        paused=rollout.get("paused", False),
        paused_since=_moment(rollout, "pausedSince"),
        paused_for=timedelta(seconds=rollout.get("pausedForSeconds", 0)),
        attempt=rollout.get("attempt", 0),
        aborted=None if aborted is None else _aborted(aborted),
        last_command=None if command is None else _command(command),
        router=rollout.get("router"),
        analysis=rollout.get("analysis"),
    )


def intent_adopted(status: Mapping[str, Any], stable: str | None) -> Intent:
    """The intent at rest on `stable`, instead of one that cannot be; what people and rollbacks said is remembered."""
    rollout = status.get("rollout") or {}
    kept = {field: rollout[field] for field in ("attempt", "router", "paused", "aborted") if field in rollout}
    return intent_from({**status, "rollout": kept | {"stable": stable}})


def _moment(document: Mapping[str, Any], field: str) -> datetime | None:
    text = document.get(field)
    return None if text is None else moment(text)


def _aborted(document: Mapping[str, Any]) -> Aborted:
    return Aborted(
        revision=document["revision"],
        version=document.get("version", ""),
        reason=next((reason for reason in Reason if reason == document["reason"]), Reason.ABORTED),
        message=document.get("message", ""),
        at=moment(document["at"]),
    )


def _command(document: Mapping[str, Any]) -> LastCommand:
    return LastCommand(
        id=document["id"],
        action=document["action"],
        revision=document["revision"],
        accepted=document["accepted"],
        message=document["message"],
        at=moment(document["at"]),
    )
