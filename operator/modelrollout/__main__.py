"""Environment → Settings → Ports → kopf: the only wiring. Also the console script `modelrollout`."""

import argparse
import asyncio
import logging
import os
import random
import signal
import socket
import sys
import time
import uuid
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernetes.aio.client import ApiClient
from prometheus_client import CollectorRegistry

from modelrollout import __version__
from modelrollout.cluster.api import KubernetesApi
from modelrollout.cluster.connection import connect
from modelrollout.cluster.observe import observe
from modelrollout.cluster.store import WatchStore
from modelrollout.controller.elector import Elector, Terms
from modelrollout.controller.evidence_store import BackgroundMeasurements, EvidenceStore
from modelrollout.controller.kopf_shell import Hearing, configure_logging, watch
from modelrollout.controller.lease_lock import ApiLeaseLock
from modelrollout.controller.ports import Ports, TrafficRouter
from modelrollout.controller.probes import LoopLag, Vitals, application, serve
from modelrollout.controller.reconcile import reconcile
from modelrollout.controller.resync import Resync
from modelrollout.controller.work_queue import Priority, WorkQueue
from modelrollout.controller.workers import Workers
from modelrollout.domain.conditions import Remark
from modelrollout.domain.model_deployment import Key, ModelDeployment, RouterName
from modelrollout.errors import RolloutError
from modelrollout.explain import command as explain
from modelrollout.measure.instruments import Instruments, gateways
from modelrollout.measure.prober import PrometheusProber
from modelrollout.measure.provider_settings import ProviderSettings
from modelrollout.measure.providers import Providers, read_providers
from modelrollout.render.presets import refusal
from modelrollout.render.templates import Templates
from modelrollout.routers.gateway_api import GatewayApiRouter
from modelrollout.routers.replica_ratio import ReplicaRatioRouter
from modelrollout.settings import Settings, SettingsError
from modelrollout.simulate import command as simulate
from modelrollout.simulate import replay_command as replay
from modelrollout.telemetry import Telemetry

EXIT_USAGE = 64
LEASE_REQUEST_S = 3.0
GRACE = timedelta(seconds=10)
"""For walks under way when the process is asked to stop; the pod's own grace is 30 s."""

_logger = logging.getLogger("modelrollout")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="modelrollout", description="Rolls out machine-learning models on Kubernetes."
    )
    parser.add_argument("--version", action="version", version=f"modelrollout {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator; its settings are MODELROLLOUT_* environment variables")
    simulate.add_to(commands, _prepared, gateways())
    replay.add_to(commands)
    explain.add_to(commands)
    try:
        given = parser.parse_args(arguments)
    except SystemExit as left:
        return EXIT_USAGE if left.code else 0
    if given.command != "run":
        code: int = given.act(given)
        return code
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    configure_logging(settings.log_format)
    return _run(settings)


def _run(settings: Settings) -> int:
    """Nothing that hangs may keep the process.

    `asyncio.run` would wait for a task of kopf's that swallows its cancellation, the interpreter for a query's thread.
    """
    loop = asyncio.new_event_loop()
    try:
        code = loop.run_until_complete(operate(settings, asyncio.Event()))
    except BaseException:
        _logger.exception("modelrollout failed; this is a bug, please report it")
        code = 1
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


async def operate(settings: Settings, stop: asyncio.Event) -> int:
    """Run until `stop` or a signal (0), until something ends that must not (1), or not at all (64)."""
    try:
        providers = read_providers(settings)
    except SettingsError as error:
        _logger.error("cannot start: %s", error)  # noqa: TRY400 -- a sentence for a person, no traceback
        return EXIT_USAGE
    try:
        client = await connect(settings.kubeconfig)
    except RolloutError as error:
        _logger.error("cannot start: %s", error.message)  # noqa: TRY400 -- a sentence for a person, no traceback
        return 1
    try:
        return await _Operator(settings, providers, client, stop).run()
    finally:
        await client.close()


@dataclass
class _Loose:
    """Breaks the one circle of the wiring: the API asks for a Lease that is got through the API."""

    elector: Elector | None = None

    def lease_held(self) -> bool:
        return self.elector is not None and self.elector.lease_held()


