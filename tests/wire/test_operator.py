"""Whole operators in this process against a server with faults: who writes, when, and what a stop or a loss does."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import modelrollout
from modelrollout import names
from modelrollout.__main__ import EXIT_USAGE, operate
from modelrollout.cluster.kinds import CONTROLLER_REVISION, DEPLOYMENT, LEASE, MODEL_DEPLOYMENT, SERVICE, WATCHED
from modelrollout.settings import Settings
from tests.fakeapi.documents import a_model_deployment
from tests.fakeapi.server import FakeApi, Fault
from tests.wire.conftest import NAMESPACE, OURS, a_replica, until

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def status_of(api: FakeApi, name: str = "sentiment") -> dict[str, Any]:
    found = api.get(MODEL_DEPLOYMENT, NAMESPACE, name)
    status: dict[str, Any] = (found or {}).get("status") or {}
    return status


async def at_rest(api: FakeApi) -> None:
    """No request for a while."""
    for _ in range(100):
        asked = len([r for r in api.requests if r.kind != "Lease"])
        await asyncio.sleep(0.6)
        if asked == len([r for r in api.requests if r.kind != "Lease"]):
            return
    raise AssertionError("it never rests")


async def make_ready(api: FakeApi, name: str = "sentiment") -> str:
    """What the cluster's controllers and a kubelet would do for the one Deployment there is."""
    await until(lambda: api.all(DEPLOYMENT))
    deployment = api.all(DEPLOYMENT)[0]
    revision: str = deployment["metadata"]["labels"][names.REVISION_LABEL]
    workload, pod = deployment["metadata"]["name"], f"{deployment['metadata']['name']}-5d9f8c6b5-x2x4z"
    labels = {**OURS, names.DEPLOYMENT_LABEL: name, names.REVISION_LABEL: revision}
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"{workload}-5d9f8c6b5",
        "uid": "rs",
        "controller": True,
    }
    await api.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod, "namespace": NAMESPACE, "labels": labels, "ownerReferences": [owner]},
            "spec": {
                "nodeName": "n",
                "containers": [{"name": "server", "ports": [{"name": "http", "containerPort": 8080}]}],
            },
            "status": {
                "phase": "Running",
                "startTime": "2026-11-22T03:00:01Z",
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T03:00:30Z"}],
                "containerStatuses": [],
            },
        }
    )
    for service in (workload, name):
        slice_labels = {**OURS, names.DEPLOYMENT_LABEL: name, "kubernetes.io/service-name": service}
        if service == workload:
            slice_labels[names.REVISION_LABEL] = revision
        await api.put(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": f"{service}-abcde", "namespace": NAMESPACE, "labels": slice_labels},
                "addressType": "IPv4",
                "endpoints": [
                    {
                        "addresses": ["10.0.0.1"],
                        "conditions": {"ready": True},
                        "targetRef": {"kind": "Pod", "name": pod},
                    }
                ],
            }
        )
    return revision


async def test_a_first_revision_goes_all_the_way_and_then_nothing_is_asked(api: FakeApi, settings: Settings) -> None:
    async with a_replica(settings) as replica:
        await api.put(a_model_deployment())
        revision = await make_ready(api)
        await until(lambda: status_of(api).get("phase") == "Stable", seconds=20)
        assert status_of(api)["rollout"]["stable"] == revision
        service = api.get(SERVICE, NAMESPACE, "sentiment")
        assert service is not None
        assert service["spec"]["selector"][names.REVISION_LABEL] == revision
        assert len(api.all(CONTROLLER_REVISION)) == 1
        deployment = api.all(DEPLOYMENT)[0]
        await at_rest(api)
        assert await replica.stopped() == 0
        assert api.all(DEPLOYMENT) == [deployment]


async def test_a_restart_at_rest_writes_nothing(api: FakeApi, settings: Settings) -> None:
    async with a_replica(settings):
        await api.put(a_model_deployment())
        await make_ready(api)
        await until(lambda: status_of(api).get("phase") == "Stable", seconds=20)
        await at_rest(api)
    writes = len(api.writes())
    async with a_replica(settings):
        await until(lambda: _holder(api) != "", what="the second never led")
        await at_rest(api)
        assert len(api.writes()) == writes


