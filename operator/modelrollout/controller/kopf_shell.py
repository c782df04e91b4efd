"""kopf, as watcher and runtime only: its watches fill the store and ring keys. The only importer of kopf.

With `on.event` handlers alone kopf writes nothing, so every replica runs this and is warm. Three things it does not
tell are taken from its own requests, which all pass through our session: what was deleted across a relist, when the
first lists are complete, and that a watch is still alive (bookmarks).
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import kopf
from aiohttp import ClientHandlerType
from kubernetes.aio.client import ApiClient

from modelrollout.cluster.kinds import MODEL_DEPLOYMENT, WATCHED, Kind, Live
from modelrollout.cluster.store import WatchStore, owner_key, uid_of
from modelrollout.controller.work_queue import Priority, Ring
from modelrollout.settings import LogFormat

PAGE = 500
"""Objects per page of a first list: a flat memory peak."""
SILENCE = 70.0
"""Seconds without an event or bookmark after which a watch is taken for dead and opened again. The API server sends
a bookmark each minute."""
LONGEST_END = 5.0
"""Seconds that kopf's tasks are given to end."""
ROUNDS = 50

_KOPF = Path(kopf.__file__).parent


class Hearing:
    """What kopf's requests tell: which kinds are served, listed and watched, and when each was last heard."""

    def __init__(
        self,
        store: WatchStore,
        ring: Ring,
        *,
        namespaces: Collection[str],
        monotonic: Callable[[], float],
        on_request: Callable[[str, int], None],
    ) -> None:
        self._store = store
        self._ring = ring
        self._scopes: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._monotonic = monotonic
        self.on_request = on_request
        self._served: set[Kind] = set()
        self._watching: set[tuple[Kind, str | None]] = set()
        self._lists: dict[tuple[Kind, str | None], set[str]] = {}
        self._heard_at: dict[tuple[Kind, str | None], float] = {}
        self._paths = {kind.path(scope): (kind, scope) for kind in WATCHED for scope in self._scopes}
        self._groups: dict[str, list[Kind]] = {}
        for kind in WATCHED:
            self._groups.setdefault(f"/{'apis' if kind.group else 'api'}/{kind.api_version}", []).append(kind)

    def missing(self) -> tuple[str, ...]:
        """Kinds whose first list is not complete yet; empty once the store is the whole truth."""
        needed = {kind for kind in WATCHED if not kind.optional or kind in self._served}
        wanted = {(kind, scope) for kind in needed for scope in self._scopes}
        return tuple(sorted({kind.plural for kind, _ in wanted - self._watching}))

    def is_watched(self, kind: Kind) -> bool:
        return any((kind, scope) in self._watching for scope in self._scopes)

    def ages(self) -> Mapping[str, timedelta]:
        """By kind, how long ago its most silent watch was heard; empty before the first."""
        now = self._monotonic()
        ages: dict[str, timedelta] = {}
        for (kind, _), heard_at in self._heard_at.items():
            age = timedelta(seconds=now - heard_at)
            ages[kind.plural] = max(age, ages.get(kind.plural, age))
        return ages

    async def notice(self, request: aiohttp.ClientRequest, response: aiohttp.ClientResponse) -> None:
        """A request of kopf's was answered."""
        path = request.url.path
        if response.status != 200 or request.method != "GET":
            return
        if path in self._groups:
            document = json.loads(await response.read())
            plurals = {each["name"] for each in document.get("resources") or ()}
            self._served |= {kind for kind in self._groups[path] if kind.plural in plurals}
        elif path in self._paths:
            kind, scope = self._paths[path]
            self._heard(kind, scope)
            if "watch" in request.url.query:
                self._watching.add((kind, scope))  # kopf watches only what it has listed to the end
                response.content = _Overheard(response.content, lambda: self._heard(kind, scope))  # type: ignore[assignment]
            else:
                self._listed(kind, scope, json.loads(await response.read()))

    def _heard(self, kind: Kind, scope: str | None) -> None:
        self._heard_at[kind, scope] = self._monotonic()

    def _listed(self, kind: Kind, scope: str | None, page: Mapping[str, Any]) -> None:
        """A page of a first list, or of one after `410 Gone`: what a whole list lacks is gone."""
        seen = self._lists.setdefault((kind, scope), set())
        for item in page.get("items") or ():
            seen.add(uid_of(item))
            self._store.put({**item, "apiVersion": kind.api_version, "kind": kind.kind})
        if page["metadata"].get("continue"):
            return
        del self._lists[kind, scope]
        if scope is not None:  # a list of one namespace says nothing of the others
            seen |= {uid_of(live) for live in self._store.of_kind(kind) if live["metadata"]["namespace"] != scope}
        for gone in self._store.forget_absent(kind, seen, as_of=page["metadata"]["resourceVersion"]):
            key = owner_key(gone)
            if key is not None:
                self._ring(key, Priority.ACTIVE)


