from dataclasses import replace
from typing import Any

import pytest

from modelrollout.cluster.kinds import AUTOSCALER, CONTROLLER_REVISION, DEPLOYMENT, SERVICE
from modelrollout.controller.carry_out import carry_out
from modelrollout.domain.conditions import Reason
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.model_deployment import InvalidSpec, ModelDeployment
from modelrollout.domain.plan import (
    Action,
    ApplyWorkload,
    Checkpoint,
    ForgetSnapshot,
    Measure,
    Outcome,
    PointService,
    Prune,
    ShiftTraffic,
    SnapshotRevision,
)
from modelrollout.domain.traffic import Routing
from modelrollout.errors import ClusterUnavailable, Refused, RolloutError, StaleView
from tests.builders import NOW
from tests.controller.walking import KEY, World

EVIDENCE = Evidence(stable="a", candidate="b", attempt="1", started_at=0.0, steps=1, planned_parts=1, last_eval=5.0)


class Hand:
    def __init__(self) -> None:
        self.world = World()
        self.api = self.world.api
        self.world.a_model_deployment()

    @property
    def revision(self) -> str:
        desired = self.world.observed().desired
        assert isinstance(desired, ModelDeployment)
        return desired.revision

    @property
    def workload(self) -> str:
        return f"{KEY.name}-{self.revision}"

    async def do(self, *actions: Action) -> tuple[Outcome, ...]:
        observed = self.world.observed()
        return await carry_out(actions, observed, self.api.store.children(KEY), self.world.ports)

    async def changes(self, *actions: Action) -> list[tuple[str, str, str]]:
        before = len(self.api.asked)
        outcomes = await self.do(*actions)
        assert all(outcome.refused is None for outcome in outcomes), outcomes
        asked = self.api.asked[before:]
        assert any(outcome.changed for outcome in outcomes) == bool(asked)
        return asked

    def edit(self, kind: Any, name: str, **changes: Any) -> None:
        self.api.put({**self.api.one(kind, name), **changes})


@pytest.fixture
async def hand() -> Hand:
    hand = Hand()
    await hand.do(SnapshotRevision(revision=hand.revision, number=1))
    return hand


def fixed(hand: Hand, replicas: int) -> ApplyWorkload:
    return ApplyWorkload(revision=hand.revision, min_replicas=replicas, max_replicas=replicas, replicas=replicas)


def scaled(hand: Hand, least: int) -> ApplyWorkload:
    return ApplyWorkload(revision=hand.revision, min_replicas=least, max_replicas=10)


async def test_a_snapshot_is_made_once(hand: Hand) -> None:
    assert await hand.changes(SnapshotRevision(revision=hand.revision, number=7)) == []


async def test_a_snapshot_of_what_the_spec_no_longer_asks_for_is_an_old_view(hand: Hand) -> None:
    with pytest.raises(StaleView):
        await hand.do(SnapshotRevision(revision="zzzzzzzz", number=2))


async def test_a_workload_is_made_whole_and_then_left_alone(hand: Hand) -> None:
    made = await hand.changes(fixed(hand, 3))
    assert [(verb, kind) for verb, kind, _ in made] == [
        ("apply", "Deployment"),
        ("scale", "Deployment"),
        ("apply", "Service"),
        ("apply", "PodDisruptionBudget"),
    ]
    assert await hand.changes(fixed(hand, 3)) == []


async def test_fixed_replicas_are_written_through_scale_only_when_different(hand: Hand) -> None:
    await hand.changes(fixed(hand, 3))
    assert await hand.changes(fixed(hand, 2)) == [("scale", "Deployment", f"{hand.workload}=2")]


async def test_beside_an_autoscaler_replicas_are_not_written(hand: Hand) -> None:
    await hand.changes(scaled(hand, 2))
    deployment = hand.api.one(DEPLOYMENT, hand.workload)
    hand.edit(DEPLOYMENT, hand.workload, spec={**deployment["spec"], "replicas": 7})
    assert await hand.changes(scaled(hand, 2)) == []
    assert await hand.changes(scaled(hand, 9)) == [("apply", "HorizontalPodAutoscaler", hand.workload)]


async def test_an_autoscaler_cannot_raise_from_zero_so_that_is_done_for_it(hand: Hand) -> None:
    await hand.changes(scaled(hand, 2))
    deployment = hand.api.one(DEPLOYMENT, hand.workload)
    hand.edit(DEPLOYMENT, hand.workload, spec={**deployment["spec"], "replicas": 0})
    assert await hand.changes(scaled(hand, 2)) == [("scale", "Deployment", f"{hand.workload}=2")]


async def test_a_new_deployment_begins_at_its_floor(hand: Hand) -> None:
    made = await hand.changes(scaled(hand, 4))
    assert made[:2] == [("apply", "Deployment", hand.workload), ("scale", "Deployment", f"{hand.workload}=4")]


