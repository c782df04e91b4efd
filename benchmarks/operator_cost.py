"""What the operator costs: CPU of a walk, memory with 1 and with 500 ModelDeployments, CPU at rest.

Needs etcd and an API server only; `stand_in` plays the rest of the cluster.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import audit
from benchmarks.arena import say
from benchmarks.result import Result, Table
from benchmarks.stand_in import StandIn
from benchmarks.walks import Desk, Walk, cost_of_a_poll, walked, with_evidence
from devcluster import ApiServer
from devcluster.build import gateway_api_crds
from devcluster.processes import wait_until
from modelrollout import names
from modelrollout.cluster.api import MERGE, KubernetesApi
from modelrollout.cluster.connection import connect
from modelrollout.cluster.kinds import MODEL_DEPLOYMENT, WATCHED, Live
from modelrollout.cluster.store import WatchStore
from modelrollout.domain.model_deployment import Key
from tests.api_server import install_crd

FLEET = 500
AT_REST = 60.0
SETTLING = 15.0
RESYNC = 20
NAMESPACE = "fleet"
LEASES = "modelrollout-system"
ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Of a process, so far."""

    cpu: float
    """Seconds."""
    memory: float
    """MiB, resident."""
    peak: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        proc = Path(f"/proc/{pid}")
        return cls.read((proc / "stat").read_text(), (proc / "status").read_text())

    @classmethod
    def read(cls, stat: str, status: str) -> "Usage":
        """Out of the process's files in /proc."""
        times = stat.rpartition(")")[2].split()[11:13]
        sizes = dict(line.split(":", 1) for line in status.splitlines())
        return cls(
            cpu=sum(map(int, times)) / TICKS,
            memory=int(sizes["VmRSS"].split()[0]) / 1024,
            peak=int(sizes["VmHWM"].split()[0]) / 1024,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One row: what the operator was given, and what it then cost."""

    title: str
    usage: Usage
    at_rest: float | None = None
    """CPU per cent of one core at rest."""
    requests: float | None = None
    """A minute at rest, watches and the Lease aside."""

    def row(self) -> tuple[str, ...]:
        rest = "–" if self.at_rest is None else f"{self.at_rest:.2f} %"
        requests = "–" if self.requests is None else f"{self.requests:.1f}"
        return (self.title, f"{self.usage.memory:.0f}", f"{self.usage.peak:.0f}", rest, requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What happens now and then, with the whole fleet."""

    arrival: float
    """Seconds from the first ModelDeployment's creation until all serve."""
    each: float
    """CPU seconds of the operator for each of them."""
    start: float
    """CPU seconds from a start to its rest."""
    resyncs: int
    """How many were seen."""
    requests: float
    """Of one resync."""
    resync: float
    """CPU seconds of one."""


def measure(repetitions: int | None) -> Result:
    """`repetitions` is the size of the fleet."""
    fleet = FLEET if repetitions is None else repetitions
    with ApiServer("bench-api") as server:
        _install(server)
        return asyncio.run(_measured(server, fleet))


def _install(server: ApiServer) -> None:
    routes = [path for path in gateway_api_crds() if path.name.endswith("_httproutes.yaml")]
    for path in (*sorted((ROOT / "crds").glob("*.yaml")), *routes):
        install_crd(server, path, yaml.safe_load(path.read_text())["metadata"]["name"])
    for namespace in (NAMESPACE, LEASES):
        server.kubectl("create", "namespace", namespace)
    server.kubectl("create", "serviceaccount", "default", "-n", NAMESPACE)


async def _measured(server: ApiServer, fleet: int) -> Result:
    client = await connect(server.kubeconfig)
    api = KubernetesApi(client, WatchStore(), lambda: True)
    stand_in = StandIn(api, NAMESPACE)
    stages: list[Stage] = []
    try:
        with _operator(server) as pid:
            await asyncio.sleep(3)
            stages.append(Stage(title="started, no ModelDeployment", usage=Usage.of(pid)))
            await _create(api, 0, 1)
            await stand_in.until_stable(1, seconds=60)
            stages.append(await _at_rest(server, pid, "1 ModelDeployment"))
            before, began = Usage.of(pid), time.monotonic()
            await _create(api, 1, fleet)
            await stand_in.until_stable(fleet, seconds=300)
            arrival, spent = time.monotonic() - began, Usage.of(pid).cpu - before.cpu
            stages.append(await _at_rest(server, pid, f"{fleet} ModelDeployments"))
        with _operator(server) as pid:
            stages.append(await _at_rest(server, pid, f"{fleet} ModelDeployments, after a restart"))
            start = Usage.of(pid).cpu
        with _operator(server, {"MODELROLLOUT_RESYNC": f"{RESYNC}s"}) as pid:
            resyncs, requests, resync = await _resyncs(server, pid)
            await _to_canary(api, stand_in)
            lives = [live for kind in WATCHED for live in await stand_in.listed(kind)]
    finally:
        await client.close()
    once = Once(
        arrival=arrival,
        each=spent / max(fleet - 1, 1),
        start=start,
        resyncs=resyncs,
        requests=requests,
        resync=resync,
    )
    say("walks in this process")
    return told(stages, await _walks(lives, fleet), once, fleet)


@contextlib.contextmanager
def _operator(server: ApiServer, more: dict[str, str] | None = None) -> Iterator[int]:
    """The operator as a process of its own, leading."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "MODELROLLOUT_KUBECONFIG": str(server.kubeconfig),
        "MODELROLLOUT_PROBE_PORT": str(port),
        "MODELROLLOUT_LEASE_NAMESPACE": LEASES,
        **(more or {}),
    }
    with tempfile.NamedTemporaryFile("w+", prefix="modelrollout-bench-", suffix=".log") as log:
        command = [sys.executable, "-m", "modelrollout", "run"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            if not wait_until(lambda: _leads(port), 60):
                raise RuntimeError(f"the operator does not lead: {Path(log.name).read_text()[-2000:]}")
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _leads(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return False
    return any(line.startswith("leader_election_master_status{") and line.endswith(" 1.0") for line in lines)


async def _create(api: KubernetesApi, first: int, last: int) -> None:
    gate = asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with gate:
            await api.request("POST", MODEL_DEPLOYMENT.path(NAMESPACE), body=_model_deployment(number, "1"))

    await asyncio.gather(*(one(number) for number in range(first, last)))


def _name(number: int) -> str:
    return f"model-{number}"


def _model_deployment(number: int, version: str) -> dict[str, Any]:
    gateway = {"parentRefs": [{"name": "public", "namespace": "infra"}], "hostnames": [f"{_name(number)}.example.com"]}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": _name(number), "namespace": NAMESPACE},
        "spec": {
            "model": {"version": version, "uri": f"pvc://models/{_name(number)}/{version}"},
            "runtime": {"preset": "mlserver"},
            "scaling": {"mode": "fixed", "replicas": 1},
            "traffic": {"router": "gatewayAPI", "gatewayAPI": gateway},
            "rollout": {"steps": [{"weight": 10}, {"weight": 50}]},
            "analysis": {"poll": "1s"},
        },
    }


async def _at_rest(server: ApiServer, pid: int, title: str) -> Stage:
    await asyncio.sleep(SETTLING)
    say(f"{title}: at rest for {AT_REST:.0f} s")
    before, since = Usage.of(pid), time.time()
    await asyncio.sleep(AT_REST)
    after, until = Usage.of(pid), time.time()
    return Stage(
        title=title,
        usage=after,
        at_rest=100 * (after.cpu - before.cpu) / (until - since),
        requests=len(_asked(server, since, until)) * 60 / (until - since),
    )


def _asked(server: ApiServer, since: float, until: float) -> list[audit.Asked]:
    """By the operator: nobody else is admin while it rests."""
    with server.audit_log.open() as lines:
        found = audit.read(lines, user="admin")
        return [each for each in found if since <= each.ended < until and not each.is_standing]


async def _resyncs(server: ApiServer, pid: int) -> tuple[int, float, float]:
    """(resyncs seen, requests of each, CPU seconds of each)."""
    await asyncio.sleep(SETTLING)
    before, since = Usage.of(pid), time.time()
    await asyncio.sleep(AT_REST)
    spent, until = Usage.of(pid).cpu - before.cpu, time.time()
    asked = _asked(server, since, until)
    seen = sum(each.resource == MODEL_DEPLOYMENT.plural and each.verb == "list" for each in asked)
    return seen, len(asked) / max(seen, 1), spent / max(seen, 1)


async def _to_canary(api: KubernetesApi, stand_in: StandIn) -> None:
    """The first of the fleet gets a new version, whose canary then has 10 %."""
    body = {"spec": _model_deployment(0, "2")["spec"]}
    path = MODEL_DEPLOYMENT.path(NAMESPACE, _name(0))
    await api.request("PATCH", path, body=body, content_type=MERGE)
    for _ in range(60):
        await stand_in.once()
        live = await api.request("GET", path)
        if ((live.get("status") or {}).get("rollout") or {}).get("weight") == 10:
            await asyncio.sleep(2)
            await stand_in.once()
            await asyncio.sleep(2)
            return
        await asyncio.sleep(0.5)
    raise TimeoutError(f"the canary did not get 10 %: {live.get('status')}")


async def _walks(lives: Sequence[Live], fleet: int) -> list[tuple[str, ...]]:
    desk = Desk.of(lives)
    resting = [Key(namespace=NAMESPACE, name=_name(number)) for number in range(1, fleet)]
    canary = Key(namespace=NAMESPACE, name=_name(0))
    shifted = desk.observed(resting[0]).route.shifted_at
    assert shifted is not None
    now = shifted.replace(year=shifted.year + 1)
    rows: list[tuple[str, Walk, str]] = [
        ("at rest, the same one again and again", await walked(desk, resting[:1], now, rounds=200), _wrote(desk)),
        (f"at rest, {len(resting)} in turn", await walked(desk, resting, now, rounds=1), _wrote(desk)),
    ]
    moment = with_evidence(desk, canary)
    rows.append(("canary at 10 %, a poll is due", await walked(desk, [canary], moment, rounds=100), _wrote(desk)))
    return [(title, *walk.cells(), wrote) for title, walk, wrote in rows]


def _wrote(desk: Desk) -> str:
    """What the walks of this row wanted to write."""
    wrote, desk.api.statuses = desk.api.statuses, 0
    return "status" if wrote else "nothing"


def told(stages: Sequence[Stage], walks: Sequence[tuple[str, ...]], once: Once, fleet: int) -> Result:
    return Result(
        title="What the operator costs",
        measured="The operator as one process on this host against a real API server, without the rest of a cluster: "
        "the benchmark itself plays kubelet, endpoint controller and Gateway, so that every ModelDeployment comes to "
        "rest with a pod, an endpoint and an accepted route. Walks are timed in the benchmark's process, on objects "
        "read back from that API server, as CPU time; requests are not part of it.",
        tables=(
            Table(
                title="CPU of one walk, µs",
                head=("", "observe", "plan", "render, compare", "report", "whole walk", "wrote"),
                rows=tuple(walks),
            ),
            Table(
                title="The process",
                head=("", "memory, MiB", "its peak, MiB", "CPU at rest, of one core", "requests a minute at rest"),
                rows=tuple(stage.row() for stage in stages),
            ),
            Table(
                title="Once",
                head=("", ""),
                rows=(
                    ("to add one poll's answers to the evidence, µs of CPU", f"{cost_of_a_poll():.0f}"),
                    (f"{fleet - 1} new ModelDeployments until all serve, s", f"{once.arrival:.0f}"),
                    ("CPU of the operator for each of them, ms", f"{1000 * once.each:.0f}"),
                    (f"CPU from a start to {SETTLING + AT_REST:.0f} s after it, with {fleet}, s", f"{once.start:.1f}"),
                    (f"one resync of {fleet}: requests (mean of {once.resyncs})", f"{once.requests:.0f}"),
                    (f"one resync of {fleet}: CPU, s", f"{once.resync:.2f}"),
                ),
            ),
        ),
        remarks=(
            (
                f"A resync comes every ten minutes; for the table it was set to every {RESYNC} s, and its CPU includes "
                "what the process costs at rest meanwhile."
            ),
            "“whole walk” is timed by itself, with telemetry; it is not the sum of its stations.",
            (
                "The evidence of the canary's walk is 40 s of simulated traffic, polled every second; a poll's "
                "cost leaves out Prometheus's client (HTTP and JSON)."
            ),
            (
                f"The {fleet} came at once, and the stand-in for the cluster shared the cores with the operator: "
                "their time until they serve is an upper bound."
            ),
        ),
    )