def _holder(api: FakeApi) -> str:
    lease = api.get(LEASE, "ops", "modelrollout")
    return "" if lease is None else str(lease["spec"]["holderIdentity"])


async def a_process(settings: Settings) -> asyncio.subprocess.Process:
    """The operator as it is shipped: a process of its own, configured by its environment."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(modelrollout.__file__).parents[1]),
        "MODELROLLOUT_KUBECONFIG": str(settings.kubeconfig),
        "MODELROLLOUT_LEASE_NAMESPACE": settings.lease_namespace,
        "MODELROLLOUT_PROBE_PORT": "0",
    }
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "modelrollout", "run")
    return await asyncio.create_subprocess_exec(*command, env=environment, stderr=pipe)


async def test_of_two_replicas_only_the_holder_of_the_lease_writes_and_a_stop_hands_over_at_once(
    api: FakeApi, settings: Settings
) -> None:
    processes = [await a_process(settings), await a_process(settings)]
    try:
        await until(lambda: _holder(api), seconds=30)
        holder = _holder(api)
        watches = 2 * len(WATCHED)
        await until(lambda: sum(r.watch for r in api.requests) == watches, seconds=30, what="not both watch")
        await asyncio.sleep(3)
        assert _holder(api) == holder
        first = next(p for p in processes if f"-{p.pid}-" in holder)
        first.send_signal(signal.SIGTERM)
        _, said = await asyncio.wait_for(first.communicate(), 15)
        assert first.returncode == 0, said.decode()
        await until(lambda: _holder(api) not in {"", holder}, seconds=5, what="no hand-over")
        await api.put(a_model_deployment())
        await until(lambda: api.all(DEPLOYMENT), seconds=10, what="the second does not lead")
        lines = [json.loads(line) for line in said.decode().splitlines()]
        assert any(line["message"] == "this replica leads" for line in lines)
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_a_killed_leader_is_replaced_by_the_warm_one(api: FakeApi, settings: Settings) -> None:
    processes = [await a_process(settings), await a_process(settings)]
    try:
        await until(lambda: _holder(api), seconds=30)
        holder = _holder(api)
        await asyncio.sleep(4)
        first = next(p for p in processes if f"-{p.pid}-" in holder)
        first.kill()
        await first.communicate()
        await until(lambda: _holder(api) not in {"", holder}, seconds=25, what="no successor")
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_a_lease_that_is_taken_away_ends_the_process_with_an_error(api: FakeApi, settings: Settings) -> None:
    async with a_replica(settings) as replica:
        await until(lambda: _holder(api))
        lease = api.get(LEASE, "ops", "modelrollout")
        assert lease is not None
        await api.put({**lease, "spec": {**lease["spec"], "holderIdentity": "usurper"}})
        assert await asyncio.wait_for(replica.task, 20) == 1
        assert _holder(api) == "usurper"


async def test_an_api_server_that_does_not_renew_ends_the_process_and_nothing_is_written_after_the_deadline(
    api: FakeApi, settings: Settings
) -> None:
    short = replace(
        settings,
        lease_duration=timedelta(seconds=3),
        lease_renew_deadline=timedelta(seconds=2),
        lease_retry=timedelta(seconds=1),
    )
    async with a_replica(short) as replica:
        await until(lambda: _holder(api))
        api.faults.append(Fault(matches=lambda r: r.kind == "Lease", status=500, times=10_000))
        assert await asyncio.wait_for(replica.task, 20) == 1
        writes = len(api.writes())
        await api.put(a_model_deployment())
        await asyncio.sleep(0.5)
        assert len(api.writes()) == writes


async def test_an_error_event_ends_the_process_with_an_error_and_frees_the_lease(
    api: FakeApi, settings: Settings
) -> None:
    async with a_replica(settings) as replica:
        await until(lambda: _holder(api))
        await asyncio.sleep(0.3)
        await api.inject_error(SERVICE, 504)
        assert await asyncio.wait_for(replica.task, 20) == 1
        assert _holder(api) == ""


async def test_refused_and_lost_writes_are_made_good(api: FakeApi, settings: Settings) -> None:
    api.faults += [
        Fault(matches=lambda r: r.kind == "ControllerRevision" and r.writes, status=500),
        Fault(matches=lambda r: r.subresource == "status", status=429, headers={"Retry-After": "1"}),
        Fault(matches=lambda r: r.subresource == "status", status=200, drop=True, after_effect=True),
        Fault(matches=lambda r: r.kind == "Deployment" and r.writes, status=200, drop=True, after_effect=True),
        Fault(matches=lambda r: r.kind == "Service" and r.writes, status=409),
    ]
    async with a_replica(settings):
        await api.put(a_model_deployment())
        await make_ready(api)
        await until(lambda: status_of(api).get("phase") == "Stable", seconds=60)
        assert not [fault for fault in api.faults if fault.times]
        assert len(api.all(CONTROLLER_REVISION)) == 1
        assert len(api.all(DEPLOYMENT)) == 1


async def test_a_deleted_deployment_comes_back(api: FakeApi, settings: Settings) -> None:
    async with a_replica(settings):
        await api.put(a_model_deployment())
        await make_ready(api)
        await until(lambda: status_of(api).get("phase") == "Stable", seconds=20)
        name = api.all(DEPLOYMENT)[0]["metadata"]["name"]
        await api.remove(DEPLOYMENT, NAMESPACE, name)
        await until(lambda: api.get(DEPLOYMENT, NAMESPACE, name))


async def test_a_foreign_object_under_our_name_is_left_alone_and_told(api: FakeApi, settings: Settings) -> None:
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "sentiment", "namespace": NAMESPACE},
        "spec": {"selector": {"app": "theirs"}},
    }
    await api.put(foreign)
    async with a_replica(settings):
        await api.put(a_model_deployment())
        await make_ready(api)
        told = lambda: [c for c in status_of(api).get("conditions", []) if c["reason"] == "Conflict"]  # noqa: E731
        await until(told, seconds=20)
        service = api.get(SERVICE, NAMESPACE, "sentiment")
        assert service is not None
        assert service["spec"] == foreign["spec"]


async def test_probes_and_metrics_answer(api: FakeApi, settings: Settings, unused_tcp_port: int) -> None:
    async with a_replica(replace(settings, probe_port=unused_tcp_port)), aiohttp.ClientSession() as session:
        base = f"http://127.0.0.1:{unused_tcp_port}"
        await api.put(a_model_deployment())
        await until(lambda: status_of(api).get("phase"))

        async def text(path: str, status: int) -> str:
            async with session.get(base + path) as answer:
                assert answer.status == status
                return await answer.text()

        assert await text("/healthz", 200) == "ok\n"
        assert await text("/readyz", 200) == "ok\n"
        metrics = await text("/metrics", 200)
        for line in (
            'leader_election_master_status{name="modelrollout"} 1.0',
            'modelrollout_phase{name="sentiment",namespace="shop",phase="Deploying"} 1.0',
            'workqueue_depth{name="modeldeployment"}',
            'rest_client_requests_total{code="200",method="GET"}',
            'modelrollout_watch_age_seconds{kind="modeldeployments"}',
        ):
            assert line in metrics
        await api.remove(MODEL_DEPLOYMENT, NAMESPACE, "sentiment")
        for _ in range(100):
            if 'name="sentiment"' not in await text("/metrics", 200):
                return
            await asyncio.sleep(0.05)
        raise AssertionError("series of a deleted object stay")


async def test_providers_that_cannot_be_read_end_the_start(settings: Settings, tmp_path: Path) -> None:
    wrong = replace(settings, prometheus_providers_file=tmp_path / "providers.yaml")
    assert await operate(wrong, asyncio.Event()) == EXIT_USAGE
