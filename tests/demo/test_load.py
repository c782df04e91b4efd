"""The stream of users' requests."""

import asyncio
import io
import json

from aiohttp import web
from aiohttp.test_utils import TestServer

from demo.load import Target, send
from demo.users import read


def test_a_stream_that_is_ended_still_waits_for_what_was_asked() -> None:
    out = io.StringIO()

    async def story() -> None:
        asked, answered = asyncio.Event(), asyncio.Event()

        async def slowly(_: web.Request) -> web.Response:
            asked.set()
            await answered.wait()
            body = {"model_version": "2", "outputs": [{"data": ["positive"]}]}
            return web.Response(body=json.dumps(body).encode())

        app = web.Application()
        app.router.add_post("/infer", slowly)
        async with TestServer(app, host="127.0.0.1") as server:
            target = Target(url=str(server.make_url("/infer")), host="sentiment.example.com")
            stream = asyncio.create_task(send(target, rate=100.0, seconds=60.0, out=out))
            await asked.wait()
            stream.cancel()
            answered.set()
            await asyncio.gather(stream, return_exceptions=True)

    asyncio.run(story())
    records = read(out.getvalue().splitlines(keepends=True))
    assert records
    assert {(record.status, record.version) for record in records} == {(200, "2")}
