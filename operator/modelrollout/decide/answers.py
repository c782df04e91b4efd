"""How a rule answers: keep everything and wait, or commit a new intent. Pure."""

from datetime import timedelta

from modelrollout.decide.capacity import floor_at_start
from modelrollout.decide.view import View
from modelrollout.domain.conditions import Reason
from modelrollout.domain.intent import Intent
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Action, Plan

AGAIN = timedelta(0)
SOON = timedelta(seconds=1)
PAUSED = "Paused: no weight rises. Set spec.paused to false, or give the resume command, to go on."


def act(view: View, reason: Reason, message: str, *actions: Action, wake_after: timedelta | None = None) -> Plan:
    """Keep everything as the intent says, and do `actions` besides."""
    return Plan(
        reason=reason,
        message=message,
        actions=(*view.upkeep, *actions),
        wake_after=wake_after,
        judgement=view.judgement,
    )


def commit(reason: Reason, message: str, intent: Intent) -> Plan:
    return Plan(reason=reason, message=message, intent=intent, wake_after=AGAIN)


def adopted(observed: Observed) -> Plan | None:
    """A corrupted intent is replaced; the spec's revision, if it is another one, starts anew."""
    if not observed.adopted:
        return None
    message = f"{Reason.ADOPTED.meaning} Look who may write modeldeployments/status: only the operator should."
    return commit(Reason.ADOPTED, message, observed.intent)


def start(view: View) -> Plan:
    intent, desired = view.intent, view.desired
    first = intent.stable is None
    step = len(desired.rollout.steps) if first else 0
    changed = Intent(
        stable=intent.stable,
        candidate=desired.revision,
        step=step,
        target=desired.rollout.weight_at(step),
        since=intent.since,
        preparing_since=view.now,
        started_at=view.now,
        floor=0 if first else floor_at_start(desired, view.observed.workload(intent.stable)),
        paused=intent.paused,
        attempt=intent.attempt + 1,
        last_command=intent.last_command,
        router=str(desired.traffic.router) if first else intent.router,
        analysis=desired.analysis_text,
    )
    return commit(Reason.ROLLOUT_STARTED, Reason.ROLLOUT_STARTED.meaning, changed)


def remembered_as_bad(view: View) -> bool:
    aborted = view.intent.aborted
    return aborted is not None and aborted.revision == view.desired.revision
