"""The policy: ordered rules, each a question with its answer. The first that answers wins. Pure.

What takes traffic back stands above what waits, what waits above what raises. Every "outranks" has a test.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from modelrollout.decide.capacity import candidate_need, floor_at_start, floor_outgrown
from modelrollout.decide.commands import obey
from modelrollout.decide.guards import candidate_failure, stable_lost, trouble_of
from modelrollout.decide.view import UNANSWERED, View
from modelrollout.domain import analysis
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.intent import Aborted, Intent
from modelrollout.domain.model_deployment import InvalidSpec
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import (
    Action,
    Checkpoint,
    DropRoute,
    ForgetSnapshot,
    Plan,
    PointService,
    Prune,
    ShiftTraffic,
    SnapshotRevision,
)

AGAIN = timedelta(0)
SOON = timedelta(seconds=1)


def without_a_valid_spec(observed: Observed, invalid: InvalidSpec, now: datetime) -> Plan:
    """What serves stays as it is; a command is still answered."""
    if observed.deleting:
        return Plan(reason=Reason.DELETING, message=Reason.DELETING.meaning)
    answered = obey(observed, now)
    if answered is not None:
        return _commit(Reason.COMMANDED, "", answered)
    return Plan(reason=Reason.INVALID_SPEC, message=invalid.message)


def let_go_when_deleting(view: View) -> Plan | None:
    """Nothing is written on an object that is being deleted: garbage collection does the rest."""
    return Plan(reason=Reason.DELETING, message=Reason.DELETING.meaning) if view.observed.deleting else None


def obey_command(view: View) -> Plan | None:
    intent = obey(view.observed, view.now)
    if intent is None or intent.last_command is None:
        return None
    accepted = intent.last_command.accepted
    reason = Reason.COMMANDED if accepted else Reason.COMMAND_REFUSED
    return _commit(reason, intent.last_command.message, intent)


def take_back_failed(view: View) -> Plan | None:
    """A candidate whose pods fail goes, whatever its metrics say. A first revision stays: nothing else serves."""
    intent = view.intent
    if intent.candidate is None or intent.leaving or intent.stable is None:
        return None
    failure = candidate_failure(view.observed, view.desired, view.now)
    return None if failure is None else _take_back(view, failure.reason, failure.message)


def abort_on_regression(view: View) -> Plan | None:
    judgement = view.judgement
    if judgement is None or judgement.action is not analysis.Action.ROLLBACK:
        return None
    reason = Reason.REGRESSED if judgement.verdict is analysis.Verdict.FAIL else Reason.INCONCLUSIVE
    message = f"{judgement.sentence} Apply another spec, or use the retry command.".strip()
    return _take_back(view, reason, message)


def fail_over(view: View) -> Plan | None:
    """Stable is gone and the candidate is good: everything to the candidate, loudly."""
    intent, candidate = view.intent, view.candidate
    if intent.candidate is None or intent.leaving or intent.weight == 100 or intent.stable is None:
        return None
    if candidate is None or not candidate.endpoints or not candidate.ready or not stable_lost(view.observed, view.now):
        return None
    changed = replace(
        intent,
        step=len(view.desired.rollout.steps),
        weight=100,
        target=100,
        promote=True,
        since=view.now,
        paused_for=timedelta(0),
    )
    message = "Stable has no ready pod: all traffic goes to the candidate. Look at why stable's pods are gone."
    return _commit(Reason.FAILED_OVER, message, changed)


def shift_traffic(view: View) -> Plan | None:
    """Make the route what the intent says. A raise needs ready endpoints; a way back waits for nothing."""
    routing, route = view.routing, view.observed.route
    if routing is None or route.carries(routing):
        return None
    candidate = routing.candidate
    rises = candidate is not None and routing.weight_of(candidate) > route.weight_of(candidate)
    if rises and not (view.candidate and view.candidate.endpoints and view.candidate.ready):
        return _act(view, Reason.WAITING_FOR_CAPACITY, "The candidate lost its ready pods before its weight rose.")
    return Plan(
        reason=Reason.SHIFTING_TRAFFIC,
        message=Reason.SHIFTING_TRAFFIC.meaning,
        actions=(ShiftTraffic(routing=routing, at=view.now),),
        wake_after=AGAIN,
    )


def leave_superseded_candidate(view: View) -> Plan | None:
    """The spec asks for something else: the candidate loses its traffic first. Nothing is marked bad."""
    intent = view.intent
    if intent.candidate is None or intent.leaving or intent.candidate == view.desired.revision:
        return None
    if intent.stable is None:
        return None if view.observed.snapshot(view.desired.revision) is None else _start(view)
    return _commit(Reason.SUPERSEDED, Reason.SUPERSEDED.meaning, intent.withdrawing(view.now, aborted=None))


def finish_leaving(view: View) -> Plan | None:
    """The route is seen without the candidate and its connections drained: it is one no longer."""
    intent = view.intent
    if not intent.leaving:
        return None
    if not view.drained:
        evidence = view.observed.evidence
        unsaved = evidence is not None and evidence.last_eval != view.observed.checkpoint_eval
        final: tuple[Action, ...] = (Checkpoint(evidence=evidence),) if evidence is not None and unsaved else ()
        return _act(view, Reason.RETIRING, "The candidate's connections drain.", *final, wake_after=SOON)
    changed = replace(intent, candidate=None, leaving=False, step=0, floor=0, started_at=None, preparing_since=None)
    return _commit(Reason.WITHDRAWN, Reason.WITHDRAWN.meaning, changed)


def keep_pause_clock(view: View) -> Plan | None:
    """Deadlines and bake stand still while paused."""
    intent = view.intent
    running = intent.candidate is not None and not intent.leaving
    if view.paused and running and intent.paused_since is None:
        return _commit(Reason.PAUSED, _PAUSED, replace(intent, paused_since=view.now))
    if intent.paused_since is not None and not (view.paused and running):
        changed = replace(intent, paused_since=None, paused_for=intent.paused_for + (view.now - intent.paused_since))
        return _commit(Reason.COMMANDED, "Resumed.", changed)
    return None


def point_service(view: View) -> Plan | None:
    """The stable Service turns in a walk of its own, after all traffic has settled."""
    intent, observed = view.intent, view.observed
    if view.by_replicas or intent.stable is None or observed.service_points_at == intent.stable:
        return None
    if observed.service_exists and not view.drained:
        return None
    if observed.snapshot(intent.stable) is None:
        return None
    return Plan(
        reason=Reason.SHIFTING_TRAFFIC,
        message=Reason.SHIFTING_TRAFFIC.meaning,
        actions=(PointService(revision=intent.stable),),
        wake_after=AGAIN,
    )


def refuse_impossible(view: View) -> Plan | None:
    """What only the operator can see to be impossible: told, and what serves is kept as it is."""
    problem = view.observed.conflict or view.observed.refused
    if problem is None or view.desired.revision in (view.intent.stable, view.intent.candidate):
        return None
    return _act(view, problem.reason, problem.message)


def forget_aborted(view: View) -> Plan | None:
    """Asking for stable again makes good and forgets."""
    intent = view.intent
    if intent.aborted is None or view.desired.revision != intent.stable or intent.candidate is not None:
        return None
    return _commit(Reason.FORGOTTEN, Reason.FORGOTTEN.meaning, replace(intent, aborted=None))


def snapshot_revision(view: View) -> Plan | None:
    """A revision is frozen once, before anything is made of it."""
    desired, observed = view.desired, view.observed
    if observed.snapshot(desired.revision) is not None or _remembered_as_bad(view):
        return None
    number = 1 + max((snapshot.number for snapshot in observed.snapshots), default=0)
    action = SnapshotRevision(revision=desired.revision, number=number)
    return Plan(reason=Reason.SNAPSHOTTING, message=Reason.SNAPSHOTTING.meaning, actions=(action,), wake_after=AGAIN)


def prune(view: View) -> Plan | None:
    """What has no part any more goes, once its weight is seen at 0 and its connections drained."""
    intent, observed = view.intent, view.observed
    kept = {intent.stable, intent.candidate}
    for workload in observed.workloads:
        free = not observed.route.names(workload.revision) and observed.service_points_at != workload.revision
        if workload.revision not in kept and workload.exists and free and view.drained:
            action = Prune(revision=workload.revision)
            return Plan(reason=Reason.RETIRING, message=Reason.RETIRING.meaning, actions=(action,), wake_after=SOON)
    return _forget_old_snapshot(view)


def _forget_old_snapshot(view: View) -> Plan | None:
    intent, observed = view.intent, view.observed
    aborted = intent.aborted.revision if intent.aborted else None
    kept = {intent.stable, intent.candidate, view.desired.revision, aborted}
    kept |= {workload.revision for workload in observed.workloads}
    old = sorted(
        (snapshot for snapshot in observed.snapshots if snapshot.revision not in kept),
        key=lambda snapshot: snapshot.number,
    )
    if len(old) <= view.desired.rollout.history_limit:
        return None
    action = ForgetSnapshot(revision=old[0].revision)
    return Plan(reason=Reason.RETIRING, message=Reason.RETIRING.meaning, actions=(action,), wake_after=AGAIN)


def start_rollout(view: View) -> Plan | None:
    intent, desired = view.intent, view.desired
    if intent.candidate is not None or desired.revision == intent.stable or _remembered_as_bad(view):
        return None
    if view.paused and intent.stable is not None:
        return _act(view, Reason.PAUSED, _PAUSED)
    return _start(view)


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
    return _commit(Reason.PROMOTED, "The first revision is ready and takes all traffic.", changed)


def change_router(view: View) -> Plan | None:
    """Another router takes effect at rest only."""
    intent, wished = view.intent, str(view.desired.traffic.router)
    if intent.candidate is not None or intent.stable is None or intent.router == wished:
        return None
    return _commit(
        Reason.SHIFTING_TRAFFIC, "The router changes as spec.traffic.router asks.", replace(intent, router=wished)
    )


def drop_idle_route(view: View) -> Plan | None:
    """The former router's route goes once the present one serves."""
    if not view.observed.idle_route or view.intent.candidate is not None or not view.drained:
        return None
    message = "The former router's HTTPRoute is removed."
    return Plan(reason=Reason.RETIRING, message=message, actions=(DropRoute(),), wake_after=AGAIN)


