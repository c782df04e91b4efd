"""Commands of people: `action:revision` or `action:revision:token`. Pure.

Each is for a named revision, done once, and acknowledged, refusals included. The annotation's whole text is the
command's id: give another token to say the same again.
"""

from dataclasses import replace
from datetime import datetime

from modelrollout.domain.conditions import Reason
from modelrollout.domain.intent import Aborted, Intent, LastCommand
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.observed import Observed

ACTIONS = ("promote", "advance", "abort", "retry", "pause", "resume")
_SHORTEST = 4


class Refusal(ValueError):  # noqa: N818 -- an answer, not an error
    """Why a command cannot be carried out; ends with what to do."""


def obey(observed: Observed, now: datetime) -> Intent | None:
    """The intent after the command, acknowledged; None if there is no command that was not answered yet."""
    text, intent = observed.command, observed.intent
    if text is None or (intent.last_command is not None and intent.last_command.id == text):
        return None
    action, _, rest = text.partition(":")
    revision = rest.partition(":")[0]
    try:
        changed, done = _carry_out(action, revision, observed, now)
    except Refusal as refusal:
        return _acknowledged(intent, text, action, revision, now, accepted=False, message=str(refusal))
    return _acknowledged(changed, text, action, revision, now, accepted=True, message=done)


def _carry_out(action: str, revision: str, observed: Observed, now: datetime) -> tuple[Intent, str]:
    if action == "undo":
        raise Refusal("undo is not available yet. Apply the earlier spec instead: its revision is known and quick.")
    if action not in ACTIONS:
        raise Refusal(f"There is no action {action[:40]!r}. Use one of: {', '.join(ACTIONS)}.")
    if not revision:
        named = observed.intent.candidate or observed.intent.stable or "<revision>"
        raise Refusal(f"Name the revision: write {action}:{named}, if that is the one you mean.")
    intent = observed.intent
    if action == "retry":
        return _retry(intent, revision)
    if action in ("pause", "resume"):
        _must_be(revision, intent.candidate, intent.stable)
        paused = action == "pause"
        return replace(intent, paused=paused), "Paused until resumed." if paused else "Resumed."
    _must_be(revision, intent.candidate)
    if intent.leaving:
        raise Refusal("The candidate is already being taken back. Wait until it is gone, then use retry.")
    if action == "abort":
        return _abort(observed, now)
    return _forward(action, observed, now)


def _retry(intent: Intent, revision: str) -> tuple[Intent, str]:
    aborted = intent.aborted
    if aborted is None or not _names(revision, aborted.revision):
        raise Refusal("Only a revision that was taken back can be retried; status.rollout.aborted names it.")
    if intent.candidate == aborted.revision:
        raise Refusal("The revision is still draining. Give the command again, with another token, in a few seconds.")
    return replace(intent, aborted=None), f"Revision {aborted.revision} is tried again with fresh evidence."


def _abort(observed: Observed, now: datetime) -> tuple[Intent, str]:
    intent = observed.intent
    if intent.stable is None or intent.candidate is None:
        raise Refusal("Nothing else serves yet, so there is nothing to go back to. Apply a corrected spec instead.")
    snapshot = observed.snapshot(intent.candidate)
    aborted = Aborted(
        revision=intent.candidate,
        version=snapshot.version if snapshot else "",
        reason=Reason.ABORTED,
        message="Aborted by a person. Apply another spec, or use the retry command.",
        at=now,
    )
    return intent.withdrawing(now, aborted=aborted), f"Revision {intent.candidate} gives its traffic back."


def _forward(action: str, observed: Observed, now: datetime) -> tuple[Intent, str]:
    intent, desired = observed.intent, observed.desired
    if not isinstance(desired, ModelDeployment):
        raise Refusal("The spec is not valid, so no weight is raised. Correct the spec first.")
    if intent.stable is None:
        raise Refusal("The first revision takes everything as soon as it is ready; there is no step to pass.")
    if intent.target >= 100:
        raise Refusal("The candidate is already on its way to 100 per cent.")
    if action == "promote":
        step = len(desired.rollout.steps)
        moved = replace(intent, step=step, target=100, preparing_since=now, promote=True, approved_step=step)
        return moved, "Promoted: 100 per cent as soon as capacity allows."
    if intent.preparing:
        raise Refusal(
            "The step's capacity is still being prepared. Give the command again when its weight is in effect."
        )
    step = desired.rollout.next_above(intent.weight)
    target = desired.rollout.weight_at(step)
    moved = replace(intent, step=step, target=target, preparing_since=now, approved_step=intent.step)
    return moved, f"Advanced to {target} per cent as soon as capacity allows."


def _must_be(revision: str, *known: str | None) -> None:
    names = [name for name in known if name]
    if not any(_names(revision, name) for name in names):
        here = f"It would have to be {' or '.join(names)}." if names else "Nothing is being rolled out."
        raise Refusal(f"Revision {revision[:40]!r} is not what this is about now. {here}")


def _names(given: str, revision: str) -> bool:
    """A revision by its name, or by a beginning of at least four characters."""
    return given == revision or (len(given) >= _SHORTEST and revision.startswith(given))


def _acknowledged(
    intent: Intent, text: str, action: str, revision: str, now: datetime, *, accepted: bool, message: str
) -> Intent:
    command = LastCommand(
        id=text,
        action=action[:40],
        revision=revision[:40],
        accepted=accepted,
        message=message,
        at=now,
    )
    return replace(intent, last_command=command)
