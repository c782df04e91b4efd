"""What every router owes the controller, asked of each."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modelrollout import names
from modelrollout.cluster.kinds import HTTP_ROUTE, SERVICE, Kind
from modelrollout.controller.ports import TrafficRouter
from modelrollout.domain.traffic import RouteSeen, Routing, TrafficSplit
from modelrollout.errors import ConflictError, RolloutError, RouterUnavailable, StaleView
from modelrollout.render.templates import Templates
from modelrollout.routers.gateway_api import GatewayApiRouter
from modelrollout.routers.replica_ratio import ReplicaRatioRouter
from tests.builders import KEY, NOW, STABLE
from tests.fakeapi.memory import MemoryApi

OLD, NEW = "bbbbbbbb", "cccccccc"
UID = "uid-1"
ALONE = Routing(stable=OLD)
SPLIT = Routing(stable=OLD, candidate=NEW, split=TrafficSplit(stable=75, candidate=25))
ALL_NEW = Routing(stable=OLD, candidate=NEW, split=TrafficSplit(stable=0, candidate=100))
TEMPLATES = Templates.load()


class Bench:
    """A router with the object it writes."""

    def __init__(self, router: TrafficRouter, api: MemoryApi, kind: Kind) -> None:
        self.router, self.api, self.kind = router, api, kind

    def read(self) -> RouteSeen:
        return self.router.read(KEY, self.api.store.children(KEY))

    async def write(self, routing: Routing, seen: RouteSeen | None = None, *, at: Any = NOW, port: int = 80) -> bool:
        deployment = replace(STABLE, traffic=replace(STABLE.traffic, port=port))
        return await self.router.write(deployment, UID, routing, self.read() if seen is None else seen, at)

    def edit(self, **spec: Any) -> None:
        live = self.api.one(self.kind, KEY.name)
        self.api.put({**live, "spec": {**live["spec"], **spec}})


@pytest.fixture(params=["gatewayAPI", "replicaRatio"])
def bench(request: pytest.FixtureRequest) -> Bench:
    api = MemoryApi()
    if request.param == "gatewayAPI":
        return Bench(GatewayApiRouter(api, TEMPLATES, api.store.children), api, HTTP_ROUTE)
    return Bench(ReplicaRatioRouter(api, TEMPLATES, api.store.children), api, SERVICE)


def test_nothing_there_is_seen_as_nothing(bench: Bench) -> None:
    assert bench.read() == RouteSeen(exists=False)


@pytest.mark.parametrize("routing", [ALONE, SPLIT, ALL_NEW])
async def test_what_was_written_is_read_back(bench: Bench, routing: Routing) -> None:
    assert await bench.write(routing)
    seen = bench.read()
    assert seen.carries(routing)
    assert not seen.foreign
    assert seen.shifted_at == NOW
    assert seen.resource_version == bench.api.one(bench.kind, KEY.name)["metadata"]["resourceVersion"]


async def test_a_weight_goes_up_and_back_in_one_write_each(bench: Bench) -> None:
    for routing in (ALONE, SPLIT, ALL_NEW, SPLIT, ALONE):
        before = len(bench.api.asked)
        assert await bench.write(routing)
        assert bench.read().carries(routing)
        assert len(bench.api.asked) == before + 1


async def test_what_is_so_already_is_not_written(bench: Bench) -> None:
    await bench.write(SPLIT)
    before = list(bench.api.asked)
    assert not await bench.write(SPLIT, at=NOW + timedelta(minutes=1))
    assert bench.api.asked == before


async def test_another_field_is_written_without_moving_the_time_of_the_shift(bench: Bench) -> None:
    await bench.write(SPLIT)
    assert await bench.write(SPLIT, at=NOW + timedelta(minutes=1), port=8000)
    assert bench.read().shifted_at == NOW
    assert bench.read().carries(SPLIT)


async def test_a_write_on_an_old_view_is_refused(bench: Bench) -> None:
    await bench.write(ALONE)
    old = bench.read()
    await bench.write(SPLIT)
    with pytest.raises(StaleView):
        await bench.write(ALL_NEW, old)
    assert bench.read().carries(SPLIT)


async def test_a_first_write_on_an_old_view_is_refused(bench: Bench) -> None:
    nothing = bench.read()
    await bench.write(SPLIT)
    with pytest.raises(StaleView):
        await bench.write(ALONE, nothing)


async def test_what_is_not_ours_is_seen_as_foreign_and_left_alone(bench: Bench) -> None:
    labels = {names.DEPLOYMENT_LABEL: KEY.name}
    metadata = {"name": KEY.name, "namespace": KEY.namespace, "labels": labels}
    bench.api.put(
        {"apiVersion": bench.kind.api_version, "kind": bench.kind.kind, "metadata": metadata, "spec": {"x": 1}}
    )
    seen = bench.read()
    assert seen.foreign
    assert not seen.accepted
    with pytest.raises(ConflictError):
        await bench.write(ALONE)
    assert bench.api.one(bench.kind, KEY.name)["spec"] == {"x": 1}


async def test_a_hand_edit_is_seen_and_undone(bench: Bench) -> None:
    await bench.write(SPLIT)
    if bench.kind is HTTP_ROUTE:
        rules = bench.api.one(HTTP_ROUTE, KEY.name)["spec"]["rules"]
        bench.edit(rules=[{**rules[0], "backendRefs": [{**rules[0]["backendRefs"][1], "weight": 1}]}])
    else:
        bench.edit(selector={names.DEPLOYMENT_LABEL: KEY.name, names.REVISION_LABEL: NEW})
    assert bench.read().weight_of(NEW) == 100
    assert not bench.read().carries(SPLIT)
    assert await bench.write(SPLIT)
    assert bench.read().carries(SPLIT)


async def test_a_refusal_is_passed_on(bench: Bench) -> None:
    bench.api.refuse = lambda *_: RouterUnavailable("no")
    with pytest.raises(RolloutError):
        await bench.write(ALONE)


async def test_a_broken_time_of_the_shift_is_none(bench: Bench) -> None:
    await bench.write(ALONE)
    live = bench.api.one(bench.kind, KEY.name)
    annotations = {**live["metadata"]["annotations"], names.SHIFTED_ANNOTATION: "yesterday"}
    bench.api.put({**live, "metadata": {**live["metadata"], "annotations": annotations}})
    assert bench.read().shifted_at is None
