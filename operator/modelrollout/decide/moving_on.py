"""What starts a rollout and moves it on, step by step. Pure rules; see rules.py for their order."""

from dataclasses import replace
from datetime import timedelta

from modelrollout.decide.answers import PAUSED, SOON, act, commit, remembered_as_bad, start
from modelrollout.decide.capacity import candidate_need
from modelrollout.decide.guards import time_to_get_ready, trouble_of
from modelrollout.decide.view import View
from modelrollout.domain.analysis import Mode
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.judgement import Action as Advice
from modelrollout.domain.plan import Plan

_ANALYSING = "The candidate is compared with stable."
_NOT_ACCEPTED = (
    "The gateway has not accepted the route at its present generation. "
    "Look at the HTTPRoute's status.parents and at spec.traffic.gatewayAPI.parentRefs."
)


def start_rollout(view: View) -> Plan | None:
    intent, desired = view.intent, view.desired
    if intent.candidate is not None or desired.revision == intent.stable or remembered_as_bad(view):
        return None
    if view.paused and intent.stable is not None:
        return act(view, Reason.PAUSED, PAUSED)
    return start(view)


def take_first(view: View) -> Plan | None:
    """The first revision takes everything as soon as it is ready at full scale."""
    intent, candidate = view.intent, view.candidate
    if intent.stable is not None or intent.candidate is None:
        return None
    need = candidate_need(view.desired, intent, 100)
    if candidate is None or min(candidate.ready, candidate.endpoints) < need:
        return _wait_for_pods(view, "The first revision's pods are not all ready yet.")
    changed = replace(
        intent,
        stable=intent.candidate,
        candidate=None,
        step=0,
        target=0,
        since=view.now,
        preparing_since=None,
        started_at=None,
        paused_since=None,
        paused_for=timedelta(0),
    )
    return commit(Reason.PROMOTED, "The first revision is ready and takes all traffic.", changed)


def raise_weight(view: View) -> Plan | None:
    """The step's weight rises only on capacity that was seen, and on a route that its gateway took."""
    intent, candidate = view.intent, view.candidate
    if not intent.preparing:
        return None
    if view.paused:
        return act(view, Reason.PAUSED, PAUSED)
    need = candidate_need(view.desired, intent, intent.target)
    if candidate is None or min(candidate.ready, candidate.endpoints) < need:
        return _wait_for_pods(view, "The candidate's pods are not all ready for the next weight yet.")
    if not view.observed.route.accepted:
        return act(view, Reason.ROUTE_NOT_ACCEPTED, _NOT_ACCEPTED)
    if view.first_step and (view.outlook is None or view.service_look == timedelta(0)):
        return act(view, Reason.CHECKING_METRICS, Reason.CHECKING_METRICS.meaning)
    enforced = view.settings.mode is Mode.ENFORCE
    if view.first_step and view.obstacle is not None and enforced:
        return act(view, view.obstacle.reason, view.obstacle.message)
    changed = replace(
        intent, weight=intent.target, since=view.now, preparing_since=None, paused_since=None, paused_for=timedelta(0)
    )
    message = f"Capacity is ready: the candidate goes to {intent.target} per cent."
    return commit(Reason.SHIFTING_TRAFFIC, message, changed)


def advance(view: View) -> Plan | None:
    """The step ends on proof, or at its deadline with nothing against the candidate; unless it goes by time."""
    intent, judgement = view.intent, view.judgement
    if intent.candidate is None or intent.weight >= 100:
        return None
    if view.paused:
        return act(view, Reason.PAUSED, PAUSED)
    by_time = judgement is None or judgement.observed
    if judgement is not None and not judgement.observed:
        if judgement.action is Advice.HOLD:
            return act(view, Reason.HOLDING, _holding(judgement.reason))
        if judgement.action is not Advice.ADVANCE:
            return act(view, Reason.ANALYSING, judgement.sentence if view.is_replayed else _ANALYSING)
    elif (left := view.timing.min_duration - intent.elapsed(view.now)) > timedelta(0):
        lasts = f"The step lasts its minDuration; analysis.mode is {view.settings.mode}."
        return act(view, Reason.ANALYSING, lasts, wake_after=left)
    blocked = _kept_back(view)
    if blocked is not None:
        return act(view, blocked.reason, blocked.message)
    step = view.desired.rollout.next_above(intent.weight)
    changed = replace(intent, step=step, target=view.desired.rollout.weight_at(step), preparing_since=view.now)
    told = [f"The step's minDuration is over; analysis.mode is {view.settings.mode}."] if by_time else []
    told += [judgement.sentence] if judgement is not None else []
    return replace(commit(Reason.ADVANCED, " ".join(told), changed), judgement=judgement)


