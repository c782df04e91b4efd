"""A circuit breaker: after some failures in a row a provider is not asked for a while, then by one query first.

While it is open a query is answered at once, so that a provider that hangs keeps neither threads nor rollouts waiting.
Clocks come in; no I/O.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

from modelrollout.domain.polls import ProviderFault

FAILURES = 5
"""In a row. A poll asks two or three queries."""
PAUSE = 10.0
"""Seconds. A recovery is noticed so much later at most, or with the next poll."""


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "halfOpen"


class Breaker:
    """Each `enter` that returns None has to be followed by one of `succeeded`, `failed` and `abandoned`."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], float],
        failures: int = FAILURES,
        pause: float = PAUSE,
    ) -> None:
        """`monotonic`: seconds; `now`: unix seconds, for what people are told."""
        self._monotonic, self._now = monotonic, now
        self._limit, self._pause = failures, pause
        self._in_a_row = 0
        self._since = 0.0
        self._last: ProviderFault | None = None
        self._ask_again: float | None = None
        """When open: from when on one query is let through."""
        self._trial: asyncio.Event | None = None
        """That query is under way."""

    @property
    def state(self) -> State:
        if self._ask_again is None:
            return State.CLOSED
        waiting = self._trial is None and self._monotonic() < self._ask_again
        return State.OPEN if waiting else State.HALF_OPEN

    async def enter(self) -> ProviderFault | None:
        """None: ask. Else why not. Beside the one query that tries, others wait for what it finds."""
        while self._trial is not None:
            await self._trial.wait()
        if self._ask_again is None:
            return None
        if self._monotonic() < self._ask_again:
            return self._told()
        self._trial = asyncio.Event()
        return None

    def succeeded(self) -> None:
        """It answered: whatever was thought of it before, it is back."""
        self._in_a_row, self._last, self._ask_again = 0, None, None
        self._end_trial()

    def failed(self, fault: ProviderFault) -> ProviderFault:
        """What to tell of the failure: itself, or once it is open since when and how often is asked."""
        if self._in_a_row == 0:
            self._since = self._now()
        self._in_a_row += 1
        self._last = fault
        if self._in_a_row >= self._limit and (self._ask_again is None or self._trial is not None):
            self._ask_again = self._monotonic() + self._pause
            self._end_trial()
        return fault if self._ask_again is None else self._told()

    def abandoned(self) -> None:
        """The query was given up by whoever asked: it says nothing, and the next one may try."""
        self._end_trial()

    def _end_trial(self) -> None:
        if self._trial is not None:
            self._trial.set()
            self._trial = None

    def _told(self) -> ProviderFault:
        """The same words for as long as it is down: a message that changes would be written to status each time."""
        assert self._last is not None
        since = datetime.fromtimestamp(self._since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        message = f"Failing since {since}, asked again every {self._pause:g} s: {self._last.message}"
        return replace(self._last, message=message)
