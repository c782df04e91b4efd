"""The users of the benchmarks: a steady, open-loop stream of requests in a process of its own.

Request i is due at `start + i / rate`, answered or not. One line per request goes to a file. Sends to private
addresses only, and ends by itself after `seconds`. Unlike demo.load it knows who failed: the servers of the
benchmarks name their version in every answer.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self, TextIO

import aiohttp

from demo.load import Target, running

TIMEOUT = 10.0
LONGEST = 900.0
"""Seconds after which a stream ends, should nobody end it before or ask for more."""
MOST_IN_FLIGHT = 500
VERSION_HEADER = "X-Version"


class Request(NamedTuple):
    """One request as its user saw it; times are seconds since 1970. `status` 0: no answer at all."""

    due: float
    sent: float
    answered: float
    status: int
    version: str
    """Who answered; empty where the gateway itself did, or nobody."""

    @property
    def failed(self) -> bool:
        return self.status != 200

    @property
    def latency(self) -> float:
        """From when it was due: a slow server cannot slow its users down and so look better than it is."""
        return self.answered - self.due

    def line(self) -> str:
        return f"{self.due:.4f}\t{self.sent:.4f}\t{self.answered:.4f}\t{self.status}\t{self.version}\n"

    @classmethod
    def of(cls, line: str) -> Self:
        due, sent, answered, status, version = line.rstrip("\n").split("\t")
        return cls(float(due), float(sent), float(answered), int(status), version)


def read(lines: Iterable[str]) -> list[Request]:
    """Every whole line; the last may still be in the writing."""
    return [Request.of(line) for line in lines if line.endswith("\n")]


@contextlib.contextmanager
def sending(target: Target, *, rate: float, records: Path, seconds: float = LONGEST) -> Iterator[None]:
    """Send requests at `rate` per second in another process, until the block ends."""
    command = [sys.executable, "-m", "benchmarks.load", target.url, target.host, str(records)]
    command += ["--rate", str(rate), "--seconds", str(seconds)]
    with running(command):
        yield


async def send(target: Target, *, rate: float, seconds: float, out: TextIO) -> None:
    start, in_flight = time.time() + 0.1, set[asyncio.Task[None]]()
    wait = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(timeout=wait, connector=aiohttp.TCPConnector(limit=0)) as session:
        for number in range(int(seconds * rate)):
            due = start + number / rate
            await asyncio.sleep(due - time.time())
            if len(in_flight) >= MOST_IN_FLIGHT:
                now = time.time()
                out.write(Request(due, now, now, 0, "").line())
                continue
            task = asyncio.create_task(_one(session, target, due, out))
            in_flight.add(task)
            task.add_done_callback(in_flight.discard)


async def _one(session: aiohttp.ClientSession, target: Target, due: float, out: TextIO) -> None:
    status, version, sent = 0, "", time.time()
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with session.get(target.url, headers={"Host": target.host}) as answer:
            await answer.read()
            status, version = answer.status, answer.headers.get(VERSION_HEADER, "")
    out.write(Request(due, sent, time.time(), status, version).line())


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("host")
    parser.add_argument("records", type=Path)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    with given.records.open("a", buffering=1) as out, contextlib.suppress(asyncio.CancelledError):
        await send(Target(url=given.url, host=given.host), rate=given.rate, seconds=given.seconds, out=out)


if __name__ == "__main__":
    asyncio.run(_main())
