"""The policy, rule by rule; a sentence maps to a case. Each "outranks" has its test."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from modelrollout.decide import rules
from modelrollout.decide.evidence import begin, enter_step
from modelrollout.decide.plan import plan
from modelrollout.decide.view import View
from modelrollout.domain.analysis import Mode
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.evidence import Evidence, GuardrailFired, RegressionFound
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.intent import Aborted, Intent
from modelrollout.domain.judgement import Action
from modelrollout.domain.model_deployment import InvalidSpec, ModelDeployment, Pause, RolloutPlan, RouterName, Step
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import (
    ApplyWorkload,
    Checkpoint,
    DropRoute,
    Measure,
    Plan,
    PointService,
    Prune,
    ShiftTraffic,
)
from modelrollout.domain.traffic import RouteSeen
from tests.builders import (
    GOOD,
    KEY,
    NOW,
    OTHER,
    STABLE,
    a_pod,
    a_rollout,
    a_route,
    a_snapshot,
    a_spec,
    a_workload,
    at_rest,
)


def evidence_of(observed: Observed, **changes: object) -> Evidence:
    """The evidence that this step would have, with what was found."""
    desired, intent = observed.desired, observed.intent
    assert isinstance(desired, ModelDeployment) and intent.since and intent.started_at
    assert intent.stable and intent.candidate
    begun = begin(
        desired.analysis,
        stable=intent.stable,
        candidate=intent.candidate,
        attempt=str(intent.attempt),
        steps=3,
        at=intent.started_at.timestamp(),
    )
    step = desired.rollout.next_above(intent.weight - 1)
    entered = enter_step(begun, desired.analysis, step=step, weight=intent.weight, at=intent.since.timestamp())
    return replace(entered, **changes)  # type: ignore[arg-type]


def regressed(observed: Observed) -> Observed:
    found = RegressionFound(metric="errors", edge=None, at=NOW.timestamp(), log_evidence=6.0)
    return replace(observed, evidence=evidence_of(observed, regression=found))


def a_pause(observed: Observed, **step: object) -> Observed:
    desired = observed.desired
    assert isinstance(desired, ModelDeployment)
    ladder = RolloutPlan(steps=(Step(weight=10, pause=Pause(), **step), Step(weight=50)))  # type: ignore[arg-type]
    return replace(observed, desired=replace(desired, rollout=ladder))


def kinds(answer: Plan) -> list[str]:
    return [type(action).__name__ for action in answer.actions]


# ------------------------------------------------------------------ at rest


def test_at_rest_only_what_should_be_there_is_kept_and_nothing_wakes_us() -> None:
    answer = plan(at_rest(), NOW)
    assert (answer.reason, answer.wake_after) == (Reason.STABLE, None)
    assert kinds(answer) == ["ApplyWorkload", "PointService", "ShiftTraffic"]
    shift = answer.actions[-1]
    assert isinstance(shift, ShiftTraffic) and at_rest().route.carries(shift.routing)


def test_at_rest_the_autoscaler_is_exactly_as_the_spec_says() -> None:
    wish = plan(at_rest(), NOW).actions[0]
    assert isinstance(wish, ApplyWorkload)
    assert (wish.min_replicas, wish.max_replicas, wish.replicas) == (2, 10, None)


def test_an_object_being_deleted_is_let_go() -> None:
    answer = plan(regressed(a_rollout(deleting=True)), NOW)
    assert (answer.reason, answer.actions, answer.intent) == (Reason.DELETING, (), None)


# ------------------------------------------------------------------ starting


def test_a_new_revision_is_frozen_before_anything_is_made_of_it() -> None:
    answer = plan(at_rest(GOOD), NOW)
    assert kinds(answer) == ["SnapshotRevision"]


def test_a_new_revision_starts_a_rollout_that_prepares_its_first_step_without_traffic() -> None:
    answer = plan(at_rest(GOOD, snapshots=(a_snapshot(STABLE), a_snapshot(GOOD, 2))), NOW)
    intent = answer.intent
    assert intent is not None
    assert (intent.candidate, intent.weight, intent.target, intent.floor) == (GOOD.revision, 0, 10, 2)
    assert answer.actions == ()


def test_stables_floor_is_what_load_has_made_of_it() -> None:
    busy = at_rest(
        GOOD, snapshots=(a_snapshot(STABLE), a_snapshot(GOOD, 2)), workloads=(a_workload(STABLE.revision, ready=5),)
    )
    intent = plan(busy, NOW).intent
    assert intent is not None and intent.floor == 5


def test_paused_nothing_new_starts() -> None:
    paused = replace(GOOD, paused=True)
    answer = plan(at_rest(paused, snapshots=(a_snapshot(STABLE), a_snapshot(GOOD, 2))), NOW)
    assert (answer.intent, answer.reason) == (None, Reason.PAUSED)


def test_an_aborted_revision_is_not_tried_again() -> None:
    aborted = Aborted(revision=GOOD.revision, version="2", reason=Reason.REGRESSED, message="Worse.", at=NOW)
    observed = at_rest(GOOD, snapshots=(a_snapshot(STABLE), a_snapshot(GOOD, 2)))
    answer = plan(replace(observed, intent=replace(observed.intent, aborted=aborted)), NOW)
    assert (answer.intent, answer.reason) == (None, Reason.ROLLED_BACK)


def test_asking_for_stable_again_forgets_the_aborted_one() -> None:
    aborted = Aborted(revision=GOOD.revision, version="2", reason=Reason.REGRESSED, message="Worse.", at=NOW)
    observed = at_rest()
    answer = plan(replace(observed, intent=replace(observed.intent, aborted=aborted)), NOW)
    assert answer.intent is not None and answer.intent.aborted is None


def test_what_the_operator_alone_can_see_to_be_impossible_starts_nothing() -> None:
    told = Remark(reason=Reason.UNKNOWN_PRESET, message="There is no preset 'x'. Use custom or mlserver.")
    answer = plan(at_rest(GOOD, refused=told), NOW)
    assert (answer.reason, answer.message, answer.intent) == (told.reason, told.message, None)


def test_the_first_revision_takes_everything_once_it_is_ready_at_full_scale() -> None:
    intent = Intent(candidate=STABLE.revision, target=100, preparing_since=NOW, started_at=NOW, attempt=1)
    young = at_rest(
        intent=intent,
        route=RouteSeen(exists=False),
        service_exists=False,
        service_points_at=None,
        workloads=(a_workload(STABLE.revision, ready=1, replicas=2),),
    )
    assert plan(young, NOW).intent is None
    ready = replace(young, workloads=(a_workload(STABLE.revision, ready=2),))
    taken = plan(ready, NOW).intent
    assert taken is not None and (taken.stable, taken.candidate) == (STABLE.revision, None)


# ------------------------------------------------------------------ raising


def test_a_weight_rises_only_on_capacity_that_was_seen() -> None:
    waiting = a_rollout(
        0, target=10, workloads=(a_workload(STABLE.revision), a_workload(GOOD.revision, ready=0, replicas=1))
    )
    assert plan(waiting, NOW).intent is None
    ready = a_rollout(0, target=10, workloads=(a_workload(STABLE.revision), a_workload(GOOD.revision, ready=1)))
    raised = plan(ready, NOW).intent
    assert raised is not None and raised.weight == 10


def test_the_weight_is_decided_in_one_walk_and_written_in_the_next() -> None:
    decided = a_rollout(10, route=a_route(**{STABLE.revision: 100}))
    answer = plan(decided, NOW)
    assert kinds(answer) == ["ShiftTraffic"]
    assert answer.intent is None
    shift = answer.actions[0]
    assert isinstance(shift, ShiftTraffic) and shift.routing.split.candidate == 10


def test_a_decided_raise_is_not_written_when_the_candidate_lost_its_pods_meanwhile() -> None:
    gone = a_workload(GOOD.revision, ready=0, replicas=1)
    observed = a_rollout(10, route=a_route(**{STABLE.revision: 100}), workloads=(a_workload(STABLE.revision), gone))
    assert "ShiftTraffic" not in kinds(plan(observed, NOW))


def test_a_weight_does_not_rise_on_a_route_that_no_gateway_accepted() -> None:
    unaccepted = replace(a_route(**{STABLE.revision: 90, GOOD.revision: 10}), accepted=False)
    answer = plan(a_rollout(10, target=30, route=unaccepted), NOW)
    assert answer.intent is None and answer.reason is Reason.ROUTE_NOT_ACCEPTED


@pytest.mark.parametrize("spec", [GOOD, replace(GOOD, paused=True)])
def test_what_serves_is_written_down_before_anything_moves_on_it(spec: ModelDeployment) -> None:
    world = at_rest(spec, adopted=True, route=a_route(**{STABLE.revision: 90, GOOD.revision: 10}), command="abort:x")
    answer = plan(world, NOW)
    assert (answer.reason, answer.actions, answer.intent) == (Reason.ADOPTED, (), world.intent)


def test_what_serves_is_written_down_under_a_spec_that_cannot_be_used_too() -> None:
    invalid = InvalidSpec(key=KEY, uid="uid-1", generation=2, message="no")
    assert plan(at_rest(desired=invalid, adopted=True), NOW).reason is Reason.ADOPTED


def test_a_first_revision_is_not_held_by_a_pause() -> None:
    intent = Intent(candidate=STABLE.revision, target=100, preparing_since=NOW, started_at=NOW, attempt=1)
    world = at_rest(replace(STABLE, paused=True), intent=intent, route=RouteSeen(exists=False), service_exists=False)
    answer = plan(world, NOW)
    assert answer.reason is Reason.PROMOTED and answer.intent is not None
    assert (answer.intent.stable, answer.intent.paused_since) == (STABLE.revision, None)


def test_paused_no_weight_rises() -> None:
    observed = a_rollout(10, target=30, intent={"paused": True, "paused_since": NOW})
    answer = plan(observed, NOW)
    assert answer.intent is None and answer.reason is Reason.PAUSED


def test_the_candidates_floor_rises_with_its_weight_and_stables_stays() -> None:
    young = a_workload(GOOD.revision, ready=2)
    observed = a_rollout(30, target=60, intent={"floor": 4}, workloads=(a_workload(STABLE.revision), young))
    wishes = {action.revision: action for action in plan(observed, NOW).actions if isinstance(action, ApplyWorkload)}
    assert wishes[GOOD.revision].min_replicas == 3
    assert wishes[STABLE.revision].min_replicas == 4


# ------------------------------------------------------------------ judging


def test_a_due_poll_is_asked_and_the_next_walk_judges() -> None:
    answer = plan(a_rollout(10), NOW)
    assert any(isinstance(action, Measure) for action in answer.actions)
    assert answer.reason is Reason.ANALYSING


def test_at_the_deadline_with_nothing_against_it_the_step_ends_after_a_checkpoint() -> None:
    observed = a_rollout(10, since=timedelta(seconds=61))
    last = NOW.timestamp() - 1.0
    known = evidence_of(observed, last_eval=last, data_ok=True, last_data_at=last)
    known = replace(known, step_requests=replace(known.step_requests, n_canary=500, n_stable=4500))
    unsaved = plan(replace(observed, evidence=known), NOW)
    assert any(isinstance(action, Checkpoint) for action in unsaved.actions)
    saved = plan(replace(observed, evidence=known, checkpoint_eval=last), NOW)
    assert saved.intent is not None and saved.intent.target == 30
    assert saved.judgement is not None


@pytest.mark.parametrize(
    ("seconds_since_the_last_look", "advances"),
    [pytest.param(5, True, id="nothing is due"), pytest.param(6, False, id="a quick provider answers at once")]
    + [pytest.param(age, True, id=f"slow: the answer took {age - 5.5} s") for age in (11, 14)],
)
def test_an_advance_waits_for_a_look_that_is_due_but_not_for_ever(
    seconds_since_the_last_look: float, advances: bool
) -> None:
    """Polls are five seconds apart. A provider that takes longer than that is always one look behind."""
    observed = a_rollout(10, since=timedelta(seconds=61))
    last = NOW.timestamp() - seconds_since_the_last_look
    known = evidence_of(observed, last_eval=last, data_ok=True, last_data_at=last)
    known = replace(known, step_requests=replace(known.step_requests, n_canary=500, n_stable=4500))
    answer = plan(replace(observed, evidence=known, checkpoint_eval=last), NOW)
    assert (answer.intent is not None) is advances
    assert any(isinstance(action, Measure) for action in answer.actions) is not advances


def test_an_advance_waits_for_the_looks_that_an_operator_missed_while_it_was_away() -> None:
    settings = json.dumps({"poll": "15s", "minDuration": "30s", "deadline": "60s", "warmup": "0s"})
    observed = a_rollout(10, since=timedelta(seconds=61), intent={"analysis": settings})
    last = NOW.timestamp() - 40
    known = evidence_of(observed, last_eval=last, data_ok=True, last_data_at=last)
    known = replace(known, step_requests=replace(known.step_requests, n_canary=500, n_stable=4500))
    answer = plan(replace(observed, evidence=known, checkpoint_eval=last), NOW)
    assert answer.judgement is not None and answer.judgement.action is Action.ADVANCE
    assert answer.intent is None
    assert [len(action.polls) for action in answer.actions if isinstance(action, Measure)] == [2]


def test_without_data_the_step_does_not_end_at_its_deadline() -> None:
    observed = a_rollout(10, since=timedelta(seconds=90))
    answer = plan(replace(observed, evidence=evidence_of(observed, last_eval=NOW.timestamp() - 1)), NOW)
    assert answer.intent is None and answer.reason is Reason.HOLDING


def test_without_analysis_a_step_lasts_its_least_time() -> None:
    spec = a_spec("2", mode=Mode.NONE)
    frozen = {"analysis": spec.analysis_text}
    early = plan(a_rollout(10, since=timedelta(seconds=10), desired=spec, intent=frozen), NOW)
    late = plan(a_rollout(10, since=timedelta(seconds=31), desired=spec, intent=frozen), NOW)
    assert early.intent is None and not any(isinstance(action, Measure) for action in early.actions)
    assert late.intent is not None and late.intent.target == 30


OBSERVED = a_spec("2", mode=Mode.OBSERVE)


def observing(since: timedelta) -> Observed:
    """A regression is known to a spec that only looks on."""
    return regressed(a_rollout(10, since=since, desired=OBSERVED, intent={"analysis": OBSERVED.analysis_text}))


def test_what_is_only_observed_moves_by_time_whatever_is_seen() -> None:
    early, late = plan(observing(timedelta(seconds=10)), NOW), plan(observing(timedelta(seconds=31)), NOW)
    assert early.intent is None and early.reason is Reason.ANALYSING
    assert any(isinstance(action, Measure) for action in early.actions), "it is measured all the same"
    assert early.judgement is not None and early.judgement.action is Action.ROLLBACK
    known = observing(timedelta(seconds=31))
    assert known.evidence is not None
    last = NOW.timestamp() - 1
    read = replace(known, evidence=replace(known.evidence, last_eval=last), checkpoint_eval=last)
    moved = plan(read, NOW)
    assert late.reason is Reason.ANALYSING, "what is due is read first"
    assert moved.intent is not None and moved.intent.target == 30
    assert moved.message.startswith(
        "The step's minDuration is over; analysis.mode is observe. Only observed. With mode enforce: Rolled back"
    )


def test_without_data_what_is_only_observed_moves_on() -> None:
    frozen = {"analysis": OBSERVED.analysis_text}
    blind = a_rollout(10, since=timedelta(seconds=90), desired=OBSERVED, intent=frozen)
    last = NOW.timestamp() - 1
    answer = plan(replace(blind, evidence=evidence_of(blind, last_eval=last), checkpoint_eval=last), NOW)
    assert answer.intent is not None and answer.intent.target == 30


def test_a_step_that_waits_for_a_person_waits() -> None:
    observed = a_pause(a_rollout(10, since=timedelta(seconds=61)))
    last = NOW.timestamp() - 1.0
    known = evidence_of(observed, last_eval=last, data_ok=True, last_data_at=last)
    known = replace(known, step_requests=replace(known.step_requests, n_canary=500, n_stable=4500))
    waiting = replace(observed, evidence=known, checkpoint_eval=last)
    assert plan(waiting, NOW).reason is Reason.WAITING_FOR_APPROVAL
    approved = replace(waiting, intent=replace(waiting.intent, approved_step=0))
    moved = plan(approved, NOW).intent
    assert moved is not None and moved.target == 50


# ------------------------------------------------------------------ taking back


def test_a_regression_takes_the_weight_to_zero_and_says_why() -> None:
    answer = plan(regressed(a_rollout(30)), NOW)
    intent = answer.intent
    assert intent is not None and intent.aborted is not None
    assert (intent.weight, intent.leaving, intent.aborted.reason) == (0, True, Reason.REGRESSED)
    assert intent.aborted.message


@pytest.mark.parametrize("brake", ["spec", "command"])
def test_a_regression_outranks_a_pause(brake: str) -> None:
    observed = regressed(a_rollout(30, intent={"paused": brake == "command"}))
    desired = observed.desired
    assert isinstance(desired, ModelDeployment)
    answer = plan(replace(observed, desired=replace(desired, paused=brake == "spec")), NOW)
    assert answer.reason is Reason.REGRESSED


def test_a_regression_outranks_an_unfinished_pause_of_a_step() -> None:
    assert plan(regressed(a_pause(a_rollout(10))), NOW).reason is Reason.REGRESSED


def test_a_regression_outranks_a_due_measurement() -> None:
    answer = plan(regressed(a_rollout(10)), NOW)
    assert answer.intent is not None and answer.actions == ()


def test_a_regression_outranks_a_new_spec() -> None:
    observed = regressed(a_rollout(30))
    answer = plan(replace(observed, desired=OTHER, snapshots=(*observed.snapshots, a_snapshot(OTHER, 3))), NOW)
    assert answer.reason is Reason.REGRESSED


def test_the_way_back_waits_for_nothing_not_even_an_accepted_route() -> None:
    stuck = replace(a_route(**{STABLE.revision: 70, GOOD.revision: 30}), accepted=False)
    leaving = {"weight": 0, "target": 0, "leaving": True, "since": NOW}
    answer = plan(a_rollout(30, route=stuck, intent=leaving), NOW)
    assert kinds(answer) == ["ShiftTraffic"]


def test_a_crashing_candidate_is_taken_back_before_it_sees_a_request() -> None:
    trouble = Remark(reason=Reason.CRASH_LOOP, message="It exits with 1. Read its log.")
    pods = (a_pod(ready=False, restarts=2, trouble=trouble),)
    broken = a_workload(GOOD.revision, ready=0, replicas=1, pods=pods)
    answer = plan(a_rollout(0, target=10, workloads=(a_workload(STABLE.revision), broken)), NOW)
    assert answer.intent is not None and answer.reason is Reason.CRASH_LOOP


def test_ready_pods_lost_for_ten_seconds_take_the_candidate_back() -> None:
    def lost(seconds: int) -> Observed:
        pods = (a_pod(ready=False, since=NOW - timedelta(seconds=seconds)),)
        broken = a_workload(GOOD.revision, ready=0, replicas=1, pods=pods)
        return a_rollout(30, workloads=(a_workload(STABLE.revision), broken))

    assert plan(lost(9), NOW).reason is not Reason.READY_PODS_LOST
    assert plan(lost(10), NOW).reason is Reason.READY_PODS_LOST


def test_while_ready_pods_are_missing_in_the_bake_the_guard_is_looked_at_every_second() -> None:
    pods = (a_pod(ready=False, since=NOW - timedelta(seconds=2)),)
    broken = a_workload(GOOD.revision, ready=0, replicas=1, pods=pods)
    baking = a_rollout(100, since=timedelta(seconds=1), workloads=(a_workload(STABLE.revision), broken))
    assert plan(baking, NOW).wake_after == timedelta(seconds=1)
    sound = a_rollout(100, since=timedelta(seconds=1), intent={"promote": True})
    assert plan(sound, NOW).wake_after == timedelta(seconds=29)


def test_an_evicted_pod_is_nobodys_failure() -> None:
    pods = (a_pod(ready=False, since=NOW - timedelta(seconds=60), deleting=True),)
    evicted = a_workload(GOOD.revision, ready=0, replicas=1, pods=pods)
    answer = plan(a_rollout(30, workloads=(a_workload(STABLE.revision), evicted)), NOW)
    assert answer.reason is not Reason.READY_PODS_LOST


def test_a_candidate_not_ready_in_time_is_given_up_with_what_its_pods_say() -> None:
    trouble = Remark(reason=Reason.IMAGE_NOT_PULLABLE, message="The image cannot be pulled. Correct its name.")
    pods = (a_pod(ready=False, trouble=trouble),)
    stuck = a_workload(GOOD.revision, ready=0, replicas=1, pods=pods)
    observed = a_rollout(0, target=10, since=timedelta(minutes=11), workloads=(a_workload(STABLE.revision), stuck))
    answer = plan(observed, NOW)
    assert answer.reason is Reason.NOT_READY_IN_TIME and trouble.message in answer.message


def test_a_volume_that_does_not_come_is_told_by_what_it_needs() -> None:
    runtime = Fragment.of({"preset": "mlserver", "volumes": [{"name": "key", "secret": {"secretName": "api-key"}}]})
    frozen = replace(a_snapshot(GOOD, 2), runtime=runtime)

    def waiting(seconds: int) -> Observed:
        pods = (a_pod(ready=False, unmounted_since=NOW - timedelta(seconds=seconds)),)
        young = a_workload(GOOD.revision, ready=0, replicas=1, pods=pods)
        workloads = (a_workload(STABLE.revision), young)
        return a_rollout(0, target=10, workloads=workloads, snapshots=(a_snapshot(STABLE), frozen))

    assert plan(waiting(2), NOW).reason is Reason.WAITING_FOR_CAPACITY
    told = plan(waiting(3), NOW)
    assert told.reason is Reason.CONFIGURATION_MISSING and "Secret api-key" in told.message


def test_a_superseded_candidate_gives_its_traffic_back_and_is_not_marked_bad() -> None:
    answer = plan(a_rollout(30, desired=OTHER), NOW)
    assert answer.intent is not None and answer.intent.aborted is None
    assert (answer.intent.weight, answer.intent.leaving) == (0, True)


def test_stable_without_a_ready_pod_for_half_a_minute_hands_over_to_a_good_candidate() -> None:
    pods = (a_pod(ready=False, since=NOW - timedelta(seconds=31)),)
    dead = a_workload(STABLE.revision, ready=0, replicas=1, pods=pods)
    answer = plan(a_rollout(30, workloads=(dead, a_workload(GOOD.revision))), NOW)
    assert answer.reason is Reason.FAILED_OVER
    assert answer.intent is not None and answer.intent.weight == 100


def test_a_regressed_candidate_never_gets_everything_because_stable_is_gone() -> None:
    pods = (a_pod(ready=False, since=NOW - timedelta(seconds=31)),)
    dead = a_workload(STABLE.revision, ready=0, replicas=1, pods=pods)
    answer = plan(regressed(a_rollout(30, workloads=(dead, a_workload(GOOD.revision)))), NOW)
    assert answer.reason is Reason.REGRESSED


# ------------------------------------------------------------------ ending


def test_after_the_bake_the_candidate_is_stable_and_the_old_one_loses_its_part_in_the_route_first() -> None:
    early = plan(a_rollout(100, since=timedelta(seconds=29)), NOW)
    assert early.intent is None and early.reason is Reason.BAKING
    baked = plan(a_rollout(100, since=timedelta(seconds=31)), NOW).intent
    assert baked is not None and (baked.stable, baked.candidate) == (GOOD.revision, None)
    after = a_rollout(100, since=timedelta(seconds=31))
    promoted = replace(after, intent=replace(baked, since=NOW))
    assert kinds(plan(promoted, NOW)) == ["ShiftTraffic"]


def test_the_stable_service_turns_in_a_walk_of_its_own_after_the_route_settled() -> None:
    intent = Intent(stable=GOOD.revision, router="gatewayAPI", since=NOW - timedelta(minutes=1), attempt=2)
    observed = at_rest(
        GOOD,
        intent=intent,
        snapshots=(a_snapshot(STABLE), a_snapshot(GOOD, 2)),
        workloads=(a_workload(STABLE.revision), a_workload(GOOD.revision)),
        route=a_route(**{GOOD.revision: 100}),
    )
    turned = plan(observed, NOW)
    assert turned.actions == (PointService(revision=GOOD.revision),)
    just = replace(observed, route=replace(observed.route, shifted_at=NOW - timedelta(seconds=1)))
    assert PointService(revision=GOOD.revision) not in plan(just, NOW).actions


def test_a_revision_is_pruned_only_when_neither_route_nor_service_names_it() -> None:
    intent = Intent(stable=GOOD.revision, router="gatewayAPI", since=NOW - timedelta(minutes=1), attempt=2)
    gone = at_rest(
        GOOD,
        intent=intent,
        snapshots=(a_snapshot(STABLE), a_snapshot(GOOD, 2)),
        workloads=(a_workload(STABLE.revision), a_workload(GOOD.revision)),
        route=a_route(**{GOOD.revision: 100}),
        service_points_at=GOOD.revision,
    )
    assert plan(gone, NOW).actions == (Prune(revision=STABLE.revision),)
    for named in (
        replace(gone, service_points_at=STABLE.revision),
        replace(gone, route=a_route(**{GOOD.revision: 100, STABLE.revision: 0})),
        replace(gone, route=replace(gone.route, accepted=False)),
    ):
        assert not any(isinstance(action, Prune) for action in plan(named, NOW).actions)


def test_old_snapshots_go_beyond_the_history_limit_oldest_first() -> None:
    old = tuple(a_snapshot(a_spec(f"old-{number}"), number) for number in range(10, 16))
    observed = at_rest(snapshots=(a_snapshot(STABLE, 16), *old))
    answer = plan(observed, NOW)
    assert kinds(answer) == ["ForgetSnapshot"]
    assert answer.actions[0].revision == old[0].revision  # type: ignore[union-attr]


def test_the_former_routers_route_goes_at_rest_only() -> None:
    answer = plan(at_rest(idle_route=True), NOW)
    assert answer.actions == (DropRoute(),)
    assert DropRoute() not in plan(a_rollout(10, idle_route=True), NOW).actions


def test_another_router_takes_effect_at_rest_only() -> None:
    other = replace(GOOD, traffic=replace(GOOD.traffic, router=RouterName.REPLICA_RATIO))
    under_way = plan(a_rollout(10, desired=other), NOW)
    assert under_way.intent is None
    rested = at_rest(replace(STABLE, traffic=other.traffic))
    changed = plan(rested, NOW).intent
    assert changed is not None and changed.router == "replicaRatio"


# ------------------------------------------------------------------ the list itself


def test_a_spec_that_does_not_parse_leaves_what_serves_and_names_the_field() -> None:
    invalid = InvalidSpec(key=KEY, uid="uid-1", generation=2, message="spec.rollout.steps[2].weight: 120 is above 100")
    answer = plan(at_rest(desired=invalid), NOW)
    assert (answer.reason, answer.message, answer.actions) == (Reason.INVALID_SPEC, invalid.message, ())


def broken(observed: Observed, *, readable: bool = True) -> Observed:
    """The user has just applied a spec that does not parse."""
    brakes = observed.desired if readable else None
    assert brakes is None or isinstance(brakes, ModelDeployment)
    invalid = InvalidSpec(key=KEY, uid="uid-1", generation=2, message="spec.rollout: wrong", brakes=brakes)
    return replace(observed, desired=invalid)


def test_under_an_invalid_spec_a_candidate_is_still_judged_and_taken_back() -> None:
    waiting = plan(broken(a_rollout(10)), NOW)
    assert waiting.reason is Reason.INVALID_SPEC
    assert [type(action) for action in waiting.actions] == [Measure]
    assert plan(broken(regressed(a_rollout(30))), NOW).reason is Reason.REGRESSED


def test_under_an_invalid_spec_the_hand_brake_moves_the_traffic() -> None:
    pulled = replace(broken(a_rollout(30)), command=f"abort:{GOOD.revision}")
    intent = plan(pulled, NOW).intent
    assert intent is not None and intent.leaving
    after = plan(replace(pulled, intent=intent), NOW)
    assert kinds(after) == ["ShiftTraffic"]


def test_under_an_invalid_spec_nothing_moves_forward_and_no_scale_is_touched() -> None:
    ready = broken(a_rollout(10, target=30))
    assert plan(ready, NOW).intent is None
    assert not any(isinstance(action, ApplyWorkload) for action in plan(ready, NOW).actions)


def test_where_not_even_the_traffic_can_be_read_what_serves_stays() -> None:
    assert plan(broken(regressed(a_rollout(30)), readable=False), NOW).actions == ()


def test_a_paused_comparison_says_that_it_is_paused_and_goes_on_measuring() -> None:
    paused = a_rollout(10, intent={"paused": True, "paused_since": NOW})
    answer = plan(paused, NOW)
    assert answer.reason is Reason.PAUSED
    assert any(isinstance(action, Measure) for action in answer.actions)


def test_what_takes_traffic_back_stands_above_what_waits_and_that_above_what_raises() -> None:
    order = [rule.__name__ for rule in rules.RULES]
    expected = ["take_back_failed", "abort_on_regression", "shift_traffic", "finish_leaving", "raise_weight", "advance"]
    assert [name for name in order if name in expected] == expected
    assert order[0] == "let_go_when_deleting" and order[-1] == "rest"


def test_every_rule_leaves_a_plan_that_commits_or_acts_never_both() -> None:
    for observed in (at_rest(), a_rollout(10), a_rollout(0, target=10), regressed(a_rollout(30)), a_rollout(100)):
        assert isinstance(observed.desired, ModelDeployment)
        view = View(observed, observed.desired, NOW)
        for rule in rules.RULES:
            answer = rule(view)
            assert answer is None or not (answer.intent is not None and answer.actions)


def test_a_poll_is_asked_for_as_soon_as_its_lag_is_over() -> None:
    observed = a_rollout(10)
    known = evidence_of(observed, last_eval=NOW.timestamp() - 2.0)
    answer = plan(replace(observed, evidence=known), NOW)
    assert answer.wake_after == timedelta(seconds=5 - 2 + 0.5)


def test_while_the_first_step_is_prepared_stables_past_is_asked_for_once() -> None:
    pods = (a_workload(STABLE.revision), a_workload(GOOD.revision, ready=0))
    looked = a_rollout(0, target=10, workloads=pods)
    (asked,) = [action for action in plan(replace(looked, evidence=None), NOW).actions if isinstance(action, Measure)]
    assert looked.intent.started_at is not None
    assert (asked.polls, asked.look_back) == ((), looked.intent.started_at.timestamp())
    assert not any(isinstance(action, Measure) for action in plan(looked, NOW).actions)


def test_a_past_that_was_not_asked_for_in_time_is_asked_for_before_the_first_block() -> None:
    """As after a restart before the first checkpoint: the same span gives the same answer."""
    observed = a_rollout(10)
    (asked,) = [action for action in plan(observed, NOW).actions if isinstance(action, Measure)]
    assert asked.polls
    assert asked.look_back is not None
    counted = replace(observed, evidence=evidence_of(observed, block_seq=1))
    (asked,) = [action for action in plan(counted, NOW).actions if isinstance(action, Measure)]
    assert asked.look_back is None


def asked_for(observed: Observed) -> bool:
    return any(isinstance(action, Measure) for action in plan(observed, NOW).actions)


def test_in_the_bake_the_candidates_errors_are_still_counted_but_nothing_is_judged() -> None:
    baking = a_rollout(100)
    assert asked_for(baking)
    answer = plan(baking, NOW)
    assert (answer.reason, answer.judgement) == (Reason.BAKING, None)


def test_an_error_rate_above_the_limit_in_the_bake_takes_the_candidate_back() -> None:
    baking = a_rollout(100)
    fired = GuardrailFired(name="slo", at=NOW.timestamp(), value=5.0)
    answer = plan(replace(baking, evidence=evidence_of(baking, guardrail=fired)), NOW)
    assert answer.reason is Reason.ERROR_RATE_TOO_HIGH
    assert answer.intent is not None and answer.intent.leaving
    assert answer.intent.aborted is not None and answer.intent.aborted.revision == GOOD.revision


def test_a_broken_slo_in_the_bake_takes_the_candidate_back_as_too_slow() -> None:
    baking = a_rollout(100)
    fired = GuardrailFired(name="latencySlo", at=NOW.timestamp(), value=5.0, metric="latency", edge=0.5)
    assert plan(replace(baking, evidence=evidence_of(baking, guardrail=fired)), NOW).reason is Reason.TOO_SLOW


def test_what_a_person_promoted_or_stables_end_is_not_held_against_limits() -> None:
    promoted = a_rollout(100, intent={"promote": True})
    assert not asked_for(promoted)
    fired = GuardrailFired(name="slo", at=NOW.timestamp(), value=5.0)
    assert plan(replace(promoted, evidence=evidence_of(promoted, guardrail=fired)), NOW).reason is Reason.BAKING


def test_without_analysis_nothing_is_asked_for_in_the_bake() -> None:
    spec = a_spec("2", mode=Mode.NONE)
    assert not asked_for(a_rollout(100, intent={"analysis": spec.analysis_text}))


def test_the_lag_is_that_of_the_provider_that_was_frozen_with_the_rollout() -> None:
    frozen = Fragment.of({"poll": "5s", "provider": "mimir"}).text
    observed = a_rollout(10, intent={"analysis": frozen}, lags=(("default", 0.5), ("mimir", 60.0)))
    known = evidence_of(observed, last_eval=NOW.timestamp() - 2.0)
    assert plan(replace(observed, evidence=known), NOW).wake_after == timedelta(seconds=5 - 2 + 60)


def test_a_first_revision_that_is_not_ready_in_time_is_left_until_the_world_changes() -> None:
    begun = NOW - timedelta(minutes=11)
    intent = Intent(candidate=STABLE.revision, target=100, preparing_since=begun, started_at=begun, attempt=1)
    young = a_workload(STABLE.revision, ready=0, replicas=2)
    observed = at_rest(intent=intent, route=RouteSeen(exists=False), service_exists=False, workloads=(young,))
    assert plan(observed, NOW).wake_after is None
    early = replace(observed, intent=replace(intent, preparing_since=NOW))
    assert plan(early, NOW).wake_after == timedelta(minutes=10)


def test_a_candidate_is_looked_at_again_exactly_when_its_time_is_over() -> None:
    made = NOW - timedelta(minutes=10) + timedelta(milliseconds=300)
    quiet = a_workload(GOOD.revision, ready=0, replicas=1, created=made)
    observed = a_rollout(0, target=10, since=timedelta(minutes=10), workloads=(a_workload(STABLE.revision), quiet))
    wake = plan(observed, NOW).wake_after
    assert wake == timedelta(milliseconds=300)
    assert plan(observed, NOW + wake).reason is Reason.NOT_READY_IN_TIME
