"""What keeps the cluster as the intent says, whatever the candidate does. Pure rules; see rules.py for their order."""

from dataclasses import replace

from modelrollout.decide.answers import AGAIN, PAUSED, SOON, act, adopted, commit, remembered_as_bad
from modelrollout.decide.capacity import floor_outgrown
from modelrollout.decide.commands import obey
from modelrollout.decide.view import View
from modelrollout.domain.conditions import Reason
from modelrollout.domain.plan import (
    DropRoute,
    ForgetSnapshot,
    Plan,
    PointService,
    Prune,
    ShiftTraffic,
    SnapshotRevision,
)


def let_go_when_deleting(view: View) -> Plan | None:
    """Nothing is written on an object that is being deleted: garbage collection does the rest."""
    return Plan(reason=Reason.DELETING, message=Reason.DELETING.meaning) if view.observed.deleting else None


def adopt_what_serves(view: View) -> Plan | None:
    """An intent that cannot be moves nothing: what serves is written down as stable first, and read back."""
    return adopted(view.observed)


def obey_command(view: View) -> Plan | None:
    intent = obey(view.observed, view.now)
    if intent is None or intent.last_command is None:
        return None
    accepted = intent.last_command.accepted
    reason = Reason.COMMANDED if accepted else Reason.COMMAND_REFUSED
    return commit(reason, intent.last_command.message, intent)


def shift_traffic(view: View) -> Plan | None:
    """Make the route what the intent says. A raise needs ready endpoints; a way back waits for nothing."""
    routing, route = view.routing, view.observed.route
    if routing is None or route.carries(routing):
        return None
    candidate = routing.candidate
    rises = candidate is not None and routing.weight_of(candidate) > route.weight_of(candidate)
    if rises and not (view.candidate and view.candidate.endpoints and view.candidate.ready):
        return act(view, Reason.WAITING_FOR_CAPACITY, "The candidate lost its ready pods before its weight rose.")
    return Plan(
        reason=Reason.SHIFTING_TRAFFIC,
        message=Reason.SHIFTING_TRAFFIC.meaning,
        actions=(ShiftTraffic(routing=routing, at=view.now),),
        wake_after=AGAIN,
    )


def keep_pause_clock(view: View) -> Plan | None:
    """Deadlines and bake stand still while paused. A first revision is not held: nothing else serves."""
    intent = view.intent
    running = intent.stable is not None and intent.candidate is not None and not intent.leaving
    if view.paused and running and intent.paused_since is None:
        return commit(Reason.PAUSED, PAUSED, replace(intent, paused_since=view.now))
    if intent.paused_since is not None and not (view.paused and running):
        changed = replace(intent, paused_since=None, paused_for=intent.paused_for + (view.now - intent.paused_since))
        return commit(Reason.COMMANDED, "Resumed.", changed)
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
    return act(view, problem.reason, problem.message)


def forget_aborted(view: View) -> Plan | None:
    """Asking for stable again makes good and forgets."""
    intent = view.intent
    if intent.aborted is None or view.desired.revision != intent.stable or intent.candidate is not None:
        return None
    return commit(Reason.FORGOTTEN, Reason.FORGOTTEN.meaning, replace(intent, aborted=None))


def snapshot_revision(view: View) -> Plan | None:
    """A revision is frozen once, before anything is made of it."""
    desired, observed = view.desired, view.observed
    if observed.snapshot(desired.revision) is not None or remembered_as_bad(view):
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


def change_router(view: View) -> Plan | None:
    """Another router takes effect at rest only."""
    intent, wished = view.intent, str(view.desired.traffic.router)
    if intent.candidate is not None or intent.stable is None or intent.router == wished:
        return None
    return commit(
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
    return commit(Reason.WAITING_FOR_CAPACITY, message, replace(view.intent, floor=floor))


def rest(view: View) -> Plan | None:
    intent, observed = view.intent, view.observed
    waiting = any(workload.revision not in (intent.stable, intent.candidate) for workload in observed.workloads)
    if waiting:
        return act(view, Reason.RETIRING, Reason.RETIRING.meaning, wake_after=SOON)
    wake = view.settling or None
    if remembered_as_bad(view):
        assert intent.aborted is not None
        return act(view, Reason.ROLLED_BACK, intent.aborted.message, wake_after=wake)
    return act(view, Reason.STABLE, Reason.STABLE.meaning, wake_after=wake)
