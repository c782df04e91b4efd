"""An API server in this process, for what a real one cannot be made to show: faults, on demand.

Has: uid, resourceVersion, generation, create, get, paged and metadata-only lists by label, merge patch, a simplified
server-side apply (a manager's fields, lists whole), /status, /scale, preconditions, watches with bookmarks, Leases.
Has not: admission, defaulting, schemas, garbage collection, controllers. What needs those runs on a real one.
"""

import asyncio
import copy
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from modelrollout.cluster.kinds import KINDS, Kind

Document = dict[str, Any]
Place = tuple[Kind, str, str]

_SCOPES = "/namespaces/"
_ALWAYS_THERE = [
    ("v1", "namespaces", "Namespace"),
    ("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition"),
]
"""kopf waits for them in discovery, though it is told not to scan."""
_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked, as tests look at it. `kind` None: discovery."""

    method: str
    path: str
    kind: str | None
    watch: bool
    subresource: str | None = None

    @property
    def writes(self) -> bool:
        return self.method != "GET"


@dataclass(kw_only=True)
class Fault:
    """What happens to the next `times` requests that it matches, before or after they took effect."""

    matches: Callable[[Request], bool]
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    delay: float = 0.0
    drop: bool = False
    """Cut the connection instead of answering."""
    after_effect: bool = False
    """The write takes effect; only its answer is lost."""


@dataclass(frozen=True)
class _Event:
    version: int
    kind: Kind
    type: str
    document: Document


class _Refused(Exception):  # noqa: N818 -- an answer, not a failure of the server
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


class FakeApi:
    """Start with `async with FakeApi() as api`; `api.kubeconfig(path)` tells clients where it is."""

    def __init__(self, *, without: frozenset[Kind] = frozenset(), bookmark_every: float = 60.0) -> None:
        self.kinds = tuple(kind for kind in KINDS if kind not in without)
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.port = 0
        self._bookmark_every = bookmark_every
        self._objects: dict[Place, Document] = {}
        self._applied: dict[tuple[Place, str], Document] = {}
        self._events: list[_Event] = []
        self._oldest = 0
        self._version = 100
        self._uids = itertools.count(1)
        self._news = asyncio.Condition()
        self._streams: set[asyncio.Task[Any]] = set()
        self._injected: list[tuple[Kind, Document]] = []
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=8 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut_watches()
        assert self._runner is not None
        await self._runner.cleanup()

    def kubeconfig(self, path: Path) -> Path:
        server = {"name": "fake", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}
        context = {"name": "fake", "context": {"cluster": "fake", "user": "fake"}}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [server],
            "contexts": [context],
            "users": [{"name": "fake", "user": {"token": "secret"}}],
        }
        path.write_text(json.dumps(document))
        return path

    # ── what tests do to it ──

    def get(self, kind: Kind, namespace: str, name: str) -> Document | None:
        found = self._objects.get((kind, namespace, name))
        return None if found is None else copy.deepcopy(found)

    def all(self, kind: Kind) -> list[Document]:
        return [copy.deepcopy(document) for (each, _, _), document in self._objects.items() if each is kind]

    async def put(self, document: Mapping[str, Any], *, silently: bool = False) -> Document:
        """Create or replace, as another client would. Silently: no watch ever hears of it."""
        kind = next(k for k in KINDS if (k.api_version, k.kind) == (document["apiVersion"], document["kind"]))
        metadata = document["metadata"]
        place = (kind, metadata["namespace"], metadata["name"])
        return await self._store(place, copy.deepcopy(dict(document)), silently=silently)

    async def remove(self, kind: Kind, namespace: str, name: str, *, silently: bool = False) -> None:
        await self._delete((kind, namespace, name), silently=silently)

    async def forget_history(self) -> None:
        """Every watch is cut, and resuming is answered with 410 Gone."""
        self._version += 1
        self._oldest = self._version
        self._events.clear()
        await self.cut_watches()

    async def cut_watches(self) -> None:
        """Drop the connection of every watch."""
        streams = list(self._streams)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)

    async def inject_error(self, kind: Kind, code: int) -> None:
        """Send an ERROR event on the watches of this kind."""
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "injected"}
        async with self._news:
            self._injected.append((kind, status))
            self._news.notify_all()

    def writes(self, *, but: frozenset[str] = frozenset({"Lease"})) -> list[Request]:
        return [request for request in self.requests if request.writes and request.kind not in but]

    # ── requests ──

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        place, subresource = self._place(request.path)
        asked = Request(
            method=request.method,
            path=request.path,
            kind=None if place is None else place[0].kind,
            watch="watch" in request.query,
            subresource=subresource,
        )
        self.requests.append(asked)
        fault = next((each for each in self.faults if each.times > 0 and each.matches(asked)), None)
        if fault is not None:
            fault.times -= 1
            if fault.delay:
                await asyncio.sleep(fault.delay)
            if not fault.after_effect:
                return self._failed(request, fault)
        try:
            answer = await self._answer(request, place, subresource)
        except _Refused as refused:
            answer = _status(refused.status, refused.reason, refused.message)
        return self._failed(request, fault) if fault is not None else answer

    def _failed(self, request: web.Request, fault: Fault) -> web.Response:
        if fault.drop and request.transport is not None:
            request.transport.close()
        return _status(fault.status, "Injected", "injected", fault.headers)

    async def _answer(
        self, request: web.Request, place: tuple[Kind, str | None, str | None] | None, subresource: str | None
    ) -> web.StreamResponse:
        if place is None:
            return web.json_response(self._discovery(request.path))
        kind, namespace, name = place
        if name is None:
            if request.method == "POST":
                document = await request.json()
                return web.json_response(await self._create(kind, namespace or "", document), status=201)
            if "watch" in request.query:
                return await self._watch(request, kind, namespace)
            return web.json_response(self._list(request, kind, namespace))
        assert namespace is not None
        at = (kind, namespace, name)
        match request.method:
            case "GET":
                return web.json_response(self._found(at))
            case "PUT":
                return web.json_response(await self._update(at, await request.json()))
            case "DELETE":
                text = await request.text()
                return web.json_response(await self._checked_delete(at, json.loads(text) if text else {}))
            case "PATCH" if request.content_type == _APPLY:
                manager = request.query["fieldManager"]
                return web.json_response(await self._apply(at, json.loads(await request.text()), manager))
            case "PATCH":
                body = json.loads(await request.text())
                return web.json_response(await self._merge(at, body, subresource))
            case _:
                raise _Refused(405, "MethodNotAllowed", request.method)

    def _place(self, path: str) -> tuple[tuple[Kind, str | None, str | None] | None, str | None]:
        for kind in self.kinds:
            prefix = f"/{'apis' if kind.group else 'api'}/{kind.api_version}"
            if path == f"{prefix}/{kind.plural}":
                return (kind, None, None), None
            if path.startswith(prefix + _SCOPES):
                parts = path.removeprefix(prefix + _SCOPES).split("/")
                if len(parts) > 1 and parts[1] == kind.plural:
                    name = parts[2] if len(parts) > 2 else None
                    return (kind, parts[0], name), parts[3] if len(parts) > 3 else None
        return None, None

    def _discovery(self, path: str) -> Document:
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups: dict[str, list[str]] = {"apiextensions.k8s.io": ["v1"]}
            for kind in self.kinds:
                if kind.group and kind.version not in groups.setdefault(kind.group, []):
                    groups[kind.group].append(kind.version)
            listed = [
                {
                    "name": group,
                    "versions": [{"groupVersion": f"{group}/{each}", "version": each} for each in versions],
                    "preferredVersion": {"groupVersion": f"{group}/{versions[0]}", "version": versions[0]},
                }
                for group, versions in groups.items()
            ]
            return {"kind": "APIGroupList", "groups": listed}
        api_version = path.removeprefix("/apis/").removeprefix("/api/")
        verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
        named = [(k.api_version, k.plural, k.kind) for k in self.kinds] + _ALWAYS_THERE
        resources = [
            {"name": plural, "singularName": "", "kind": kind, "namespaced": True, "verbs": verbs}
            for known, plural, kind in named
            if known == api_version
        ]
        if not resources:
            raise _Refused(404, "NotFound", f"the server could not find {path}")
        return {"kind": "APIResourceList", "groupVersion": api_version, "resources": resources}

    def _list(self, request: web.Request, kind: Kind, namespace: str | None) -> Document:
        chosen = sorted(self._selected(request, kind, namespace), key=_path_of)
        start = int(request.query.get("continue", "0"))
        limit = int(request.query.get("limit", "0")) or len(chosen)
        page = chosen[start : start + limit]
        more = str(start + limit) if start + limit < len(chosen) else ""
        bare = "PartialObjectMetadataList" in request.headers.get("Accept", "")
        items = [{"metadata": each["metadata"]} if bare else _without_kind(each) for each in page]
        metadata = {"resourceVersion": str(self._version), **({"continue": more} if more else {})}
        return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}

    def _selected(self, request: web.Request, kind: Kind, namespace: str | None) -> list[Document]:
        return [
            document
            for (each, scope, _), document in self._objects.items()
            if each is kind and namespace in (None, scope) and _matches(request, document)
        ]

    async def _watch(self, request: web.Request, kind: Kind, namespace: str | None) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        task = asyncio.ensure_future(self._pour(request, stream, kind, namespace))
        self._streams.add(task)
        try:
            await task
        except (asyncio.CancelledError, ConnectionError):
            if request.transport is not None:
                request.transport.close()
        finally:
            self._streams.discard(task)
        return stream

    async def _pour(self, request: web.Request, stream: web.StreamResponse, kind: Kind, scope: str | None) -> None:
        since = int(request.query["resourceVersion"])
        told = len(self._injected)
        if since < self._oldest:
            await _send(stream, "ERROR", {"kind": "Status", "status": "Failure", "code": 410, "message": "too old"})
            return
        while True:
            for event in [e for e in self._events if e.version > since and e.kind is kind]:
                since = max(since, event.version)
                if scope in (None, event.document["metadata"]["namespace"]) and _matches(request, event.document):
                    await _send(stream, event.type, event.document)
            for injected, status in self._injected[told:]:
                if injected is kind:
                    await _send(stream, "ERROR", status)
                    return
            told = len(self._injected)
            try:
                async with asyncio.timeout(self._bookmark_every), self._news:
                    while not self._has_news(kind, since, told):
                        await self._news.wait()
            except TimeoutError:
                mark = {"kind": kind.kind, "metadata": {"resourceVersion": str(self._version)}}
                since = self._version
                await _send(stream, "BOOKMARK", mark)

    def _has_news(self, kind: Kind, since: int, told: int) -> bool:
        return len(self._injected) > told or any(e.version > since and e.kind is kind for e in self._events)

    # ── objects ──

    def _found(self, place: Place) -> Document:
        found = self._objects.get(place)
        if found is None:
            raise _Refused(404, "NotFound", f'{place[0].plural} "{place[2]}" not found')
        return found

    def _checked(self, place: Place, metadata: Mapping[str, Any]) -> Document:
        found = self._found(place)
        for precondition in ("resourceVersion", "uid"):
            wanted = metadata.get(precondition)
            if wanted is not None and wanted != found["metadata"][precondition]:
                raise _Refused(409, "Conflict", f"the object has been modified ({precondition}); please apply again")
        return found

    async def _create(self, kind: Kind, namespace: str, document: Document) -> Document:
        place = (kind, namespace, document["metadata"]["name"])
        if place in self._objects:
            raise _Refused(409, "AlreadyExists", f'{kind.plural} "{place[2]}" already exists')
        return await self._store(place, document)

    async def _update(self, place: Place, document: Document) -> Document:
        self._checked(place, document["metadata"])
        return await self._store(place, document)

    async def _merge(self, place: Place, patch: Document, subresource: str | None) -> Document:
        found = copy.deepcopy(self._checked(place, patch.get("metadata") or {}))
        match subresource:
            case "status":
                found["status"] = _merged(found.get("status") or {}, patch["status"])
            case "scale":
                found["spec"]["replicas"] = patch["spec"]["replicas"]
            case _:
                found = _merged(found, {**patch, "metadata": _own(patch.get("metadata") or {})})
        stored = await self._store(place, found)
        if subresource == "scale":
            return {"kind": "Scale", "metadata": stored["metadata"], "spec": {"replicas": stored["spec"]["replicas"]}}
        return stored

    async def _apply(self, place: Place, wanted: Document, manager: str) -> Document:
        wanted = {**wanted, "metadata": {**wanted["metadata"]}}
        found = self._objects.get(place)
        preconditions = {key: wanted["metadata"].pop(key, None) for key in ("resourceVersion", "uid")}
        if found is None and preconditions["uid"] is not None:
            raise _Refused(409, "Conflict", "uid mismatch: the object does not exist")
        if found is not None:
            self._checked(place, preconditions)
        before = self._applied.get((place, manager), {})
        fresh = _merged(_dropped(copy.deepcopy(found or {}), before, wanted), wanted)
        self._applied[place, manager] = wanted
        if found is not None and _without_version(fresh) == _without_version(found):
            return found
        return await self._store(place, fresh)

    async def _checked_delete(self, place: Place, options: Mapping[str, Any]) -> Document:
        self._checked(place, options.get("preconditions") or {})
        await self._delete(place)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success", "metadata": {}}

    async def _store(self, place: Place, document: Document, *, silently: bool = False) -> Document:
        kind, namespace, name = place
        before = self._objects.get(place)
        self._version += 1
        metadata = dict(document.get("metadata") or {})
        metadata.update(name=name, namespace=namespace, resourceVersion=str(self._version))
        if before is None:
            metadata["uid"] = f"uid-{next(self._uids)}"
            metadata["creationTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            metadata["generation"] = 1
        else:
            metadata["uid"] = before["metadata"]["uid"]
            metadata["creationTimestamp"] = before["metadata"]["creationTimestamp"]
            metadata["generation"] = before["metadata"]["generation"] + (before.get("spec") != document.get("spec"))
        stored = {**document, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        self._objects[place] = stored
        if not silently:
            await self._tell(kind, "ADDED" if before is None else "MODIFIED", stored)
        return stored

    async def _delete(self, place: Place, *, silently: bool = False) -> None:
        found = self._objects.pop(place)
        for key in [key for key in self._applied if key[0] == place]:
            del self._applied[key]
        self._version += 1
        gone = {**found, "metadata": {**found["metadata"], "resourceVersion": str(self._version)}}
        if not silently:
            await self._tell(place[0], "DELETED", gone)

    async def _tell(self, kind: Kind, type_: str, document: Document) -> None:
        async with self._news:
            self._events.append(_Event(self._version, kind, type_, copy.deepcopy(document)))
            self._news.notify_all()


def _own(metadata: Mapping[str, Any]) -> Document:
    return {key: value for key, value in metadata.items() if key not in {"resourceVersion", "uid"}}


def _merged(before: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """RFC 7386."""
    after = dict(before)
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        elif isinstance(value, dict):
            old = after.get(key)
            after[key] = _merged(old if isinstance(old, dict) else {}, value)
        else:
            after[key] = value
    return after


def _dropped(live: Document, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Document:
    """Without what the manager applied before and applies no longer."""
    for key, value in before.items():
        if key not in wanted:
            live.pop(key, None)
        elif isinstance(value, dict) and isinstance(wanted[key], dict) and isinstance(live.get(key), dict):
            live[key] = _dropped(live[key], value, wanted[key])
    return live


def _without_version(document: Mapping[str, Any]) -> Document:
    metadata = {key: value for key, value in document["metadata"].items() if key != "resourceVersion"}
    return {**document, "metadata": metadata}


def _without_kind(document: Mapping[str, Any]) -> Document:
    return {key: value for key, value in document.items() if key not in {"kind", "apiVersion"}}


def _path_of(document: Mapping[str, Any]) -> tuple[str, str]:
    return document["metadata"]["namespace"], document["metadata"]["name"]


def _matches(request: web.Request, document: Mapping[str, Any]) -> bool:
    labels = document["metadata"].get("labels") or {}
    wanted = [pair.split("=", 1) for pair in request.query.get("labelSelector", "").split(",") if pair]
    return all(labels.get(key) == value for key, value in wanted)


async def _send(stream: web.StreamResponse, type_: str, document: Mapping[str, Any]) -> None:
    await stream.write(json.dumps({"type": type_, "object": document}).encode() + b"\n")


def _status(code: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }
    return web.json_response(body, status=code, headers=dict(headers or {}))
