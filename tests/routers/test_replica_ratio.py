from typing import Any

from modelrollout import names
from modelrollout.cluster.kinds import SERVICE
from modelrollout.domain.traffic import RouteSeen, Routing, TrafficSplit
from modelrollout.render.templates import Templates
from modelrollout.routers.ours import per_cent
from modelrollout.routers.replica_ratio import ReplicaRatioRouter
from tests.builders import KEY, NOW, STABLE
from tests.fakeapi.memory import MemoryApi

OLD, NEW = "bbbbbbbb", "cccccccc"
ALONE = Routing(stable=OLD)
SPLIT = Routing(stable=OLD, candidate=NEW, split=TrafficSplit(stable=75, candidate=25))
TEMPLATES = Templates.load()
LABELS = {"app.kubernetes.io/managed-by": names.FIELD_MANAGER, names.DEPLOYMENT_LABEL: KEY.name}


class Cluster:
    def __init__(self) -> None:
        self.api = MemoryApi()
        self.router = ReplicaRatioRouter(self.api, TEMPLATES, self.api.store.children)

    async def write(self, routing: Routing) -> None:
        await self.router.write(STABLE, "uid-1", routing, self.read(), NOW)

    def read(self) -> RouteSeen:
        return self.router.read(KEY, self.api.store.children(KEY))

    def pods(self, revision: str, count: int, *, ready: bool = True) -> list[str]:
        pods = [f"{KEY.name}-{revision}-{index}" for index in range(count)]
        for pod in pods:
            labels = {**LABELS, names.REVISION_LABEL: revision}
            status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
            metadata = {"name": pod, "namespace": KEY.namespace, "labels": labels}
            self.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status})
        return pods

    def endpoints(self, *pods: str, ready: bool = True, service: str = KEY.name) -> None:
        endpoints: list[dict[str, Any]] = [
            {"targetRef": {"kind": "Pod", "name": pod}, "conditions": {"ready": ready}} for pod in pods
        ]
        labels = {**LABELS, "kubernetes.io/service-name": service}
        metadata = {"name": f"{service}-abc", "namespace": KEY.namespace, "labels": labels}
        kind = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice"}
        self.api.put({**kind, "metadata": metadata, "endpoints": endpoints})


async def test_the_selector_is_closed_open_or_turned() -> None:
    cluster = Cluster()
    selectors = []
    for stable, candidate in ((100, 0), (75, 25), (0, 100)):
        await cluster.write(Routing(stable=OLD, candidate=NEW, split=TrafficSplit(stable=stable, candidate=candidate)))
        selectors.append(cluster.api.one(SERVICE, KEY.name)["spec"]["selector"].get(names.REVISION_LABEL))
    assert selectors == [OLD, None, NEW]


async def test_the_share_is_what_the_ready_endpoints_make_it() -> None:
    cluster = Cluster()
    await cluster.write(SPLIT)
    pods = [*cluster.pods(OLD, 2), *cluster.pods(NEW, 1)]
    cluster.endpoints(*pods)
    seen = cluster.read()
    assert seen.weights == ((OLD, 75), (NEW, 25))
    assert seen.share == ((OLD, 67), (NEW, 33))
    assert seen.accepted


async def test_an_opened_selector_counts_once_the_candidates_endpoints_are_there() -> None:
    cluster = Cluster()
    await cluster.write(SPLIT)
    old, _ = cluster.pods(OLD, 1), cluster.pods(NEW, 1)
    cluster.endpoints(*old)
    assert not cluster.read().accepted


async def test_a_closed_selector_counts_once_the_candidates_endpoints_are_gone() -> None:
    cluster = Cluster()
    await cluster.write(ALONE)
    old, new = cluster.pods(OLD, 1), cluster.pods(NEW, 1)
    cluster.endpoints(*old, *new)
    assert not cluster.read().accepted
    cluster.endpoints(*old)
    assert cluster.read().accepted


async def test_endpoints_of_the_revisions_own_service_are_none_of_the_stable_address() -> None:
    cluster = Cluster()
    await cluster.write(ALONE)
    cluster.endpoints(*cluster.pods(NEW, 1), service=f"{KEY.name}-{NEW}")
    assert cluster.read().share == ()


async def test_endpoints_that_are_not_ready_take_nothing() -> None:
    cluster = Cluster()
    await cluster.write(ALONE)
    cluster.endpoints(*cluster.pods(OLD, 2), ready=False)
    assert cluster.read().share == ()


async def test_an_annotation_that_says_otherwise_than_the_selector_is_not_believed() -> None:
    cluster = Cluster()
    await cluster.write(ALONE)
    live = cluster.api.one(SERVICE, KEY.name)
    for text in ('{"cccccccc":100}', '{"bbbbbbbb":50,"cccccccc":50}', "nonsense", "[1]", '{"bbbbbbbb":"all"}'):
        annotations = {**live["metadata"]["annotations"], names.WEIGHTS_ANNOTATION: text}
        cluster.api.put({**live, "metadata": {**live["metadata"], "annotations": annotations}})
        assert cluster.read().weights == ((OLD, 100),)


async def test_an_open_selector_without_weights_is_nobodys_routing() -> None:
    cluster = Cluster()
    await cluster.write(SPLIT)
    live = cluster.api.one(SERVICE, KEY.name)
    cluster.api.put({**live, "metadata": {**live["metadata"], "annotations": {}}})
    assert cluster.read().weights == ()
    assert not cluster.read().accepted


def test_shares_add_up_to_a_hundred() -> None:
    assert per_cent({"a": 1, "b": 1, "c": 1}) == (("a", 34), ("b", 33), ("c", 33))
    assert per_cent({}) == ()
