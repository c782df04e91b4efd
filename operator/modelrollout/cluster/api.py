"""Writes to the API server, and the few reads that no watch can answer. Decides nothing, retries nothing.

Every write asks first whether we still lead, has a precondition wherever it could do harm on an old view, and
puts its answer into the watch store: it counts as read back. A refusal as stale means *look again*, so the
object is read before StaleView is raised, and the next walk sees it as it is even where a watch was silent.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from modelrollout import names
from modelrollout.cluster import events
from modelrollout.cluster.answers import LeaseLost, NotFound, read_answer
from modelrollout.cluster.apply_body import apply_body
from modelrollout.cluster.kinds import EVENT, MODEL_DEPLOYMENT, Kind, Live, kind_named, kind_of
from modelrollout.cluster.merge_patch import merge_patch
from modelrollout.cluster.ownership import controller_of, is_leftover, is_owned_by
from modelrollout.cluster.store import WatchStore, owner_key, uid_of
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.observed import Observed
from modelrollout.errors import ClusterUnavailable, ConflictError, Refused, RolloutError, StaleView

APPLY = "application/apply-patch+yaml; charset=utf-8"
"""With a charset, which the API server ignores, the client sends our text and does not make JSON of it again."""
MERGE = "application/merge-patch+json"
JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=3)
PAGE = 500
EVENTS_UNDER_WAY = 64
"""Events beyond this many unanswered ones are dropped: they are told in status and metrics as well."""
NEVER = "1"
"""A resourceVersion that no object has. An apply that carries it creates; on what exists it is refused."""
COLLECTED_SOON = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A complete list of a kind at one resourceVersion: `uids` are for `WatchStore.forget_absent`."""

    items: tuple[Live, ...]
    resource_version: str

    @property
    def uids(self) -> frozenset[str]:
        return frozenset(uid_of(item) for item in self.items)