def raise_floor(view: View) -> Plan | None:
    floor = floor_outgrown(view.observed, view.desired)
    if floor is None or view.intent.leaving:
        return None
    message = "Load outgrew stable's floor; it is raised so that stable can take everything back."
    return _commit(Reason.WAITING_FOR_CAPACITY, message, replace(view.intent, floor=floor))


def raise_weight(view: View) -> Plan | None:
    """The step's weight rises only on capacity that was seen, and on a route that its gateway took."""
    intent, candidate = view.intent, view.candidate
    if not intent.preparing:
        return None
    if view.paused:
        return _act(view, Reason.PAUSED, _PAUSED)
    need = candidate_need(view.desired, intent, intent.target)
    if candidate is None or min(candidate.ready, candidate.endpoints) < need:
        return _wait_for_pods(view, "The candidate's pods are not all ready for the next weight yet.")
    if not view.observed.route.accepted:
        return _act(view, Reason.ROUTE_NOT_ACCEPTED, _NOT_ACCEPTED)
    changed = replace(
        intent, weight=intent.target, since=view.now, preparing_since=None, paused_since=None, paused_for=timedelta(0)
    )
    message = f"Capacity is ready: the candidate goes to {intent.target} per cent."
    return _commit(Reason.SHIFTING_TRAFFIC, message, changed)