def promote_baked(view: View) -> Plan | None:
    intent = view.intent
    if intent.candidate is None or intent.weight < 100:
        return None
    left = view.desired.rollout.bake - intent.elapsed(view.now)
    if view.paused:
        return act(view, Reason.PAUSED, PAUSED)
    if left > timedelta(0):
        return act(view, Reason.BAKING, Reason.BAKING.meaning, wake_after=left)
    if not view.drained or view.is_replayed:
        return act(view, Reason.BAKING, Reason.BAKING.meaning, wake_after=SOON)
    changed = replace(
        intent,
        stable=intent.candidate,
        candidate=None,
        step=0,
        weight=0,
        target=0,
        floor=0,
        since=view.now,
        started_at=None,
        preparing_since=None,
        promote=False,
        approved_step=-1,
        analysis=None,
    )
    return commit(Reason.PROMOTED, Reason.PROMOTED.meaning, changed)


def _kept_back(view: View) -> Remark | None:
    """What keeps a step from ending although its analysis would let it: its own pause, or a person's word."""
    intent, step = view.intent, view.step
    if intent.preparing or step is None or step.pause is None:
        return None
    if step.pause.duration is None:
        index = view.desired.rollout.steps.index(step)
        if intent.approved_step >= index:
            return None
        message = "This step waits for a person: give the advance or the promote command."
        return Remark(reason=Reason.WAITING_FOR_APPROVAL, message=message)
    if intent.elapsed(view.now) < step.pause.duration:
        return Remark(reason=Reason.WAITING_FOR_APPROVAL, message="This step waits for its pause to end.")
    return None


def _wait_for_pods(view: View, otherwise: str) -> Plan:
    trouble = trouble_of(view.observed, view.intent.candidate, view.now)
    reason = trouble.reason if trouble else Reason.WAITING_FOR_CAPACITY
    message = trouble.message if trouble else otherwise
    if view.candidate is None:
        return act(view, reason, message, wake_after=SOON)
    wakes = [SOON] if any(pod.unmounted_since for pod in view.candidate.pods) else []
    left = time_to_get_ready(view.observed, view.candidate, view.now)
    if left is not None and left > timedelta(0):  # once it is over only the world can change it, and that rings
        wakes.append(left)
    return act(view, reason, message, wake_after=min(wakes, default=None))


def _holding(reason: str) -> str:
    known = {
        "noData": "no fresh requests of both revisions are seen in the metrics. Look at Prometheus and the traffic",
        "insufficientTraffic": "too few requests reached the candidate by the deadline. Send traffic, or promote it",
        "suspicious": "the candidate looks worse, but not beyond doubt. Look at its logs; abort or promote by hand",
        "routeNotAccepted": "the gateway has not accepted the route. Look at the HTTPRoute's status.parents",
        "trafficSplitMismatch": "the measured share is not the weight. Look at the gateway and at sticky sessions",
        "stableUnhealthy": "stable fails too often or is too slow as well, so it is not the candidate alone. Look at "
        "what both need; if that is normal, raise spec.analysis.guardrails.errorRateMax or widen the metric's slo",
        "budgetSpent": "the candidate has spent analysis.guardrails.maxBudgetShare of a month's error budget. "
        "Abort or promote by hand",
        "serviceBurning": "all revisions together spend the error budget of analysis.guardrails.slo too fast. It goes "
        "on by itself when that is over; mend the service, or abort or promote by hand",
        "inconclusive": "the deadline passed undecided and analysis.onInconclusive is hold. Abort or promote by hand",
    }
    return f"Holding at this weight: {known.get(reason, reason)}."
