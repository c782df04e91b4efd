"""Which replica may write: one holder of a Lease at a time.

The holder believes in itself only until a deadline counted from *before* its last successful renewal was sent;
others take over only once they have themselves seen the record unchanged for longer than that. No two clocks are
ever compared. Whoever loses the Lease exits: the simplest safe state.

Why our own: the client library's elector lets a transport error end `run()` while the leading task goes on.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from modelrollout.errors import RolloutError, StaleView

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """A Lease as we read or write it. `holder` empty: free to take. `duration` in seconds."""

    holder: str
    duration: int
    acquired: datetime
    renewed: datetime
    transitions: int = 0
    resource_version: str = ""


class LeaseLock(Protocol):
    """The Lease on the API server. Errors are RolloutErrors; a write on an old record is a StaleView."""

    async def read(self) -> LeaseRecord | None: ...

    async def create(self, record: LeaseRecord) -> LeaseRecord: ...

    async def update(self, record: LeaseRecord) -> LeaseRecord:
        """Write the record, refused as StaleView unless its resourceVersion is the present one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Seconds. `duration` > `renew_deadline` > `retry`; the first difference covers writes already on their way."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0
    request_timeout: float = 3.0


class LeaseLostError(Exception):
    """We held the Lease and no longer may believe so: exit non-zero at once."""


class Elector:
    def __init__(
        self,
        lock: LeaseLock,
        identity: str,
        *,
        terms: Terms,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self._lock = lock
        self._identity = identity
        self._terms = terms
        self._monotonic = monotonic
        self._now = now
        self._jitter = jitter
        self._deadline: float | None = None
        self._record: LeaseRecord | None = None
        self._unchanged_since = 0.0
        self._acquired = asyncio.Event()
        self._released = False
        self._said = ""

    def lease_held(self) -> bool:
        return self._deadline is not None and self._monotonic() < self._deadline

    async def acquired(self) -> None:
        """Wait until the Lease is ours."""
        await self._acquired.wait()

    async def run(self) -> None:
        """Compete for the Lease, then keep it. Ends only with LeaseLostError, or quietly after `release`."""
        while not self._released and not await self._attempt():
            await self._pause()
        while not self._released:
            await self._pause()
            if not self._released and not await self._attempt() and not self.lease_held():
                self._deadline = None
                raise LeaseLostError(f"the Lease was not renewed within {self._terms.renew_deadline:g} s")

    async def release(self) -> None:
        """Let the next replica take over at once. To be called when nothing is being written any more."""
        held = self.lease_held()
        self._released = True
        self._deadline = None
        if not held or self._record is None:
            return
        with contextlib.suppress(RolloutError, TimeoutError):
            async with asyncio.timeout(self._terms.request_timeout):
                try:
                    await self._lock.update(self._freed(self._record))
                except StaleView:  # a renewal that was cut off arrived after all
                    record = await self._lock.read()
                    if record is not None and record.holder == self._identity:
                        await self._lock.update(self._freed(record))

    def _freed(self, record: LeaseRecord) -> LeaseRecord:
        return replace(record, holder="", duration=1, renewed=self._now())

    async def _attempt(self) -> bool:
        """One try to take or renew. False: not now; what we knew before still counts until its deadline."""
        try:
            async with asyncio.timeout(self._terms.request_timeout):
                return await self._take_or_renew()
        except StaleView:
            return False  # another was quicker
        except (RolloutError, TimeoutError) as error:
            self._say(str(error) or "the API server did not answer in time")
            return False

    def _say(self, problem: str) -> None:
        """Once, not every two seconds."""
        if problem != self._said:
            self._said = problem
            _logger.warning("the Lease could be neither taken nor renewed: %s", problem)

    async def _take_or_renew(self) -> bool:
        if self.lease_held() and self._record is not None:
            try:
                return await self._write(self._record)
            except StaleView:  # either another holds the Lease, or an earlier write of ours arrived after all
                record = await self._lock.read()
                self._noticed(record)
                if record is None or record.holder != self._identity:
                    self._deadline = None
                    return False
                return await self._write(record)
        record = await self._lock.read()
        self._noticed(record)
        if record is None:
            return await self._write(None)
        if record.holder in {"", self._identity} or self._expired(record):
            return await self._write(record)
        return False

    async def _write(self, known: LeaseRecord | None) -> bool:
        """Take or renew on exactly the record that we know. The deadline counts from before the request."""
        sent_at = self._monotonic()
        wanted = LeaseRecord(
            holder=self._identity,
            duration=max(int(self._terms.duration), 1),
            acquired=self._now() if known is None or known.holder != self._identity else known.acquired,
            renewed=self._now(),
            transitions=0 if known is None else known.transitions + (known.holder != self._identity),
            resource_version="" if known is None else known.resource_version,
        )
        written = await (self._lock.create(wanted) if known is None else self._lock.update(wanted))
        if self._released:
            return False
        self._noticed(written)
        self._said = ""
        self._deadline = sent_at + self._terms.renew_deadline
        self._acquired.set()
        return True

    def _noticed(self, record: LeaseRecord | None) -> None:
        before = self._record
        if record is None or before is None or record.resource_version != before.resource_version:
            self._unchanged_since = self._monotonic()
        self._record = record

    def _expired(self, record: LeaseRecord) -> bool:
        """Whether we have seen this record unchanged for as long as its holder, or we, may rely on it."""
        return self._monotonic() - self._unchanged_since >= max(record.duration, self._terms.duration)

    async def _pause(self) -> None:
        """Up to a fifth more than `retry`, so that replicas do not ask in step."""
        await asyncio.sleep(self._terms.retry * (1 + 0.2 * self._jitter()))
