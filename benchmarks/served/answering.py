"""The smallest model server: answers after a set time, and fails a set share of its requests with 500.

Runs in the pods of the benchmarks with nothing but Python; every answer names its version, failures too. MODEL_VERSION
comes from the operator's preset `custom`, the rest from the ModelDeployment; a request for `/be?error_rate=0.5` changes
what it does while it runs, by the names in lower case.

PORT          where it answers
ERROR_RATE    share of the requests that fail, 0 to 1
LATENCY       seconds until it answers, the median of a lognormal distribution; 0: at once
CRASH_AFTER   seconds until the process ends with status 1; 0: never
METRICS_PORT  counts its requests there, in MLServer's series; 0: does not
METRICS       on, or off: whoever scrapes is cut off

What begins with /v2/ is a probe in MLServer's protocol: answered well, and not counted.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from urllib.parse import parse_qsl, urlsplit

SIGMA = 0.5
"""Of the logarithm of the latency: the slowest of twenty takes 2.3 times the median."""
SERIES = "rest_server_requests_total"


def answer(status: str, body: str, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body)).encode()


class Behaviour:
    """What the server does now, and what it has done."""

    def __init__(self) -> None:
        self.version = os.environ.get("MODEL_VERSION", "")
        self.error_rate = float(os.environ.get("ERROR_RATE", "0"))
        self.latency = float(os.environ.get("LATENCY", "0"))
        self.metrics = os.environ.get("METRICS", "on")
        self.counts = Counter[str]()

    def change(self, wish: dict[str, str]) -> None:
        self.error_rate = float(wish.get("error_rate", self.error_rate))
        self.latency = float(wish.get("latency", self.latency))
        self.metrics = wish.get("metrics", self.metrics)

    def answered(self) -> bytes:
        status = "500 Internal Server Error" if random.random() < self.error_rate else "200 OK"
        self.counts[status[:3]] += 1
        return answer(status, f'{{"version": "{self.version}"}}', f"X-Version: {self.version}")

    def delay(self) -> float:
        return self.latency * random.lognormvariate(0, SIGMA) if self.latency else 0.0

    def scraped(self) -> bytes:
        lines = (
            f'{SERIES}{{method="POST",path="/v2/models/bench/infer",status_code="{code}"}} {count}\n'
            for code, count in sorted(self.counts.items())
        )
        return answer("200 OK", f"# TYPE {SERIES} counter\n{''.join(lines)}", "Content-Type: text/plain; version=0.0.4")


class Connection(asyncio.Protocol):
    """Requests have no body, so each ends with an empty line."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._pending = (self._pending + data).split(b"\r\n\r\n")
        for request in requests:
            asked = urlsplit(request.split(b" ", 2)[1].decode())
            self.asked(asked.path, dict(parse_qsl(asked.query)))

    def asked(self, path: str, query: dict[str, str]) -> None:
        raise NotImplementedError

    def reply(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


class Server(Connection):
    def asked(self, path: str, query: dict[str, str]) -> None:
        if path == "/be":
            self._behaviour.change(query)
            self.reply(answer("200 OK", "as you wish"))
        elif path.startswith("/v2/"):
            self.reply(answer("200 OK", "ready"))
        elif delay := self._behaviour.delay():
            asyncio.get_running_loop().call_later(delay, lambda: self.reply(self._behaviour.answered()))
        else:
            self.reply(self._behaviour.answered())


class Metrics(Connection):
    def asked(self, path: str, query: dict[str, str]) -> None:  # noqa: ARG002 -- there is one page only
        if self._behaviour.metrics == "off":
            self._transport.abort()
        else:
            self.reply(self._behaviour.scraped())


async def main() -> None:
    stop, behaviour = asyncio.Event(), Behaviour()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    crash_after, metrics_port = float(os.environ.get("CRASH_AFTER", "0")), int(os.environ.get("METRICS_PORT", "0"))
    if crash_after:
        loop.call_later(crash_after, os._exit, 1)
    anywhere = "0.0.0.0"  # noqa: S104 -- in a pod
    if metrics_port:
        await loop.create_server(lambda: Metrics(behaviour), anywhere, metrics_port)
    server = await loop.create_server(lambda: Server(behaviour), anywhere, int(os.environ["PORT"]), backlog=256)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
