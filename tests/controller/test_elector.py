import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from modelrollout.controller.elector import Elector, LeaseLostError, LeaseRecord, Terms
from modelrollout.errors import ClusterUnavailable, StaleView
from tests.controller.virtual_time import run

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Lock:
    """One Lease with optimistic locking; `slow(op)` gives seconds before and after it takes effect, or None to fail."""

    def __init__(self) -> None:
        self.record: LeaseRecord | None = None
        self.version = 0
        self.writers: list[str] = []

    def door(self, slow: Callable[[], tuple[float, float] | None] = lambda: (0.0, 0.0)) -> "Door":
        return Door(self, slow)


class Door:
    def __init__(self, lock: Lock, slow: Callable[[], tuple[float, float] | None]) -> None:
        self.lock, self.slow = lock, slow

    async def _delayed(self) -> float:
        delays = self.slow()
        if delays is None:
            raise ClusterUnavailable("down")
        await asyncio.sleep(delays[0])
        return delays[1]

    async def read(self) -> LeaseRecord | None:
        after = await self._delayed()
        record = self.lock.record
        await asyncio.sleep(after)
        return record

    async def create(self, record: LeaseRecord) -> LeaseRecord:
        return await self._write(record)

    async def update(self, record: LeaseRecord) -> LeaseRecord:
        return await self._write(record)

    async def _write(self, record: LeaseRecord) -> LeaseRecord:
        """A request that is given up on may still arrive: it goes on by itself."""
        delays = self.slow()
        if delays is None:
            raise ClusterUnavailable("down")
        return await asyncio.shield(asyncio.ensure_future(self._arrive(record, *delays)))

    async def _arrive(self, record: LeaseRecord, before: float, after: float) -> LeaseRecord:
        await asyncio.sleep(before)
        present = self.lock.record.resource_version if self.lock.record else ""
        if record.resource_version != present:
            raise StaleView("moved on")
        self.lock.version += 1
        self.lock.record = replace(record, resource_version=str(self.lock.version))
        self.lock.writers.append(record.holder)
        written = self.lock.record
        await asyncio.sleep(after)
        return written


def an_elector(lock: Lock, name: str, slow: Callable[[], tuple[float, float] | None] | None = None) -> Elector:
    loop = asyncio.get_running_loop()
    return Elector(
        lock.door(slow) if slow else lock.door(),
        name,
        terms=Terms(),
        monotonic=loop.time,
        now=lambda: EPOCH + timedelta(seconds=loop.time()),
        jitter=lambda: 0.5,
    )