class _Overheard:
    """A watch's stream that tells of each piece; everything else is the stream's own."""

    def __init__(self, stream: aiohttp.StreamReader, heard: Callable[[], None]) -> None:
        self._stream = stream
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for piece in self._stream.iter_chunked(size):
            self._heard()
            yield piece


async def watch(
    client: ApiClient,
    store: WatchStore,
    ring: Ring,
    hearing: Hearing,
    *,
    namespaces: Collection[str],
    stop: asyncio.Event,
    ready: asyncio.Event,
) -> None:
    """Run kopf until `stop`. Raises where a watch fails for good: crash-only, the next process lists afresh.

    Not `kopf.operator`: when a watch fails that one waits for its other watches, which wait for credentials that it
    has closed already, for ever; and at its end it cancels every task of the loop, ours as well.
    """
    tasks = await kopf.spawn_tasks(
        registry=_registry(client, store, ring, hearing),
        settings=_settings(),
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        ready_flag=ready,
        standalone=True,
        # kopf would ask for the user's name, and a container's user has none; its type is private to kopf.
        identity="modelrollout",  # type: ignore[arg-type]
    )
    stopped = asyncio.create_task(stop.wait(), name="kopf's stop")
    try:
        ended, _ = await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stopped not in ended:
            for task in ended:
                await task  # raises what it failed with
            raise RuntimeError("kopf ended by itself")
    finally:
        stopped.cancel()
        await _end_kopf()


async def _end_kopf() -> None:
    """Cancel kopf's tasks until none is left: where a watch swallows a cancellation, it takes another."""
    for _ in range(ROUNDS):
        left = [task for task in asyncio.all_tasks() if _is_kopfs(task)]
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=LONGEST_END / ROUNDS)


def _is_kopfs(task: "asyncio.Task[Any]") -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and Path(code.co_filename).is_relative_to(_KOPF)


def _registry(client: ApiClient, store: WatchStore, ring: Ring, hearing: Hearing) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, retries=1)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=client.configuration.host, aiohttp_session=_session(client, hearing))

    async def heard(event: kopf.RawEvent, **_: Any) -> None:
        """Its content is thrown away but for the store: level, not edge."""
        live: Live = event["object"]
        key = owner_key(live)
        # The echo of our own write is no news: the store has its answer.
        news = store.drop(live) if event["type"] == "DELETED" else store.put(live)
        if key is None:
            return
        if event["type"] is None and live["kind"] == MODEL_DEPLOYMENT.kind:
            ring(key, Priority.ACTIVE if _in_rollout(live) else Priority.IDLE)
        elif news:
            ring(key, Priority.ACTIVE)

    for kind in WATCHED:
        kopf.on.event(group=kind.group, version=kind.version, plural=kind.plural, registry=registry)(heard)
    return registry


def _in_rollout(live: Live) -> bool:
    """Whether it should not wait behind thousands at rest when a new leader begins."""
    status = live.get("status") or {}
    return bool((status.get("rollout") or {}).get("candidate"))


def _session(client: ApiClient, hearing: Hearing) -> aiohttp.ClientSession:
    """A connection of kopf's own, with the credentials of the one client; a token is read again as it does."""

    async def attend(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        headers: dict[str, str] = {}
        await client.update_params_for_auth(headers, [], ["BearerToken"], request.url.path, request.method, None)
        request.headers.update(headers)
        code = 0
        try:
            response = await handler(request)
            code = response.status
        finally:
            hearing.on_request(request.method, code)
        await hearing.notice(request, response)
        return response

    connector = aiohttp.TCPConnector(limit=0, ssl=client.rest_client.ssl_context)
    return aiohttp.ClientSession(
        connector=connector, headers={"User-Agent": client.user_agent}, trust_env=True, middlewares=(attend,)
    )


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # else it lists and watches every CRD of the cluster
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.queueing.idle_timeout = 0.1  # a task per object lives that long after its last event
    settings.queueing.exit_timeout = 1
    settings.watching.chunk_size = PAGE
    settings.watching.inactivity_timeout = SILENCE
    settings.watching.server_timeout = 290  # a whole number: the API server takes no other
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 10
    settings.watching.reconnect_backoff = 1
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    for kind in WATCHED:
        if kind.label_selector is not None:
            settings.watching.label_selectors[_is(kind)] = kind.label_selector
    return settings


def _is(kind: Kind) -> Callable[[Any], bool]:
    return lambda resource: resource.group == kind.group and resource.plural == kind.plural


# ruff: noqa: ARG002 -- the interface is kopf's
class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing: no annotation by accident, no copy of each body."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: Any) -> None:
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """Keeps nothing: there are no handlers with progress."""

    def fetch(self, *, key: Any, body: Any) -> None:
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        return None

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        return None

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


def configure_logging(log_format: LogFormat) -> None:
    """One line per message, on standard error; JSON carries `extra` as fields."""
    chosen = kopf.LogFormat.JSON if log_format is LogFormat.JSON else kopf.LogFormat.FULL
    kopf.configure(log_format=chosen, log_refkey="object")
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # else a line for each event
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
