"""From the observed world to what is to be done. Pure: no clock, cluster, log or settings.

The policy is an ordered list, the first rule that answers wins; read `rules.py` from top to bottom. A measurement
rides along with whatever is being waited for, so it never changes what is said.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from modelrollout.decide.answers import AGAIN, SOON
from modelrollout.decide.evidence import next_poll, polls_due
from modelrollout.decide.guards import pods_missed
from modelrollout.decide.rules import RULES, with_brakes_only, without_a_valid_spec
from modelrollout.decide.view import View
from modelrollout.domain.conditions import Reason
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.model_deployment import InvalidSpec
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Action, Checkpoint, Measure, Plan

CHECKPOINT_EVERY = timedelta(seconds=60)
LONGEST_LOOK = 10.0
"""Seconds after which a query is given up: what has been due for longer was missed by an operator that was away."""


def plan(observed: Observed, now: datetime) -> Plan:
    """Either a new intent to commit, or actions on the one that was read."""
    desired = observed.desired
    if isinstance(desired, InvalidSpec) and (desired.brakes is None or observed.intent.stable is None):
        return without_a_valid_spec(observed, desired, now)
    if isinstance(desired, InvalidSpec):
        assert desired.brakes is not None
        asked = observed.intent.candidate or observed.intent.stable or ""
        view = View(observed, replace(desired.brakes, revision=asked), now)
        answer = with_brakes_only(view, desired)
    else:
        view = View(observed, desired, now)
        answer = next(told for rule in RULES if (told := rule(view)) is not None)
    evidence = view.evidence
    answer = _with_first_look(view, answer) if evidence is None else _with_measurement(view, answer, evidence)
    return _watchful(view, answer)


def _watchful(view: View, answer: Plan) -> Plan:
    """While pods that carry traffic are missing their guards count seconds, and no event rings when those are over."""
    if answer.intent is not None or not pods_missed(view.observed, view.desired):
        return answer
    wake = SOON if answer.wake_after is None else min(answer.wake_after, SOON)
    return replace(answer, wake_after=wake)


def _with_first_look(view: View, answer: Plan) -> Plan:
    """While the first step is being prepared: whether the metrics can be read, and what stable did before."""
    begun, look = view.begun, view.next_look
    waits = view.intent.weight == 0 and answer.intent is None and not view.observed.deleting
    if begun is None or not waits:
        return answer
    due = view.now.timestamp() if look == timedelta(0) else None
    until = view.look_back if due is not None or view.unreadable is None else None
    service_at = _service_at(view)
    told = replace(answer, outlook=view.outlook)
    if until is not None or due is not None or service_at is not None:
        measure = Measure(evidence=begun, look_back=until, preflight=due, service_at=service_at)
        return replace(told, actions=(*answer.actions, measure))
    wakes = [wake for wake in (look, view.service_look, answer.wake_after) if wake is not None]
    return replace(told, wake_after=min(wakes, default=None))


def _service_at(view: View) -> float | None:
    """Up to when the whole service is to be asked for now; None where it was, or need not be."""
    return view.now.timestamp() if view.service_look == timedelta(0) else None


def _with_measurement(view: View, answer: Plan, evidence: Evidence) -> Plan:
    """Ask Prometheus where a grid time is due, save the evidence where that is due.

    An advance rests on evidence: it waits for what is due, and for the checkpoint. Other decisions do not wait.
    """
    other_decision = answer.intent is not None and answer.reason is not Reason.ADVANCED
    in_a_hurry = answer.intent is None and answer.wake_after == AGAIN
    if other_decision or in_a_hurry or view.observed.deleting:
        return answer
    due = polls_due(evidence, view.settings, view.now.timestamp(), lag=view.lag)
    decides = answer.intent is not None
    riders: list[Action] = []
    if due and decides and _never_caught_up(view, due):
        due = ()
    service_at = _service_at(view) if due or decides else None
    if due or service_at is not None:
        asked = _asked(evidence, view.now)
        riders.append(Measure(evidence=asked, polls=due, look_back=view.look_back, service_at=service_at))
    elif evidence.restarted_at is not None and view.observed.evidence is None:
        riders.append(Measure(evidence=evidence, look_back=view.look_back))  # from now on it is remembered
    if _worth_saving(view, evidence, decides=decides):
        riders.append(Checkpoint(evidence=evidence))
    if decides and not riders:
        return answer
    if decides:
        message = "The candidate is compared with stable."
        answer = Plan(reason=Reason.ANALYSING, message=message, actions=view.upkeep, judgement=view.judgement)
    wake = AGAIN if riders else _until_poll(view, evidence)
    if answer.wake_after is not None:
        wake = min(wake, answer.wake_after)
    return replace(answer, actions=(*answer.actions, *riders), wake_after=wake, judgement=view.judgement)


def _asked(evidence: Evidence, now: datetime) -> Evidence:
    """A replay that went without an answer waits a while before it asks again."""
    if evidence.replay is None:
        return evidence
    return replace(evidence, replay=replace(evidence.replay, asked_at=now.timestamp()))


def _never_caught_up(view: View, due: tuple[float, ...]) -> bool:
    """Whether the provider takes longer to answer than from one grid time to the next: then something is always due.

    Behind a quick one at most one time is due, and the look that answers it is worth waiting for.
    """
    overdue = view.now.timestamp() - view.lag - due[0]
    return len(due) > 1 and overdue <= LONGEST_LOOK


def _worth_saving(view: View, evidence: Evidence, *, decides: bool) -> bool:
    """At most once a minute, and always before a decision that rests on it."""
    if view.is_replayed or evidence.last_eval in (None, view.observed.checkpoint_eval):
        return False
    last = view.observed.checkpointed_at or view.intent.since
    return decides or last is None or view.now - last >= CHECKPOINT_EVERY


def _until_poll(view: View, evidence: Evidence) -> timedelta:
    now = view.now.timestamp()
    at = next_poll(evidence, view.settings, now, lag=view.lag)
    return max(timedelta(seconds=at - now), timedelta(milliseconds=10))
