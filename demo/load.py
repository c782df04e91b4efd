"""The users: a steady stream of requests, in a process of its own so that the story never disturbs its pace.

Open loop: request i is due at `start + i / rate`, whether or not earlier ones were answered, and its latency
counts from when it was due; a slow server cannot slow its users down and so look better than it is.
One line per request goes to a file that `demo.users` reads. Sends to private addresses only.
"""

import argparse
import asyncio
import contextlib
import ipaddress
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import aiohttp

from demo.reviews import Review, reviews
from demo.users import Record

TIMEOUT = 10.0
MOST_IN_FLIGHT = 300
"""Above it a request is not sent but counted as failed: a server that answers nothing must not exhaust us."""
TEXTS = 499
"""Different texts before they come round again; a prime, so that no share of the requests meets the same few."""
LONGEST = 1800.0
"""Seconds after which the stream ends by itself, should nobody end it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go: the gateway's own address, with the model's host name in the header."""

    url: str
    host: str

    def __post_init__(self) -> None:
        address = ipaddress.ip_address(urlsplit(self.url).hostname or "")
        if not (address.is_private or address.is_loopback):
            raise ValueError(f"{self.url}: the demo sends its requests to private addresses only")


@contextlib.contextmanager
def sending(target: Target, *, rate: float, records: Path) -> Iterator[None]:
    """Send requests at `rate` per second in another process, until the block ends."""
    with running([sys.executable, "-m", "demo.load", target.url, target.host, str(records), "--rate", str(rate)]):
        yield


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[None]:
    """A request sender as a process of its own, which has to live until the block ends."""
    sender = subprocess.Popen(command, cwd=Path(__file__).parent.parent, start_new_session=True)
    try:
        yield
        if sender.poll() is not None:
            raise RuntimeError(f"the request sender ended early with status {sender.returncode}")
    finally:
        sender.terminate()
        sender.wait()


async def send(target: Target, *, rate: float, seconds: float, out: TextIO) -> None:
    """One request every `1 / rate` seconds for `seconds`, each written to `out` once it is answered.

    Cancelled it sends no more, and still waits for what was asked: who ends the stream fails nobody's request.
    """
    start, in_flight = time.time() + 0.1, set[asyncio.Task[None]]()
    wait = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(timeout=wait, connector=aiohttp.TCPConnector(limit=0)) as session:
        try:
            for number, review in enumerate(cycle(reviews(TEXTS, seed=9))):
                due = start + number / rate
                if due > start + seconds:
                    break
                await asyncio.sleep(due - time.time())
                if len(in_flight) >= MOST_IN_FLIGHT:
                    out.write(Record(due=due, latency=0.0, status=0, version="", right=False).line())
                    continue
                task = asyncio.create_task(_one(session, target, review, due, out))
                in_flight.add(task)
                task.add_done_callback(in_flight.discard)
        finally:
            await asyncio.gather(*in_flight)


async def _one(session: aiohttp.ClientSession, target: Target, review: Review, due: float, out: TextIO) -> None:
    status, version, right = 0, "", False
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with session.post(target.url, headers={"Host": target.host}, json=question(review.text)) as answer:
            body = await answer.read()
            status = answer.status
            if status == 200:
                version, verdict = understood(body)
                right = verdict == ("positive" if review.positive else "negative")
    out.write(Record(due=due, latency=time.time() - due, status=status, version=version, right=right).line())


def question(text: str) -> dict[str, list[dict[str, object]]]:
    """An inference request of one text, in the protocol that KServe, MLServer and Triton share (V2)."""
    parameters = {"content_type": "str"}
    return {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text], "parameters": parameters}]}


def understood(body: bytes) -> tuple[str, str]:
    """Which version answered, and what."""
    answer = json.loads(body)
    return str(answer.get("model_version", "")), str(answer["outputs"][0]["data"][0])


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("host")
    parser.add_argument("records", type=Path)
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=LONGEST)
    given = parser.parse_args()
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    target = Target(url=given.url, host=given.host)
    with given.records.open("a", buffering=1) as out, contextlib.suppress(asyncio.CancelledError):
        await send(target, rate=given.rate, seconds=min(given.seconds, LONGEST), out=out)


if __name__ == "__main__":
    asyncio.run(_main())