def advance(view: View) -> Plan | None:
    """The step ends on proof, or at its deadline with nothing against the candidate."""
    intent, judgement = view.intent, view.judgement
    if intent.candidate is None or intent.weight >= 100:
        return None
    if view.compared:
        assert judgement is not None
        if judgement.action is analysis.Action.HOLD:
            return _act(view, Reason.HOLDING, _holding(judgement.reason))
        if judgement.action is not analysis.Action.ADVANCE:
            return _act(view, Reason.ANALYSING, _ANALYSING)
    elif (left := view.timing.min_duration - intent.elapsed(view.now)) > timedelta(0) and not view.paused:
        return _act(view, Reason.ANALYSING, "The step lasts its minDuration; analysis.mode is none.", wake_after=left)
    blocked = _kept_back(view)
    if blocked is not None:
        return _act(view, blocked.reason, blocked.message)
    step = view.desired.rollout.next_above(intent.weight)
    changed = replace(intent, step=step, target=view.desired.rollout.weight_at(step), preparing_since=view.now)
    sentence = judgement.sentence if judgement else "The step's minDuration is over; analysis.mode is none."
    return replace(_commit(Reason.ADVANCED, sentence, changed), judgement=judgement)


def promote_baked(view: View) -> Plan | None:
    intent = view.intent
    if intent.candidate is None or intent.weight < 100:
        return None
    left = view.desired.rollout.bake - intent.elapsed(view.now)
    if view.paused:
        return _act(view, Reason.PAUSED, _PAUSED)
    if left > timedelta(0):
        return _act(view, Reason.BAKING, Reason.BAKING.meaning, wake_after=left)
    if not view.drained:
        return _act(view, Reason.BAKING, Reason.BAKING.meaning, wake_after=SOON)
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
    return _commit(Reason.PROMOTED, Reason.PROMOTED.meaning, changed)


