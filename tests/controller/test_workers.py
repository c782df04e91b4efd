import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from modelrollout.controller.work_queue import WorkQueue
from modelrollout.controller.workers import AT_ONCE_IN_A_ROW, Workers
from modelrollout.domain.model_deployment import Key
from modelrollout.errors import ClusterUnavailable, StaleView
from modelrollout.telemetry import Telemetry

A = Key(namespace="shop", name="a")


class Bench:
    def __init__(self, answer: Callable[[int], timedelta | None]) -> None:
        self.now = 0.0
        self.walks = 0
        self.answer = answer
        self.telemetry = Telemetry(CollectorRegistry())
        self.queue = WorkQueue(clock=lambda: self.now, jitter=lambda: 1.0)
        self.held = True
        self.workers = Workers(
            self.queue,
            self.reconcile,
            count=2,
            lease_held=lambda: self.held,
            telemetry=self.telemetry,
            monotonic=lambda: self.now,
        )

    async def reconcile(self, key: Key) -> timedelta | None:
        self.walks += 1
        return self.answer(self.walks)

    async def walk(self) -> None:
        key = self.queue.take()
        assert key is not None
        await self.workers.walk(key)

    def counted(self, result: str) -> float | None:
        labels = {"controller": "modeldeployment", "result": result}
        return self.telemetry.registry.get_sample_value("controller_runtime_reconcile_total", labels)


async def test_a_walk_that_wishes_nothing_rests() -> None:
    bench = Bench(lambda _: None)
    bench.queue.ring(A)
    await bench.walk()
    bench.now = 1e9
    assert bench.queue.take() is None
    assert bench.counted("success") == 1


async def test_a_wish_is_kept() -> None:
    bench = Bench(lambda _: timedelta(seconds=5))
    bench.queue.ring(A)
    await bench.walk()
    bench.now = 4.9
    assert bench.queue.take() is None
    bench.now = 5.0
    assert bench.queue.take() == A


async def test_a_commit_is_followed_at_once() -> None:
    bench = Bench(lambda walk: timedelta(0) if walk == 1 else None)
    bench.queue.ring(A)
    await bench.walk()
    await bench.walk()
    assert bench.queue.take() is None


async def test_an_old_view_is_looked_at_again_at_once() -> None:
    def answer(walk: int) -> timedelta | None:
        if walk == 1:
            raise StaleView("moved on")
        return None

    bench = Bench(answer)
    bench.queue.ring(A)
    await bench.walk()
    await bench.walk()
    assert bench.walks == 2


async def test_a_circle_is_slowed_down_and_told(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(lambda _: timedelta(0))
    bench.queue.ring(A)
    for _ in range(AT_ONCE_IN_A_ROW):
        await bench.walk()
    assert bench.queue.take() is None
    assert "circles" in caplog.text
    bench.now += 0.25
    await bench.walk()
    bench.now += 0.25
    assert bench.queue.take() is None, "the pause doubles"
    bench.now += 0.25
    assert bench.queue.take() == A


async def test_an_api_server_that_is_down_is_left_alone_for_as_long_as_it_says() -> None:
    def answer(_: int) -> timedelta | None:
        raise ClusterUnavailable("busy", retry_after=timedelta(seconds=7))

    bench = Bench(answer)
    bench.queue.ring(A)
    await bench.walk()
    bench.now = 6.9
    assert bench.queue.take() is None
    bench.now = 7.0
    assert bench.queue.take() == A
    assert bench.counted("error") == 1


async def test_a_bug_is_logged_with_its_traceback_and_the_key_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    def answer(_: int) -> timedelta | None:
        raise ZeroDivisionError

    bench = Bench(answer)
    bench.queue.ring(A)
    with caplog.at_level(logging.ERROR):
        await bench.walk()
    assert "ZeroDivisionError" in caplog.text
    bench.now = 0.25
    assert bench.queue.take() == A
    assert bench.telemetry.registry.get_sample_value(
        "controller_runtime_reconcile_errors_total", {"controller": "modeldeployment"}
    )


async def test_without_the_lease_nothing_is_walked_and_no_ring_is_lost() -> None:
    bench = Bench(lambda _: None)
    bench.held = False
    bench.queue.ring(A)
    running = asyncio.create_task(bench.workers.run())
    await asyncio.sleep(0.05)
    assert bench.walks == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert bench.queue.take() == A


async def test_a_stop_lets_a_walk_end_and_begins_no_other() -> None:
    bench = Bench(lambda _: None)
    going, goon = asyncio.Event(), asyncio.Event()

    async def slow(key: Key) -> timedelta | None:
        bench.walks += 1
        going.set()
        await goon.wait()
        return None

    bench.workers._reconcile = slow
    bench.queue.ring(A)
    running = asyncio.create_task(bench.workers.run())
    await going.wait()
    stopping = asyncio.create_task(bench.workers.stop(timedelta(seconds=5)))
    await asyncio.sleep(0)
    bench.queue.ring(Key(namespace="shop", name="b"))
    goon.set()
    await stopping
    assert bench.walks == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_walk_that_hangs_is_cut_off_after_the_grace() -> None:
    bench = Bench(lambda _: None)
    cut = asyncio.Event()

    async def hangs(key: Key) -> timedelta | None:
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()
        return None

    bench.workers._reconcile = hangs
    bench.queue.ring(A)
    running = asyncio.create_task(bench.workers.run())
    await asyncio.sleep(0.01)
    await bench.workers.stop(timedelta(milliseconds=10))
    assert cut.is_set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
