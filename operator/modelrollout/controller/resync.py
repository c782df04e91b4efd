"""Every ten minutes: is the store still the truth? Lists each kind (metadata only), forgets what is gone, reads anew
what a watch missed, and rings every key.

kopf's watches are trusted to hear, not to have heard everything: what was deleted while a watch was broken it never
tells. Also notices a kind that was installed after we started: only a new process can watch it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from modelrollout.cluster.answers import NotFound
from modelrollout.cluster.api import Listing
from modelrollout.cluster.kinds import WATCHED, Kind, Live
from modelrollout.cluster.store import WatchStore, owner_key, uid_of, version_of
from modelrollout.controller.work_queue import Priority, Ring
from modelrollout.errors import RolloutError

AT_A_TIME = 20
PAUSE = 0.05
"""After so many keys, so many seconds: 5 000 take a quarter of a minute, and nobody waits for them."""
GRACE = 5.0
"""Seconds for a watch to bring what a list already shows."""

_logger = logging.getLogger(__name__)


class NewKindError(Exception):
    """A kind that was not there at the start is now: only a new process watches it. Exit and be restarted."""


class Lister(Protocol):
    async def list_metadata(self, kind: Kind, namespace: str | None = None) -> Listing: ...

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Live | None: ...


class Resync:
    def __init__(
        self,
        api: Lister,
        store: WatchStore,
        ring: Ring,
        *,
        namespaces: Collection[str],
        is_watched: Callable[[Kind], bool],
        period: float,
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._store = store
        self._ring = ring
        self._scopes: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._is_watched = is_watched
        self._period = period
        self._jitter = jitter
        self._sleep = sleep

    async def run(self) -> None:
        """For ever. Replicas do not list in step: up to a tenth of jitter."""
        while True:
            await self._sleep(self._period * (1 + 0.1 * self._jitter()))
            try:
                await self.once()
            except RolloutError as error:
                _logger.warning("resync failed, the next one is tried as usual: %s", error.message)

    async def once(self) -> None:
        for kind in WATCHED:
            for scope in self._scopes:
                await self._compare(kind, scope)
        for number, key in enumerate(self._store.keys(), start=1):
            self._ring(key, Priority.IDLE)
            if number % AT_A_TIME == 0:
                await self._sleep(PAUSE)

    async def _compare(self, kind: Kind, scope: str | None) -> None:
        try:
            listing = await self._api.list_metadata(kind, scope)
        except NotFound:
            if kind.optional:
                return
            raise
        if kind.optional and not self._is_watched(kind):
            raise NewKindError(f"{kind.kind} ({kind.api_version}) was installed; restarting to watch it")
        seen = set(listing.uids)
        if scope is not None:  # a list of one namespace says nothing of the others
            seen |= {uid_of(live) for live in self._store.of_kind(kind) if live["metadata"]["namespace"] != scope}
        for gone in self._store.forget_absent(kind, seen, as_of=listing.resource_version):
            self._ring_owner(gone)
        await self._read_missed(kind, listing)

    async def _read_missed(self, kind: Kind, listing: Listing) -> None:
        missed = [item for item in listing.items if self._is_older(kind, item)]
        if not missed:
            return
        await self._sleep(GRACE)
        for item in missed:
            if self._is_older(kind, item):
                metadata = item["metadata"]
                _logger.warning("a watch missed a change", extra={"kind": kind.kind, "object_name": metadata["name"]})
                await self._api.get(kind.api_version, kind.kind, metadata["namespace"], metadata["name"])
                self._ring_owner(item)

    def _is_older(self, kind: Kind, item: Live) -> bool:
        if owner_key(item) is None:
            return False
        known = self._store.get(kind, item["metadata"]["namespace"], item["metadata"]["name"])
        return known is None or (uid_of(known) == uid_of(item) and version_of(known) < version_of(item))

    def _ring_owner(self, live: Live) -> None:
        key = owner_key(live)
        if key is not None:
            self._ring(key, Priority.ACTIVE)