async def test_an_autoscaler_goes_before_replicas_are_fixed(hand: Hand) -> None:
    await hand.changes(scaled(hand, 2))
    asked = await hand.changes(fixed(hand, 5))
    assert asked == [
        ("delete", "HorizontalPodAutoscaler", hand.workload),
        ("scale", "Deployment", f"{hand.workload}=5"),
    ]
    assert hand.api.store.get(AUTOSCALER, KEY.namespace, hand.workload) is None


async def test_a_hand_edit_is_undone(hand: Hand) -> None:
    await hand.changes(fixed(hand, 1))
    service = hand.api.one(SERVICE, hand.workload)
    hand.edit(SERVICE, hand.workload, spec={**service["spec"], "selector": {"app": "theirs"}})
    assert await hand.changes(fixed(hand, 1)) == [("apply", "Service", hand.workload)]


async def test_the_stable_service_is_pointed_once(hand: Hand) -> None:
    point = PointService(revision=hand.revision)
    assert await hand.changes(point) == [("apply", "Service", KEY.name)]
    assert await hand.changes(point) == []


async def test_a_service_that_is_not_ours_is_a_refusal_that_is_told(hand: Hand) -> None:
    foreign = {"name": KEY.name, "namespace": KEY.namespace, "labels": {}}
    hand.api.put({"apiVersion": "v1", "kind": "Service", "metadata": foreign, "spec": {"selector": {}}})
    (outcome,) = await hand.do(PointService(revision=hand.revision))
    assert outcome.refused is Reason.CONFLICT
    assert not outcome.changed


async def test_traffic_goes_through_the_router_of_the_intent(hand: Hand) -> None:
    shift = ShiftTraffic(routing=Routing(stable=hand.revision), at=NOW)
    assert await hand.changes(shift) == [("apply", "Service", KEY.name)]
    assert await hand.changes(shift) == []


async def test_a_checkpoint_is_written_when_there_is_more(hand: Hand) -> None:
    assert await hand.changes(Checkpoint(evidence=EVIDENCE)) == [("apply", "ConfigMap", f"{KEY.name}-evidence")]
    assert await hand.changes(Checkpoint(evidence=EVIDENCE)) == []
    assert len(await hand.changes(Checkpoint(evidence=replace(EVIDENCE, last_eval=6.0)))) == 1


async def test_a_measurement_is_begun_and_not_waited_for(hand: Hand) -> None:
    measure = Measure(evidence=EVIDENCE, polls=(5.0,))
    assert await hand.changes(measure) == []
    assert hand.world.measurements.started == [measure]


async def test_pruning_takes_all_of_a_revision_but_its_snapshot_the_autoscaler_first(hand: Hand) -> None:
    await hand.changes(scaled(hand, 2))
    asked = await hand.changes(Prune(revision=hand.revision))
    assert [kind for _, kind, _ in asked] == ["HorizontalPodAutoscaler", "PodDisruptionBudget", "Deployment", "Service"]
    assert hand.api.one(CONTROLLER_REVISION, hand.workload)
    assert await hand.changes(Prune(revision=hand.revision)) == []


async def test_a_snapshot_is_forgotten(hand: Hand) -> None:
    assert await hand.changes(ForgetSnapshot(revision=hand.revision)) == [
        ("delete", "ControllerRevision", hand.workload)
    ]


async def test_it_stops_at_the_first_refusal(hand: Hand) -> None:
    def refuse(verb: str, kind: str, name: str) -> RolloutError | None:
        return Refused("quota", retry_after=None) if kind == "Deployment" else None

    hand.api.refuse = refuse
    outcomes = await hand.do(fixed(hand, 1), PointService(revision=hand.revision))
    assert [outcome.refused for outcome in outcomes] == [Reason.REFUSED]
    assert outcomes[0].message == "quota"
    assert hand.api.store.get(SERVICE, KEY.namespace, KEY.name) is None


@pytest.mark.parametrize("error", [StaleView("moved on"), ClusterUnavailable("down")])
async def test_an_old_view_and_a_silent_server_end_the_walk(hand: Hand, error: RolloutError) -> None:
    hand.api.refuse = lambda *_: error
    with pytest.raises(type(error)):
        await hand.do(fixed(hand, 1))


async def test_what_is_being_deleted_is_waited_for(hand: Hand) -> None:
    await hand.changes(fixed(hand, 1))
    service = hand.api.one(SERVICE, hand.workload)
    going = {**service["metadata"], "deletionTimestamp": "2026-11-22T03:00:00Z"}
    hand.edit(SERVICE, hand.workload, metadata=going)
    (outcome,) = await hand.do(fixed(hand, 1))
    assert outcome.refused is Reason.REFUSED
    assert outcome.retry_after is not None


async def test_without_a_valid_spec_nothing_is_rendered(hand: Hand) -> None:
    observed = hand.world.observed()
    invalid = InvalidSpec(key=KEY, uid=observed.uid, generation=2, message="spec.x: no")
    (outcome,) = await carry_out((fixed(hand, 1),), replace(observed, desired=invalid), (), hand.world.ports)
    assert (outcome.refused, outcome.message) == (Reason.INVALID_SPEC, "spec.x: no")
