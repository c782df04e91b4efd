"""/healthz, /readyz and /metrics.

Says whether this process works, never whether it leads: a warm standby is healthy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from modelrollout.telemetry import Telemetry

OLDEST_WATCH = timedelta(seconds=210)
"""Three times the silence after which a watch is opened again: it should have been heard long ago."""
LONGEST_LAG = timedelta(seconds=5)
"""Half of the Lease's renewal deadline."""


class LoopLag:
    """How late the event loop wakes a sleeper: what else runs in it is too long by so much."""

    def __init__(self, *, monotonic: Callable[[], float], telemetry: Telemetry, every: float = 1.0) -> None:
        self._monotonic = monotonic
        self._telemetry = telemetry
        self._every = every
        self.last = timedelta(0)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        while True:
            began = self._monotonic()
            await sleep(self._every)
            lag = max(self._monotonic() - began - self._every, 0.0)
            self.last = timedelta(seconds=lag)
            self._telemetry.lagged(lag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    loop_lag: Callable[[], timedelta]
    watch_ages: Callable[[], Mapping[str, timedelta]]
    missing: Callable[[], tuple[str, ...]]
    """Kinds not listed to the end yet."""


def unhealthy(vitals: Vitals) -> tuple[str, ...]:
    """Why the process should be restarted; empty while it is well."""
    lag = vitals.loop_lag()
    slow = (f"the event loop is {lag.total_seconds():.1f} s late",) if lag > LONGEST_LAG else ()
    silent = tuple(
        f"the watch on {kind} was last heard {age.total_seconds():.0f} s ago"
        for kind, age in sorted(vitals.watch_ages().items())
        if age > OLDEST_WATCH
    )
    return slow + silent


def unready(vitals: Vitals) -> tuple[str, ...]:
    """What is not there yet; empty once the store is the whole truth."""
    return tuple(
        f"{plural} are not listed yet; if this stays, check that the CRD is installed and the role may list and watch"
        for plural in vitals.missing()
    )


def application(vitals: Vitals, telemetry: Telemetry) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        return _answer(unhealthy(vitals))

    async def readyz(_: web.Request) -> web.Response:
        return _answer(unready(vitals))

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(telemetry.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app


async def serve(app: web.Application, port: int) -> tuple[web.AppRunner, int]:
    """Serving until the runner's cleanup; the second is the port, for a setting of 0."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, port=port)
    await site.start()
    bound: int = runner.addresses[0][1]
    return runner, bound


def _answer(problems: tuple[str, ...]) -> web.Response:
    return web.Response(status=503 if problems else 200, text="\n".join(problems or ("ok",)) + "\n")
