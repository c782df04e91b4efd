from datetime import UTC, datetime, timedelta

import pytest

from modelrollout.cluster.kinds import CONTROLLER_REVISION, DEPLOYMENT, MODEL_DEPLOYMENT
from modelrollout.controller.evidence_store import LONGEST_MEASUREMENT
from modelrollout.controller.reconcile import AT_ONCE, reconcile, wake_after
from modelrollout.domain.conditions import Reason
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.plan import Measure, Outcome, Plan, Prune
from modelrollout.errors import ClusterUnavailable, RolloutError, StaleView
from tests.controller.walking import KEY, World

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


async def walk_to_rest(world: World, most: int = 30) -> int:
    for number in range(most):
        if await reconcile(KEY, world.ports, NOW) != AT_ONCE:
            return number
    raise AssertionError("it never comes to rest")


async def test_what_is_gone_is_forgotten() -> None:
    world = World()
    assert await reconcile(KEY, world.ports, NOW) is None
    assert world.forgotten == [KEY]


async def test_each_walk_commits_or_acts_and_the_next_follows_at_once() -> None:
    world = World()
    world.a_model_deployment()
    await walk_to_rest(world)
    verbs = [(verb, kind) for verb, kind, _ in world.api.asked]
    assert verbs.index(("status", "ModelDeployment")) < verbs.index(("apply", "Deployment"))
    assert len(list(world.api.store.of_kind(CONTROLLER_REVISION))) == 1
    assert len(list(world.api.store.of_kind(DEPLOYMENT))) == 1


async def test_a_walk_at_rest_writes_nothing() -> None:
    world = World()
    world.a_model_deployment()
    await walk_to_rest(world)
    asked = list(world.api.asked)
    for _ in range(3):
        await reconcile(KEY, world.ports, NOW)
    assert world.api.asked == asked


async def test_changes_are_told_as_events_and_metrics() -> None:
    world = World()
    world.a_model_deployment()
    await walk_to_rest(world)
    assert world.api.events
    labels = {"namespace": KEY.namespace, "name": KEY.name, "phase": "Deploying"}
    assert world.telemetry.registry.get_sample_value("modelrollout_phase", labels) == 1.0


async def test_a_status_that_cannot_be_heals_and_moves_nothing() -> None:
    world = World()
    world.a_model_deployment()
    await walk_to_rest(world)
    intent = world.observed().intent
    revision = intent.stable or intent.candidate
    live = world.api.one(MODEL_DEPLOYMENT, KEY.name)
    broken = {**live["status"]["rollout"], "stable": revision, "candidate": revision, "weight": 60}
    world.api.put({**live, "status": {**live["status"], "rollout": broken}})
    before = len(world.api.asked)
    await reconcile(KEY, world.ports, NOW)
    assert [verb for verb, _, _ in world.api.asked[before:]] == ["status"]
    assert ("Adopted", True) in world.api.events
    await walk_to_rest(world)
    assert not world.observed().adopted


async def test_an_old_view_ends_the_walk_without_a_report() -> None:
    world = World()
    world.a_model_deployment()

    def stale(verb: str, kind: str, name: str) -> RolloutError | None:
        return StaleView("moved on") if verb == "apply" else None

    world.api.refuse = stale
    with pytest.raises(StaleView):
        await walk_to_rest(world)
    last = next(number for number, each in enumerate(world.api.asked) if each[0] == "apply")
    assert len(world.api.asked) == last + 1, "nothing is written after it, no status either"


async def test_an_api_server_that_is_down_ends_the_walk() -> None:
    world = World()
    world.a_model_deployment()
    world.api.refuse = lambda *_: ClusterUnavailable("down")
    with pytest.raises(ClusterUnavailable):
        await reconcile(KEY, world.ports, NOW)


async def test_a_deleted_child_is_made_again_and_an_edited_one_is_put_right() -> None:
    world = World()
    world.a_model_deployment()
    await walk_to_rest(world)
    live = next(iter(world.api.store.of_kind(DEPLOYMENT)))
    edited = {**live, "spec": {**live["spec"], "minReadySeconds": 99}}
    world.api.put(edited)
    await walk_to_rest(world)
    assert world.api.one(DEPLOYMENT, live["metadata"]["name"])["spec"]["minReadySeconds"] == 1
    world.api.store.drop(world.api.one(DEPLOYMENT, live["metadata"]["name"]))
    await walk_to_rest(world)
    assert world.api.one(DEPLOYMENT, live["metadata"]["name"])


async def test_an_object_being_deleted_is_left_alone() -> None:
    world = World()
    world.a_model_deployment()
    live = world.api.one(MODEL_DEPLOYMENT, KEY.name)
    world.api.put({**live, "metadata": {**live["metadata"], "deletionTimestamp": "2026-11-22T03:00:00Z"}})
    asked = list(world.api.asked)
    await reconcile(KEY, world.ports, NOW)
    assert [each for each in world.api.asked[len(asked) :] if each[0] != "status"] == []


def a_plan(wake: timedelta | None) -> Plan:
    return Plan(reason=Reason.STABLE, message="", wake_after=wake)


def test_what_was_written_is_looked_at_at_once() -> None:
    action = Prune(revision="x")
    assert wake_after(a_plan(None), (Outcome(action=action, changed=True),)) == AT_ONCE
    assert wake_after(a_plan(None), (Outcome(action=action),)) is None


def test_a_refusal_is_tried_again_when_it_says_and_not_at_once() -> None:
    refused = Outcome(action=Prune(revision="x"), refused=Reason.CONFLICT, retry_after=timedelta(minutes=5))
    assert wake_after(a_plan(AT_ONCE), (refused,)) == timedelta(minutes=5)


def test_a_measurement_under_way_rings_itself() -> None:
    evidence = Evidence(stable="a", candidate="b", attempt="1", started_at=0.0, steps=1, planned_parts=1)
    measured = Outcome(action=Measure(evidence=evidence, polls=(1.0,)))
    assert wake_after(a_plan(AT_ONCE), (measured,)) == LONGEST_MEASUREMENT
