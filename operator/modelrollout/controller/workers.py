"""Walks, several at a time, never two of one key, and only while the Lease is held.

Has the one `except Exception` of the operator: traceback, counter, and the key comes back after a pause.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from modelrollout.controller.ports import Reconcile
from modelrollout.controller.work_queue import WorkQueue
from modelrollout.domain.model_deployment import Key
from modelrollout.errors import RolloutError, StaleView
from modelrollout.telemetry import Telemetry

AT_ONCE_IN_A_ROW = 25
"""Walks of one key that may follow one another at once. A whole start takes about ten; more is a circle."""

_logger = logging.getLogger(__name__)


class Workers:
    def __init__(
        self,
        queue: WorkQueue,
        reconcile: Reconcile,
        *,
        count: int,
        lease_held: Callable[[], bool],
        telemetry: Telemetry,
        monotonic: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._count = count
        self._lease_held = lease_held
        self._telemetry = telemetry
        self._monotonic = monotonic
        self._stopping = False
        self._walking: set[asyncio.Task[None]] = set()
        self._in_a_row: dict[Key, int] = {}

    async def run(self) -> None:
        """Walk until cancelled. To be started once the Lease is held and the watches are synced."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._work(), name=f"worker {number}")

    async def stop(self, grace: timedelta) -> None:
        """Begin no further walk; wait for those under way, then cut them off."""
        self._stopping = True
        if self._walking:
            _, late = await asyncio.wait(set(self._walking), timeout=grace.total_seconds())
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)

    async def _work(self) -> None:
        while True:
            key = await self._queue.next()
            if self._stopping or not self._lease_held():
                self._queue.ring(key)  # remembered, for the next time that we lead
                self._queue.done(key)
                await asyncio.sleep(0.2)
                continue
            walk = asyncio.create_task(self.walk(key), name=f"walk {key.namespace}/{key.name}")
            self._walking.add(walk)
            walk.add_done_callback(self._walking.discard)
            await asyncio.wait({walk})

    async def walk(self, key: Key) -> None:
        """One walk of a key that was taken from the queue, and when the next is due."""
        began = self._monotonic()
        result = "error"
        try:
            result = await self._walk(key)
        finally:
            self._queue.done(key)
            self._telemetry.walked(result, self._monotonic() - began)

    async def _walk(self, key: Key) -> str:
        try:
            wake = await self._reconcile(key)
        except StaleView:
            return self._again(key)
        except RolloutError as error:
            names = {"namespace": key.namespace, "deployment": key.name, "reason": str(error.reason)}
            _logger.warning("the walk could not be finished: %s", error.message, extra=names)
            self._queue.ring_after(key, max(self._queue.pause(key), error.retry_after.total_seconds()))
            return "error"
        except Exception:
            names = {"namespace": key.namespace, "deployment": key.name}
            _logger.exception("the walk failed; this is a bug, please report it", extra=names)
            self._queue.ring_after(key, self._queue.pause(key))
            return "error"
        if wake == timedelta(0):
            return self._again(key)
        self._in_a_row.pop(key, None)
        self._queue.forgive(key)
        if wake is None:
            return "success"
        self._queue.ring_after(key, wake.total_seconds())
        return "requeue_after"

    def _again(self, key: Key) -> str:
        """At once, unless it goes round in circles: then slower and slower, and loudly."""
        count = self._in_a_row.get(key, 0) + 1
        self._in_a_row[key] = count
        if count < AT_ONCE_IN_A_ROW:
            self._queue.ring(key)
            return "requeue"
        names = {"namespace": key.namespace, "deployment": key.name}
        _logger.warning("walks go round in circles; slowed down. Please report this", extra=names)
        self._queue.ring_after(key, self._queue.pause(key))
        return "requeue_after"
