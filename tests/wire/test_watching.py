"""The kopf shell, the store and the queue against a server with faults."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from modelrollout import names
from modelrollout.cluster.api import KubernetesApi
from modelrollout.cluster.connection import connect
from modelrollout.cluster.kinds import CONFIG_MAP, HTTP_ROUTE, MODEL_DEPLOYMENT, POD, WATCHED
from modelrollout.cluster.store import WatchStore
from modelrollout.controller.kopf_shell import Hearing, watch
from modelrollout.controller.resync import NewKindError, Resync
from modelrollout.controller.work_queue import Priority
from modelrollout.domain.model_deployment import Key
from tests.fakeapi.documents import a_model_deployment
from tests.fakeapi.server import FakeApi, Fault
from tests.wire.conftest import NAMESPACE, OURS, until

KEY = Key(namespace=NAMESPACE, name="sentiment")


class Watching:
    """A store that is fed, and what was rung."""

    def __init__(self, namespaces: tuple[str, ...] = ()) -> None:
        self.store = WatchStore()
        self.rings: list[tuple[Key, Priority]] = []
        self.requests: list[tuple[str, int]] = []
        self.hearing = Hearing(
            self.store,
            lambda key, priority: self.rings.append((key, priority)),
            namespaces=namespaces,
            monotonic=time.monotonic,
            on_request=lambda verb, code: self.requests.append((verb, code)),
        )
        self.namespaces = namespaces
        self.task: asyncio.Task[None]
        self.resync: Resync

    def rung(self, key: Key = KEY) -> list[Priority]:
        return [priority for each, priority in self.rings if each == key]


@asynccontextmanager
async def watching(api: FakeApi, tmp_path: Path, namespaces: tuple[str, ...] = ()) -> AsyncIterator[Watching]:
    client = await connect(api.kubeconfig(tmp_path / "kubeconfig"))
    seen, stop, ready = Watching(namespaces), asyncio.Event(), asyncio.Event()

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    seen.resync = Resync(
        KubernetesApi(client, seen.store, lambda: False),
        seen.store,
        lambda key, priority: seen.rings.append((key, priority)),
        namespaces=namespaces,
        is_watched=seen.hearing.is_watched,
        period=600,
        jitter=lambda: 0.0,
        sleep=at_once,
    )
    seen.task = asyncio.create_task(
        watch(
            client,
            seen.store,
            lambda key, priority: seen.rings.append((key, priority)),
            seen.hearing,
            namespaces=namespaces,
            stop=stop,
            ready=ready,
        )
    )
    try:
        await until(lambda: not seen.hearing.missing() or seen.task.done())
        yield seen
    finally:
        stop.set()
        await asyncio.wait({seen.task}, timeout=15)
        await client.close()


def a_child(
    name: str = "one", deployment: str = "sentiment", namespace: str = NAMESPACE, **rest: Any
) -> dict[str, Any]:
    labels = {**OURS, names.DEPLOYMENT_LABEL: deployment}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}, **rest}


async def test_the_store_is_whole_when_nothing_is_missing_any_more(api: FakeApi, tmp_path: Path) -> None:
    for number in range(7):
        await api.put(a_model_deployment(f"model-{number}"))
        await api.put(a_child(f"child-{number}", f"model-{number}"))
    async with watching(api, tmp_path) as seen:
        keys = seen.store.keys()
        assert len(keys) == 7
        assert all(len(seen.store.children(key)) == 1 for key in keys)
        await until(lambda: len(set(seen.rings)) == 7)
        assert {priority for _, priority in seen.rings} == {Priority.IDLE}


async def test_what_is_in_a_rollout_is_rung_before_what_rests(api: FakeApi, tmp_path: Path) -> None:
    await api.put({**a_model_deployment(), "status": {"rollout": {"candidate": "bbbbbbbb"}}})
    async with watching(api, tmp_path) as seen:
        await until(seen.rung)
        assert seen.rung() == [Priority.ACTIVE]


async def test_only_our_own_objects_are_asked_for(api: FakeApi, tmp_path: Path) -> None:
    foreign = a_child("foreign")
    foreign["metadata"]["labels"] = {names.DEPLOYMENT_LABEL: "sentiment"}
    await api.put(foreign)
    async with watching(api, tmp_path) as seen:
        assert seen.store.children(KEY) == ()


async def test_an_event_of_a_child_rings_its_deployment_and_an_echo_does_not(api: FakeApi, tmp_path: Path) -> None:
    await api.put(a_model_deployment())
    async with watching(api, tmp_path) as seen:
        await until(seen.rung)
        seen.rings.clear()
        child = await api.put(a_child())
        await until(lambda: seen.rung() == [Priority.ACTIVE])
        seen.rings.clear()
        changed = await api.put({**child, "data": {"a": "1"}})
        seen.store.put(changed)  # what the answer to our own write does
        await api.put(a_child("two"))  # a mark: heard after the echo
        await until(lambda: len(seen.store.children(KEY)) == 2)
        assert len(seen.rung()) <= 2
        await api.remove(CONFIG_MAP, NAMESPACE, "one")
        await until(lambda: len(seen.store.children(KEY)) == 1)


async def test_nothing_is_written_and_at_rest_nothing_is_asked(api: FakeApi, tmp_path: Path) -> None:
    await api.put(a_model_deployment())
    async with watching(api, tmp_path) as seen:
        await until(seen.rung)
        asked = len(api.requests)
        assert sum(request.watch for request in api.requests) == len(WATCHED)
        assert not api.writes()
        await asyncio.sleep(1.5)
        assert len(api.requests) == asked


async def test_a_deletion_that_fell_into_a_relist_is_found_by_the_relist(api: FakeApi, tmp_path: Path) -> None:
    await api.put(a_model_deployment())
    await api.put(a_child())
    async with watching(api, tmp_path) as seen:
        await until(seen.rung)
        seen.rings.clear()
        await api.remove(CONFIG_MAP, NAMESPACE, "one", silently=True)
        await api.forget_history()
        await until(lambda: not seen.store.children(KEY), seconds=15)
        assert Priority.ACTIVE in seen.rung()


async def test_a_deletion_that_no_watch_told_is_found_by_the_resync(api: FakeApi, tmp_path: Path) -> None:
    await api.put(a_model_deployment())
    await api.put(a_child())
    async with watching(api, tmp_path) as seen:
        await until(seen.rung)
        await api.remove(CONFIG_MAP, NAMESPACE, "one", silently=True)
        await api.remove(MODEL_DEPLOYMENT, NAMESPACE, "sentiment", silently=True)
        seen.rings.clear()
        await seen.resync.once()
        assert seen.store.children(KEY) == ()
        assert seen.store.keys() == ()
        assert seen.rung().count(Priority.ACTIVE) == 2


async def test_a_change_that_no_watch_told_is_read_by_the_resync(api: FakeApi, tmp_path: Path) -> None:
    async with watching(api, tmp_path) as seen:
        await api.put(a_model_deployment(), silently=True)
        await api.put(a_child(), silently=True)
        await seen.resync.once()
        assert seen.store.keys() == (KEY,)
        assert len(seen.store.children(KEY)) == 1
        assert Priority.ACTIVE in seen.rung()


async def test_a_resync_rings_every_key_as_idle_and_reads_no_object_whole(api: FakeApi, tmp_path: Path) -> None:
    for number in range(45):
        await api.put(a_model_deployment(f"model-{number}"))
    async with watching(api, tmp_path) as seen:
        await until(lambda: len(seen.rings) >= 45)
        seen.rings.clear()
        before = len(api.requests)
        await seen.resync.once()
        assert len(set(seen.rings)) == 45
        assert {priority for _, priority in seen.rings} == {Priority.IDLE}
        assert len(api.requests) - before == len(WATCHED)


async def test_an_error_event_ends_it_so_that_a_new_process_lists_afresh(api: FakeApi, tmp_path: Path) -> None:
    async with watching(api, tmp_path) as seen:
        await api.inject_error(POD, 500)
        await asyncio.wait({seen.task}, timeout=15)
        assert seen.task.done()
        assert seen.task.exception() is not None


async def test_dropped_connections_cost_nothing(api: FakeApi, tmp_path: Path) -> None:
    async with watching(api, tmp_path) as seen:
        await api.cut_watches()
        await api.put(a_model_deployment())
        await until(lambda: seen.store.keys() == (KEY,), seconds=15)


async def test_too_many_requests_are_waited_out(api: FakeApi, tmp_path: Path) -> None:
    api.faults.append(Fault(matches=lambda r: r.kind == "Pod", status=429, headers={"Retry-After": "1"}, times=2))
    async with watching(api, tmp_path) as seen:
        assert seen.hearing.missing() == ()
        assert ("GET", 429) in seen.requests


async def test_a_watched_namespace_says_nothing_of_the_others(api: FakeApi, tmp_path: Path) -> None:
    for namespace in ("shop", "search", "elsewhere"):
        document = a_model_deployment()
        document["metadata"]["namespace"] = namespace
        await api.put(document)
    async with watching(api, tmp_path, ("shop", "search")) as seen:
        keys = seen.store.keys()
        assert {key.namespace for key in keys} == {"shop", "search"}
        await seen.resync.once()
        assert set(seen.store.keys()) == set(keys)
        assert not any("elsewhere" in request.path for request in api.requests)
        assert not any(request.kind == "Namespace" for request in api.requests)


async def test_a_kind_that_is_not_there_is_not_waited_for_and_makes_a_new_process_when_it_comes(tmp_path: Path) -> None:
    async with FakeApi(without=frozenset({HTTP_ROUTE})) as api, watching(api, tmp_path) as seen:
        assert seen.hearing.missing() == ()
        assert not seen.hearing.is_watched(HTTP_ROUTE)
        await seen.resync.once()
        api.kinds = (*api.kinds, HTTP_ROUTE)
        with pytest.raises(NewKindError, match="HTTPRoute"):
            await seen.resync.once()


async def test_without_our_own_kind_it_never_becomes_ready(tmp_path: Path) -> None:
    async with FakeApi(without=frozenset({MODEL_DEPLOYMENT})) as api:
        client = await connect(api.kubeconfig(tmp_path / "kubeconfig"))
        seen, stop = Watching(), asyncio.Event()
        ring = lambda _key, _priority: None  # noqa: E731
        task = asyncio.create_task(
            watch(client, seen.store, ring, seen.hearing, namespaces=(), stop=stop, ready=asyncio.Event())
        )
        await until(lambda: seen.hearing.missing() == ("modeldeployments",))
        stop.set()
        await task
        await client.close()


async def test_bookmarks_keep_a_silent_watch_young(tmp_path: Path) -> None:
    async with FakeApi(bookmark_every=0.2) as api, watching(api, tmp_path) as seen:
        await asyncio.sleep(1.0)
        assert len(seen.hearing.ages()) == len(WATCHED)
        assert max(seen.hearing.ages().values()) < timedelta(seconds=0.9)