def rest(view: View) -> Plan | None:
    intent, observed = view.intent, view.observed
    waiting = any(workload.revision not in (intent.stable, intent.candidate) for workload in observed.workloads)
    if waiting:
        return _act(view, Reason.RETIRING, Reason.RETIRING.meaning, wake_after=SOON)
    wake = None if observed.route.accepted or observed.route.answered else UNANSWERED
    if _remembered_as_bad(view):
        assert intent.aborted is not None
        return _act(view, Reason.ROLLED_BACK, intent.aborted.message, wake_after=wake)
    return _act(view, Reason.STABLE, Reason.STABLE.meaning, wake_after=wake)


RULES: tuple[Callable[[View], Plan | None], ...] = (
    let_go_when_deleting,
    obey_command,
    take_back_failed,
    abort_on_regression,
    fail_over,
    shift_traffic,
    leave_superseded_candidate,
    finish_leaving,
    keep_pause_clock,
    point_service,
    refuse_impossible,
    forget_aborted,
    snapshot_revision,
    prune,
    start_rollout,
    take_first,
    change_router,
    drop_idle_route,
    raise_floor,
    raise_weight,
    advance,
    promote_baked,
    rest,
)

_PAUSED = "Paused: no weight rises. Set spec.paused to false, or give the resume command, to go on."
_ANALYSING = "The candidate is compared with stable."
_NOT_ACCEPTED = (
    "The gateway has not accepted the route at its present generation. "
    "Look at the HTTPRoute's status.parents and at spec.traffic.gatewayAPI.parentRefs."
)


def _holding(reason: str) -> str:
    known = {
        "noData": "no fresh requests of both revisions are seen in the metrics. Look at Prometheus and the traffic",
        "insufficientTraffic": "too few requests reached the candidate by the deadline. Send traffic, or promote it",
        "suspicious": "the candidate looks worse, but not beyond doubt. Look at its logs; abort or promote by hand",
        "routeNotAccepted": "the gateway has not accepted the route. Look at the HTTPRoute's status.parents",
        "trafficSplitMismatch": "the measured share is not the weight. Look at the gateway and at sticky sessions",
        "inconclusive": "the deadline passed undecided and analysis.onInconclusive is hold. Abort or promote by hand",
    }
    return f"Holding at this weight: {known.get(reason, reason)}."


def _start(view: View) -> Plan:
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
    return _commit(Reason.ROLLOUT_STARTED, Reason.ROLLOUT_STARTED.meaning, changed)


def _take_back(view: View, reason: Reason, message: str) -> Plan:
    candidate = view.intent.candidate
    assert candidate is not None
    snapshot = view.observed.snapshot(candidate)
    version = snapshot.version if snapshot else ""
    aborted = Aborted(revision=candidate, version=version, reason=reason, message=message, at=view.now)
    changed = view.intent.withdrawing(view.now, aborted=aborted)
    return replace(_commit(reason, message, changed), judgement=view.judgement)


def _kept_back(view: View) -> Remark | None:
    """What keeps a step from ending although its analysis would let it: a pause, or a person's word."""
    intent, step = view.intent, view.step
    if view.paused:
        return Remark(reason=Reason.PAUSED, message=_PAUSED)
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
    intent, snapshot = view.intent, view.observed.snapshot(view.intent.candidate)
    wakes = []
    if view.candidate is not None and any(pod.unmounted_since for pod in view.candidate.pods):
        wakes.append(SOON)
    if intent.preparing_since is not None and snapshot is not None:
        left = intent.preparing_since + snapshot.ready_timeout + intent.paused_for - view.now
        wakes.append(max(left, SOON))
    return _act(view, reason, message, wake_after=min(wakes, default=SOON))


def _remembered_as_bad(view: View) -> bool:
    aborted = view.intent.aborted
    return aborted is not None and aborted.revision == view.desired.revision


def _act(view: View, reason: Reason, message: str, *actions: Action, wake_after: timedelta | None = None) -> Plan:
    """Keep everything as the intent says, and do `actions` besides."""
    return Plan(
        reason=reason,
        message=message,
        actions=(*view.upkeep, *actions),
        wake_after=wake_after,
        judgement=view.judgement,
    )


def _commit(reason: Reason, message: str, intent: Intent) -> Plan:
    return Plan(reason=reason, message=message, intent=intent, wake_after=AGAIN)
