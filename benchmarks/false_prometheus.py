"""Stands in for answers that a real Prometheus cannot be made to give: asks the real one, and falsifies what it said.

`python -m benchmarks.false_prometheus <address> <port> <url of Prometheus>`; `PUT /false/<name>` chooses how, from now
on. The falsifications are pure.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

Document = dict[str, Any]
OFF = 90.0
"""Seconds by which Prometheus' clock is wrong."""


def _as_it_is(document: Document) -> Document:
    return document


def _with_values(document: Document, change: Callable[[float, str], list[Any]]) -> Document:
    result = [
        {**row, "values": [change(at, value) for at, value in row["values"]]} for row in document["data"]["result"]
    ]
    return {**document, "data": {**document["data"], "result": result}}


def not_a_number(document: Document) -> Document:
    return _with_values(document, lambda at, _: [at, "NaN"])


def shifted(document: Document, seconds: float) -> Document:
    return _with_values(document, lambda at, value: [at + seconds, value])


def empty(document: Document) -> Document:
    return {**document, "data": {"resultType": "matrix", "result": []}}


def vector(document: Document) -> Document:
    """As an instant query without a range gives it: one value for each series."""
    result = [{"metric": row["metric"], "value": row["values"][-1]} for row in document["data"]["result"]]
    return {**document, "data": {"resultType": "vector", "result": result}}


def in_part(document: Document) -> Document:
    """As Thanos answers when one of its stores does not."""
    return {**document, "warnings": ["1 of 2 stores did not answer"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Falsification:
    status: int = 200
    answer: Callable[[Document], Document] = _as_it_is
    clock: float = 0.0
    """Seconds by which Prometheus' clock is ahead: what it stamps with t happened at t minus so much."""

    def question(self, form: Mapping[str, str]) -> dict[str, str]:
        """What to ask the real one, whose clock is right."""
        return {**form, "time": f"{float(form['time']) - self.clock:.3f}"} if "time" in form else dict(form)

    def told(self, document: Document) -> Document:
        return self.answer(shifted(document, self.clock) if self.clock else document)


FALSIFICATIONS = {
    "nothing": Falsification(),
    "503": Falsification(status=503),
    "nan": Falsification(answer=not_a_number),
    "empty": Falsification(answer=empty),
    "vector": Falsification(answer=vector),
    "in-part": Falsification(answer=in_part),
    "clock-ahead": Falsification(clock=OFF),
    "clock-behind": Falsification(clock=-OFF),
}


class Server:
    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._now = FALSIFICATIONS["nothing"]

    async def choose(self, request: web.Request) -> web.Response:
        self._now = FALSIFICATIONS[request.match_info["name"]]
        return web.Response(text="as you wish\n")

    async def answer(self, request: web.Request) -> web.Response:
        now = self._now
        if now.status != 200:
            return web.Response(status=now.status, text="Service Unavailable\n")
        form = {name: str(value) for name, value in (await request.post()).items()}
        url = self._upstream + request.path
        async with aiohttp.ClientSession() as session, session.post(url, data=now.question(form)) as said:
            if said.status != 200:
                return web.Response(status=said.status, text=await said.text())
            document = await said.json()
        return web.Response(text=json.dumps(now.told(document)), content_type="application/json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("upstream")
    given = parser.parse_args()
    server, app = Server(given.upstream), web.Application()
    app.router.add_put("/false/{name}", server.choose)
    app.router.add_post("/{path:.*}", server.answer)
    web.run_app(app, host=given.address, port=given.port, print=None)


if __name__ == "__main__":
    main()