class KubernetesApi:
    """Implements controller.ports.KubeApi."""

    def __init__(
        self,
        client: ApiClient,
        store: WatchStore,
        lease_held: Callable[[], bool],
        *,
        on_request: Callable[[str, int], None] = lambda _verb, _code: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`on_request` is told each request's HTTP verb and code, 0 where no answer came."""
        self._client = client
        self._store = store
        self._lease_held = lease_held
        self._on_request = on_request
        self._clock = clock
        self._events: set[asyncio.Task[None]] = set()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | str | None = None,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
        accept: str = JSON,
        timeout: aiohttp.ClientTimeout = TIMEOUT,  # noqa: ASYNC109 -- of the request, told to the client
    ) -> Live:
        """The one raw door. It does not ask for the Lease: the elector comes this way.

        A `body` of text goes out as it is, where the content type is APPLY; any other is made JSON.
        """
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": self._client.user_agent}
        url = self._client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        code = 0
        try:
            # Not param_serialize: it copies each body node by node, and would make JSON of an apply's text.
            await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
            answer = await self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=timeout
            )
            content = await answer.read()
            code = answer.status
        except TimeoutError as error:
            raise ClusterUnavailable("The API server did not answer in time.") from error
        except (aiohttp.ClientError, OSError, ConfigException) as error:
            raise ClusterUnavailable(f"The API server cannot be reached: {error}") from error
        finally:
            self._on_request(method, code)
        return read_answer(code, answer.headers, content)

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Live | None:
        """Read one object past the store, and let the store know."""
        return await self._read(kind_named(api_version, kind), namespace, name)

    async def apply(self, manifest: Fragment, *, resource_version: str | None = None) -> Live:
        """Server-side apply of the whole intent; with `resource_version` refused as StaleView if it moved on.

        A name that the store does not know is created or nothing; what exists there is read, and taken for
        ours only by its ownerReference. A known one is applied to this very object (its uid), never to a
        successor of the same name.
        """
        document = manifest.value
        kind, metadata = kind_of(document), document["metadata"]
        known = self._store.get(kind, metadata["namespace"], metadata["name"])
        if known is None:
            if resource_version is None:
                with suppress(StaleView):
                    return await self._apply(kind, document, {"resourceVersion": NEVER})
            known = await self._read(kind, metadata["namespace"], metadata["name"])
        if known is None:
            raise StaleView(f"{kind.kind} {metadata['name']} is gone.")
        _refuse_foreign(known, document)
        precondition = {"uid": uid_of(known)}
        if resource_version is not None:
            precondition["resourceVersion"] = resource_version
        try:
            return await self._apply(kind, document, precondition)
        except StaleView:
            await self._read(kind, metadata["namespace"], metadata["name"])
            raise

    async def scale(self, live: Live, replicas: int) -> None:
        """Write `replicas` through the scale subresource, conditional on the observed resourceVersion."""
        kind, metadata = kind_of(live), live["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": {"replicas": replicas}}
        self._ask_for_lease()
        path = kind.path(metadata["namespace"], metadata["name"], "scale")
        try:
            answer = await self.request("PATCH", path, body=body, content_type=MERGE, query=_MANAGED)
        except (StaleView, NotFound) as error:
            await self._look_again(live, error)
        # The answer is a Scale; the precondition held, so the object is what we saw with these replicas.
        changed = live["spec"].get("replicas") != replicas
        seen = {
            **metadata,
            "resourceVersion": answer["metadata"]["resourceVersion"],
            "generation": metadata.get("generation", 0) + changed,
        }
        self._store.put({**live, "metadata": seen, "spec": {**live["spec"], "replicas": replicas}})

    async def delete(self, live: Live) -> None:
        """Delete this very object (uid and resourceVersion are preconditions); gone already is fine."""
        kind, metadata = kind_of(live), live["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        }
        self._ask_for_lease()
        try:
            answer = await self.request("DELETE", kind.path(metadata["namespace"], metadata["name"]), body=body)
        except NotFound:
            self._store.drop(live)
            return
        except StaleView as error:
            await self._look_again(live, error)
        if answer.get("kind") == kind.kind and "deletionTimestamp" in answer["metadata"]:
            self._store.put(answer)  # a finalizer holds it for now
        else:
            self._store.drop(live)

    async def patch_status(self, observed: Observed, status: Fragment) -> Live:
        """Replace `.status`, conditional on the observed resourceVersion (StaleView where it moved on).

        As a merge patch from the status that was observed: the precondition says that it is still that one.
        """
        key = observed.key
        body = {
            "metadata": {"resourceVersion": observed.resource_version, "uid": observed.uid},
            "status": merge_patch(observed.status.mapping, status.mapping),
        }
        self._ask_for_lease()
        path = MODEL_DEPLOYMENT.path(key.namespace, key.name, "status")
        try:
            live = await self.request("PATCH", path, body=body, content_type=MERGE, query=_MANAGED)
        except (StaleView, NotFound) as error:
            await self._read(MODEL_DEPLOYMENT, key.namespace, key.name)
            raise StaleView(error.message) from error
        self._store.put(live)
        return live

    async def event(self, observed: Observed, *, reason: str, message: str, warning: bool) -> None:
        """Tell of it without making the walk wait; an Event that cannot be written is let go."""
        if len(self._events) >= EVENTS_UNDER_WAY or not self._lease_held():
            return
        now = self._clock()
        body = events.new_event(observed.key, observed.uid, reason=reason, message=message, warning=warning, now=now)
        task = asyncio.create_task(self._record(body, now))
        self._events.add(task)
        task.add_done_callback(self._events.discard)

    async def events_written(self) -> None:
        """Wait for the Events under way: before the connection closes."""
        if self._events:
            await asyncio.wait(self._events)

    async def list_metadata(self, kind: Kind, namespace: str | None = None) -> Listing:
        """All objects of a kind that we watch, their metadata only, in pages of one resourceVersion."""
        query = {"limit": str(PAGE)}
        if kind.label_selector is not None:
            query["labelSelector"] = kind.label_selector
        items: list[Live] = []
        while True:
            page = await self.request("GET", kind.path(namespace), query=query, accept=METADATA_ONLY)
            items += [{**item, "apiVersion": kind.api_version, "kind": kind.kind} for item in page["items"] or ()]
            token = page["metadata"].get("continue")
            if not token:
                return Listing(items=tuple(items), resource_version=page["metadata"]["resourceVersion"])
            query = {**query, "continue": token}

    async def _apply(self, kind: Kind, document: dict[str, Any], precondition: dict[str, str]) -> Live:
        self._ask_for_lease()
        metadata = document["metadata"]
        live = await self.request(
            "PATCH",
            kind.path(metadata["namespace"], metadata["name"]),
            body=apply_body({**document, "metadata": {**metadata, **precondition}}),
            content_type=APPLY,
            query=_FORCED,
        )
        self._store.put(live)
        return live

    async def _read(self, kind: Kind, namespace: str, name: str) -> Live | None:
        try:
            live = await self.request("GET", kind.path(namespace, name))
        except NotFound:
            known = self._store.get(kind, namespace, name)
            if known is not None:
                self._store.drop(known)
            return None
        if kind.watched and owner_key(live) is not None:  # the watch would bring it too, and its deletion
            self._store.put(live)
        return live

    async def _look_again(self, live: Live, error: RolloutError) -> NoReturn:
        metadata = live["metadata"]
        await self._read(kind_of(live), metadata["namespace"], metadata["name"])
        raise StaleView(error.message) from error

    async def _record(self, body: dict[str, Any], now: datetime) -> None:
        metadata = body["metadata"]
        with suppress(RolloutError):
            try:
                await self.request("POST", EVENT.path(metadata["namespace"]), body=body, query=_MANAGED)
            except StaleView:  # said already in these ten minutes
                path = EVENT.path(metadata["namespace"], metadata["name"])
                known = await self.request("GET", path)
                await self.request("PATCH", path, body=events.once_more(known, now), content_type=MERGE)

    def _ask_for_lease(self) -> None:
        if not self._lease_held():
            raise LeaseLost("This process no longer holds the Lease; the next leader goes on.")


_MANAGED = {"fieldManager": names.FIELD_MANAGER}
_FORCED = {"fieldManager": names.FIELD_MANAGER, "force": "true"}


def _refuse_foreign(live: Live, wanted: Mapping[str, Any]) -> None:
    owner = controller_of(wanted)
    if owner is None or is_owned_by(live, owner["uid"]):
        return
    name = f"{live['kind']} {live['metadata']['name']}"
    if is_leftover(live, owner):
        raise Refused(
            f"{name} belongs to a deleted ModelDeployment of this name; garbage collection is about to remove it.",
            retry_after=COLLECTED_SOON,
        )
    raise ConflictError(
        f"{name} exists and is not owned by this ModelDeployment; it is left untouched. "
        f"Delete or rename it, or give the ModelDeployment another name."
    )
