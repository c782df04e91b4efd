import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from modelrollout import names
from modelrollout.__main__ import operate
from modelrollout.settings import LogFormat, Settings
from tests.fakeapi.server import FakeApi

NAMESPACE = "shop"
OURS = {"app.kubernetes.io/managed-by": names.FIELD_MANAGER}


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as fake:
        yield fake


@pytest.fixture
def settings(api: FakeApi, tmp_path: Path) -> Settings:
    return replace(
        Settings(),
        kubeconfig=api.kubeconfig(tmp_path / "kubeconfig"),
        probe_port=0,
        lease_namespace="ops",
        log_format=LogFormat.TEXT,
    )


async def until(told: Callable[[], Any], *, seconds: float = 10.0, what: str = "it did not happen") -> Any:
    """Wait for something to become true; the only waiting of these tests."""
    deadline = time.monotonic() + seconds
    while not (answer := told()):
        if time.monotonic() > deadline:
            raise AssertionError(what)
        await asyncio.sleep(0.02)
    return answer


@dataclass
class Replica:
    stop: asyncio.Event
    task: "asyncio.Task[int]"

    async def stopped(self) -> int:
        self.stop.set()
        return await asyncio.wait_for(self.task, 20)


@asynccontextmanager
async def a_replica(settings: Settings) -> AsyncIterator[Replica]:
    """A whole operator in this process."""
    stop = asyncio.Event()
    replica = Replica(stop, asyncio.create_task(operate(settings, stop)))
    try:
        yield replica
    finally:
        stop.set()
        await asyncio.wait({replica.task}, timeout=20)
