"""Which ModelDeployment is walked next: rings in, one key at a time out.

A key is in at most one place: waiting (active or idle), being walked, or resting until it is due. A ring for a key
that is being walked is remembered and makes it wait again afterwards, so no ring is ever lost and no two workers
ever walk one key. What is active (a watch event, a wish to wake) goes before what is idle (resync, first listing).

Knows no cluster and no ModelDeployment; clock and jitter are injected.
"""

import asyncio
import heapq
from collections.abc import Callable
from enum import IntEnum

from modelrollout.domain.model_deployment import Key


class Priority(IntEnum):
    ACTIVE = 0
    IDLE = 1


Ring = Callable[[Key, Priority], None]


class WorkQueue:
    """Not thread-safe, and need not be: everything runs in one event loop."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        first_backoff: float = 0.25,
        longest_backoff: float = 300.0,
        on_taken: Callable[[float], None] = lambda _waited: None,
    ) -> None:
        """`clock` is monotonic seconds; `jitter` gives 0 to 1; `on_taken` hears how long the key had waited."""
        self._clock = clock
        self._jitter = jitter
        self._first_backoff = first_backoff
        self._longest_backoff = longest_backoff
        self._on_taken = on_taken
        self._waiting: tuple[dict[Key, float], dict[Key, float]] = ({}, {})  # by priority; dicts keep the order
        self._walking: set[Key] = set()
        self._rung_again: dict[Key, Priority] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []  # may hold outdated entries: `_due` is the truth
        self._sequence = 0
        self._failures: dict[Key, int] = {}
        self._bell = asyncio.Event()

    @property
    def depth(self) -> int:
        return len(self._waiting[Priority.ACTIVE]) + len(self._waiting[Priority.IDLE])

    @property
    def walking(self) -> int:
        return len(self._walking)

    def ring(self, key: Key, priority: Priority = Priority.ACTIVE) -> None:
        """Have the key walked soon. Many rings before its turn are one."""
        if key in self._walking:
            self._rung_again[key] = min(priority, self._rung_again.get(key, Priority.IDLE))
            return
        active, idle = self._waiting
        if key in active:
            return
        if priority is Priority.ACTIVE:
            active[key] = idle.pop(key, self._clock())
        else:
            idle.setdefault(key, self._clock())
        self._bell.set()

    def ring_after(self, key: Key, delay: float) -> None:
        """Have the key walked when `delay` seconds are over, or with an earlier ring, whichever comes first."""
        if delay <= 0:
            self.ring(key)
            return
        due = self._clock() + delay
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._sequence += 1
            heapq.heappush(self._heap, (due, self._sequence, key))
            self._bell.set()

    def take(self) -> Key | None:
        """The next key, now being walked, or None. Whoever takes it must call `done`."""
        self._ring_what_is_due()
        for waiting in self._waiting:
            if waiting:
                key = next(iter(waiting))
                since = waiting.pop(key)
                self._due.pop(key, None)  # the walk sees everything; it will say anew when to wake
                self._walking.add(key)
                self._on_taken(self._clock() - since)
                return key
        return None

    async def next(self) -> Key:
        """Wait for a key."""
        while True:
            key = self.take()
            if key is not None:
                return key
            self._bell.clear()
            try:
                async with asyncio.timeout(self._seconds_to_rest()):
                    await self._bell.wait()
            except TimeoutError:
                continue

    def done(self, key: Key) -> None:
        """The walk is over; a ring that came meanwhile makes the key wait again."""
        self._walking.remove(key)
        again = self._rung_again.pop(key, None)
        if again is not None:
            self.ring(key, again)

    def pause(self, key: Key) -> float:
        """How long to leave a key alone that failed: doubles with every failure in a row.

        Half of it is jitter: 0.25 s gives 0.125 to 0.25 s, the second time 0.25 to 0.5 s.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        whole = min(self._first_backoff * 2.0 ** min(failures, 32), self._longest_backoff)
        return whole * (0.5 + 0.5 * self._jitter())

    def forgive(self, key: Key) -> None:
        """The walk went well: the next failure is the first again."""
        self._failures.pop(key, None)

    def _ring_what_is_due(self) -> None:
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self.ring(key)

    def _seconds_to_rest(self) -> float | None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return max(self._heap[0][0] - self._clock(), 0.0) if self._heap else None
