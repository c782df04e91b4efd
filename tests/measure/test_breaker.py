"""Closed, open, half-open: with clocks that a test moves."""

import asyncio

from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.measure.breaker import FAILURES, PAUSE, Breaker, State

DOWN = ProviderFault(kind=FaultKind.UNREACHABLE, message="Prometheus `mimir` cannot be reached.")
SLOW = ProviderFault(kind=FaultKind.TIMEOUT, message="Prometheus `mimir` does not answer in time.")


class Bench:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.breaker = Breaker(monotonic=lambda: self.seconds, now=lambda: 1_795_316_400.0 + self.seconds)

    def state(self) -> State:
        return self.breaker.state

    async def fail(self, times: int = 1, fault: ProviderFault = DOWN) -> ProviderFault | None:
        told = None
        for _ in range(times):
            assert await self.breaker.enter() is None
            told = self.breaker.failed(fault)
        return told


async def test_some_failures_leave_it_closed_and_a_success_forgets_them() -> None:
    bench = Bench()
    assert await bench.fail(FAILURES - 1) == DOWN
    bench.breaker.succeeded()
    assert await bench.fail(FAILURES - 1) == DOWN
    assert bench.state() is State.CLOSED


async def test_failures_in_a_row_open_it_and_then_nothing_is_asked() -> None:
    bench = Bench()
    bench.seconds = 5.0
    await bench.fail()
    bench.seconds = 7.0
    told = await bench.fail(FAILURES - 1)
    assert bench.state() is State.OPEN
    assert told is not None and told.kind is FaultKind.UNREACHABLE
    assert told.message == f"Failing since 2026-11-22T03:00:05Z, asked again every 10 s: {DOWN.message}"
    bench.seconds = 7.0 + PAUSE - 0.1
    assert await bench.breaker.enter() == told


async def test_what_is_told_does_not_change_while_it_is_down() -> None:
    bench = Bench()
    told = await bench.fail(FAILURES)
    for _ in range(20):
        bench.seconds += PAUSE
        assert await bench.fail() == told, "neither by the query that tries"
        assert await bench.breaker.enter() == told, "nor by those that are not asked"


async def test_after_the_pause_one_query_tries_and_the_others_wait_for_what_it_finds() -> None:
    bench = Bench()
    await bench.fail(FAILURES)
    bench.seconds += PAUSE
    assert bench.state() is State.HALF_OPEN
    assert await bench.breaker.enter() is None
    others = [asyncio.create_task(bench.breaker.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in others)
    bench.breaker.succeeded()
    assert await asyncio.gather(*others) == [None, None, None]
    assert bench.state() is State.CLOSED


async def test_a_trial_that_fails_opens_it_again_for_all_that_waited() -> None:
    bench = Bench()
    await bench.fail(FAILURES)
    bench.seconds += PAUSE
    assert await bench.breaker.enter() is None
    others = [asyncio.create_task(bench.breaker.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    told = bench.breaker.failed(SLOW)
    assert await asyncio.gather(*others) == [told] * 3
    assert told.kind is FaultKind.TIMEOUT
    assert bench.state() is State.OPEN


async def test_a_trial_that_is_given_up_leaves_the_next_one_to_try() -> None:
    bench = Bench()
    await bench.fail(FAILURES)
    bench.seconds += PAUSE
    assert await bench.breaker.enter() is None
    other = asyncio.create_task(bench.breaker.enter())
    await asyncio.sleep(0)
    bench.breaker.abandoned()
    assert await other is None
    assert bench.state() is State.HALF_OPEN


async def test_a_query_from_before_that_succeeds_closes_it_and_one_that_fails_prolongs_nothing() -> None:
    bench = Bench()
    await bench.fail(FAILURES)
    bench.seconds += PAUSE / 2
    bench.breaker.failed(DOWN)
    bench.seconds += PAUSE / 2
    assert bench.state() is State.HALF_OPEN
    bench.breaker.succeeded()
    assert bench.state() is State.CLOSED


async def test_a_recovery_is_seen_within_the_pause_or_one_poll() -> None:
    """Polls of any period, from any moment on: the first that is let through is the first after the pause."""
    for period in (1.0, 5.0, 15.0, 60.0):
        bench = Bench()
        await bench.fail(FAILURES)
        recovered = 0.3
        while True:
            bench.seconds += period
            if await bench.breaker.enter() is None:
                bench.breaker.succeeded()
                break
        assert bench.seconds - recovered <= max(period, PAUSE)