class _Operator:
    """One process's parts, put together and run."""

    def __init__(
        self, settings: Settings, providers: tuple[ProviderSettings, ...], client: ApiClient, stop: asyncio.Event
    ) -> None:
        self._settings = settings
        self._client = client
        self._stop = stop
        self._telemetry = telemetry = Telemetry(CollectorRegistry())
        self._store = store = WatchStore()
        lease = _Loose()
        self._api = api = KubernetesApi(client, store, lease.lease_held, on_request=telemetry.requested)
        lock = ApiLeaseLock(
            api, namespace=settings.lease_namespace, name=settings.lease_name, timeout_s=LEASE_REQUEST_S
        )
        terms = Terms(
            duration=settings.lease_duration.total_seconds(),
            renew_deadline=settings.lease_renew_deadline.total_seconds(),
            retry=settings.lease_retry.total_seconds(),
            request_timeout=LEASE_REQUEST_S,
        )
        self._elector = lease.elector = Elector(
            lock, _identity(), terms=terms, monotonic=time.monotonic, now=_now, jitter=random.random
        )
        telemetry.watch_lease(settings.lease_name, lease.lease_held)
        self._queue = queue = WorkQueue(clock=time.monotonic, jitter=random.random, on_taken=telemetry.taken)
        telemetry.watch_queue(lambda: queue.depth, lambda: queue.walking)
        self._hearing = Hearing(
            store,
            queue.ring,
            namespaces=settings.watch_namespaces,
            monotonic=time.monotonic,
            on_request=telemetry.requested,
        )
        telemetry.watch_ages(self._hearing.ages)
        self._resync = Resync(
            api,
            store,
            queue.ring,
            namespaces=settings.watch_namespaces,
            is_watched=self._hearing.is_watched,
            period=settings.resync.total_seconds(),
            jitter=random.random,
        )
        evidence = EvidenceStore()
        self._providers = Providers(providers, on_query=telemetry.asked_provider)
        telemetry.watch_breakers(self._providers.states)
        self._instruments = Instruments(gateway=str(settings.gateway), promql=settings.allow_promql)
        self._measurements = BackgroundMeasurements(
            PrometheusProber(self._providers, self._instruments),
            evidence,
            ring=queue.ring,
            ring_after=queue.ring_after,
            on_measured=telemetry.queried,
            monotonic=time.monotonic,
        )
        ports = self._ports(evidence)
        self._workers = Workers(
            queue,
            lambda key: reconcile(key, ports, _now()),
            count=settings.workers,
            lease_held=lease.lease_held,
            telemetry=telemetry,
            monotonic=time.monotonic,
        )
        self._lag = LoopLag(monotonic=time.monotonic, telemetry=telemetry)

    def _ports(self, evidence: EvidenceStore) -> Ports:
        templates = Templates.load()
        store, providers, instruments = self._store, self._providers, self._instruments
        routers: dict[str, TrafficRouter] = {
            RouterName.GATEWAY_API.value: GatewayApiRouter(self._api, templates, store.children),
            RouterName.REPLICA_RATIO.value: ReplicaRatioRouter(self._api, templates, store.children),
        }

        def forget(key: Key) -> None:
            evidence.forget(key)
            self._telemetry.forget(key)

        def refused(desired: ModelDeployment) -> Remark | None:
            return refusal(desired.model, desired.runtime) or instruments.refusal(desired) or providers.unknown(desired)

        return Ports(
            observe=lambda key: observe(
                key, store, routers, evidence.of, refused, completed=instruments.completed, lags=providers.lags
            ),
            children=store.children,
            api=self._api,
            routers=routers,
            templates=templates,
            measurements=self._measurements,
            telemetry=self._telemetry,
            forget=forget,
        )

    async def run(self) -> int:
        """Everything that must not end is watched; whatever ends first ends the process. Crash-only."""
        vitals = Vitals(loop_lag=lambda: self._lag.last, watch_ages=self._hearing.ages, missing=self._hearing.missing)
        runner, port = await serve(application(vitals, self._telemetry), self._settings.probe_port)
        _logger.info("modelrollout %s begins", __version__, extra={"probe_port": port})
        kopf_stop, kopf_ready = asyncio.Event(), asyncio.Event()
        parts = [
            self._part("elector", self._elector.run()),
            self._part("workers", self._lead()),
            self._part("resync", self._resync.run()),
            self._part("loop lag", self._lag.run()),
            self._part("signals", self._heed_signals(kopf_ready)),
        ]
        kopf_part = self._part(
            "kopf",
            watch(
                self._client,
                self._store,
                self._queue.ring,
                self._hearing,
                namespaces=self._settings.watch_namespaces,
                stop=kopf_stop,
                ready=kopf_ready,
            ),
        )
        asked = asyncio.create_task(self._stop.wait(), name="stop")
        ended, _ = await asyncio.wait({*parts, kopf_part, asked}, return_when=asyncio.FIRST_COMPLETED)
        code = 0 if asked in ended else _blame(ended)
        # What we began is finished, then the Lease goes to the next, then the rest.
        await self._workers.stop(GRACE if code == 0 else timedelta(seconds=1))
        await _end([*parts, asked])
        await self._elector.release()
        await self._measurements.stop()
        self._providers.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._api.events_written()
        await runner.cleanup()
        kopf_stop.set()
        await asyncio.wait({kopf_part}, timeout=8)
        await _end([kopf_part])
        _logger.info("modelrollout ends", extra={"exit_code": code})
        return code

    async def _lead(self) -> None:
        """Nothing is decided before the store is the whole truth and the Lease is ours."""
        while self._hearing.missing():  # noqa: ASYNC110 -- what kopf has listed is told by its requests only
            await asyncio.sleep(0.05)
        await self._elector.acquired()
        keys = self._store.keys()
        _logger.info("this replica leads", extra={"deployments": len(keys)})
        for key in keys:
            self._queue.ring(key, Priority.IDLE)
        await self._workers.run()

    async def _heed_signals(self, kopf_ready: asyncio.Event) -> None:
        """SIGTERM and SIGINT stop us in our order; kopf sets its own handlers at its start, so ours come after."""
        await kopf_ready.wait()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError, RuntimeError):  # only the main thread may
                loop.add_signal_handler(name, self._stop.set)
        await asyncio.Event().wait()

    @staticmethod
    def _part(name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=name)


def _blame(ended: set[asyncio.Task[Any]]) -> int:
    for part in ended:
        error = None if part.cancelled() else part.exception()
        _logger.error("%s ended: %s; exiting, to begin afresh", part.get_name(), error or "without an error")
    return 1


async def _end(parts: Sequence[asyncio.Task[Any]]) -> None:
    for part in parts:
        part.cancel()
    await asyncio.gather(*parts, return_exceptions=True)


def _prepared(desired: ModelDeployment, gateway: str) -> ModelDeployment | Remark:
    """What can be told without asking anybody. A simulation leaves gauges out, so that no expression is in its way."""
    instruments = Instruments(gateway=gateway, promql=True)
    desired = instruments.completed(desired)
    return refusal(desired.model, desired.runtime) or instruments.refusal(desired) or desired


def _identity() -> str:
    """Of this process, not of this pod: a restarted container is another candidate for the Lease."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())