async def _cancelled(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_the_first_takes_the_lease_and_the_second_waits() -> None:
    async def story() -> None:
        lock = Lock()
        first, second = an_elector(lock, "first"), an_elector(lock, "second")
        tasks = [asyncio.create_task(first.run()), asyncio.create_task(second.run())]
        await asyncio.sleep(120)
        assert first.lease_held()
        assert not second.lease_held()
        assert lock.record is not None
        assert lock.record.transitions == 0
        await _cancelled(*tasks)

    run(story())


def test_a_holder_that_falls_silent_is_replaced_after_the_duration_and_not_before() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        lock = Lock()
        first, second = an_elector(lock, "first"), an_elector(lock, "second")
        task = asyncio.create_task(first.run())
        await asyncio.sleep(1)
        other = asyncio.create_task(second.run())
        await asyncio.sleep(20)
        await _cancelled(task)
        silent_since = loop.time()
        await second.acquired()
        waited = loop.time() - silent_since
        assert 12 < waited < 19
        assert not first.lease_held()
        assert lock.record is not None
        assert lock.record.transitions == 1
        await _cancelled(other)

    run(story())


def test_a_released_lease_is_taken_within_a_retry() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        lock = Lock()
        first, second = an_elector(lock, "first"), an_elector(lock, "second")
        task = asyncio.create_task(first.run())
        await asyncio.sleep(1)
        other = asyncio.create_task(second.run())
        await asyncio.sleep(5)
        await _cancelled(task)
        await first.release()
        assert not first.lease_held()
        at = loop.time()
        await second.acquired()
        assert loop.time() - at < 3
        await _cancelled(other)

    run(story())


def test_a_holder_that_cannot_renew_stops_believing_after_the_deadline_and_ends() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        lock, up = Lock(), [True]
        elector = an_elector(lock, "first", lambda: (0.0, 0.0) if up[0] else None)
        task = asyncio.create_task(elector.run())
        await asyncio.sleep(30)
        up[0] = False
        down_since = loop.time()
        with pytest.raises(LeaseLostError):
            await task
        assert loop.time() - down_since < 13
        assert not elector.lease_held()

    run(story())


def test_a_short_outage_costs_nothing() -> None:
    async def story() -> None:
        lock, up = Lock(), [True]
        elector = an_elector(lock, "first", lambda: (0.0, 0.0) if up[0] else None)
        task = asyncio.create_task(elector.run())
        await asyncio.sleep(30)
        up[0] = False
        await asyncio.sleep(6)
        assert elector.lease_held()
        up[0] = True
        await asyncio.sleep(30)
        assert elector.lease_held()
        await _cancelled(task)

    run(story())


def test_a_renewal_whose_answer_was_lost_is_found_again() -> None:
    async def story() -> None:
        lock = Lock()
        slow = iter([(0.0, 0.0)] * 6 + [(0.0, 8.0)] + [(0.0, 0.0)] * 100)
        elector = an_elector(lock, "first", lambda: next(slow))
        task = asyncio.create_task(elector.run())
        for _ in range(300):
            await asyncio.sleep(0.1)
            assert not task.done()
            assert elector.lease_held() or not lock.writers
        await _cancelled(task)

    run(story())


def test_why_there_is_no_lease_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        elector = an_elector(Lock(), "first", lambda: None)
        task = asyncio.create_task(elector.run())
        await asyncio.sleep(60)
        await _cancelled(task)

    run(story())
    assert [record.getMessage() for record in caplog.records] == [
        "the Lease could be neither taken nor renewed: down",
    ]


def test_a_lease_taken_by_another_is_given_up_at_once() -> None:
    async def story() -> None:
        lock = Lock()
        elector = an_elector(lock, "first")
        task = asyncio.create_task(elector.run())
        await asyncio.sleep(30)
        assert lock.record is not None
        lock.version += 1
        lock.record = replace(lock.record, holder="usurper", resource_version=str(lock.version))
        with pytest.raises(LeaseLostError):
            await task
        assert not elector.lease_held()

    run(story())


def test_a_deleted_lease_ends_the_holder() -> None:
    async def story() -> None:
        lock = Lock()
        elector = an_elector(lock, "first")
        task = asyncio.create_task(elector.run())
        await asyncio.sleep(30)
        lock.record = None
        with pytest.raises(LeaseLostError):
            await task

    run(story())


class Chaos:
    """Requests that are lost, slow to arrive, or slow to be answered; then quiet, to see that somebody leads."""

    def __init__(self, seed: str, severity: float, until: float) -> None:
        self.random, self.severity, self.until = random.Random(seed), severity, until

    def __call__(self) -> tuple[float, float] | None:
        if asyncio.get_running_loop().time() > self.until or self.random.random() > self.severity:
            return (0.0, 0.0)
        return self.random.choice([None, (9.0, 0.0), (0.0, 9.0), (2.0, 2.0), (0.5, 0.0), (30.0, 0.0), (3.0, 0.0)])


@hypothesis_settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), severity=st.floats(0, 0.9))
def test_two_never_believe_at_once_and_somebody_leads_in_the_end(seed: int, severity: float) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        lock, alive = Lock(), dict[str, Elector]()

        async def replica(name: str) -> None:
            """A pod that is restarted whenever its elector ends, as another candidate."""
            for life in range(1000):
                chaos = Chaos(f"{seed} {name} {life}", severity, until=150)
                elector = alive[name] = an_elector(lock, f"{name}-{life}", chaos)
                with suppress(LeaseLostError):
                    await elector.run()
                await asyncio.sleep(1)

        tasks = [asyncio.create_task(replica(name)) for name in ("a", "b", "c")]
        while loop.time() < 200:
            await asyncio.sleep(0.2)
            believers = [name for name, elector in alive.items() if elector.lease_held()]
            assert len(believers) <= 1, f"at {loop.time():.1f}: {believers}"
        assert sum(elector.lease_held() for elector in alive.values()) == 1
        await _cancelled(*tasks)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    run(story())
