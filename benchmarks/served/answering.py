"""The smallest model server: answers at once, and fails a set share of its requests with 500.

Runs in the pods of the benchmarks with nothing but Python; every answer names its version, failures too.
PORT and MODEL_VERSION come from the operator's preset `custom`, ERROR_RATE from the ModelDeployment.
"""

import asyncio
import os
import random
import signal

VERSION = os.environ.get("MODEL_VERSION", "")
ERROR_RATE = float(os.environ.get("ERROR_RATE", "0"))


def answer(status: str) -> bytes:
    body = f'{{"version": "{VERSION}"}}'
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}X-Version: {VERSION}\r\n\r\n{body}".encode()


GOOD, BAD = answer("200 OK"), answer("500 Internal Server Error")


class Server(asyncio.Protocol):
    """Requests have no body, so each ends with an empty line."""

    def __init__(self) -> None:
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._pending = (self._pending + data).split(b"\r\n\r\n")
        for _ in requests:
            self._transport.write(BAD if random.random() < ERROR_RATE else GOOD)


async def main() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Server, "0.0.0.0", int(os.environ["PORT"]), backlog=256)  # noqa: S104 -- in a pod
    async with server:
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
