"""Plays kubelet, endpoint controller and Gateway on a bare API server, so that ModelDeployments come to rest.

Makes one ready pod and one endpoint per Deployment, and lets every route be accepted as it is. Only as real as the
operator looks: nothing runs.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from modelrollout.cluster.api import MERGE, KubernetesApi
from modelrollout.cluster.kinds import DEPLOYMENT, ENDPOINT_SLICE, HTTP_ROUTE, MODEL_DEPLOYMENT, OURS, POD, Kind, Live
from modelrollout.cluster.workloads import SERVICE_NAME_LABEL
from modelrollout.errors import StaleView

AT_A_TIME = 16
PAGE = "500"
NODE = "node-1"


class StandIn:
    """Of one namespace. Knows what it made, so that nothing is asked twice."""

    def __init__(self, api: KubernetesApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._with_pods: set[str] = set()
        self._accepted: dict[str, int] = {}

    async def until_stable(self, count: int, *, seconds: float) -> None:
        """Do what the cluster would, until so many ModelDeployments serve."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            await self.once()
            phases = [(live.get("status") or {}).get("phase") for live in await self.listed(MODEL_DEPLOYMENT)]
            if phases.count("Stable") == count:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"{phases.count('Stable')} of {count} serve after {seconds:.0f} s")
            await asyncio.sleep(0.5)

    async def once(self) -> None:
        await self._each(_missing(await self.listed(DEPLOYMENT), self._with_pods), self._run)
        routes = await self.listed(HTTP_ROUTE)
        await self._each([each for each in routes if self._is_news(each)], self._accept)

    async def listed(self, kind: Kind) -> list[Live]:
        query = {"limit": PAGE} | ({} if kind is MODEL_DEPLOYMENT else {"labelSelector": OURS})
        items: list[Live] = []
        while True:
            page = await self._api.request("GET", kind.path(self._namespace), query=query)
            items += [{**item, "apiVersion": kind.api_version, "kind": kind.kind} for item in page["items"] or ()]
            token = page["metadata"].get("continue")
            if not token:
                return items
            query = {**query, "continue": token}

    async def _each(self, lives: list[Live], work: Any) -> None:
        gate = asyncio.Semaphore(AT_A_TIME)

        async def one(live: Live) -> None:
            async with gate:
                await work(live)

        await asyncio.gather(*(one(live) for live in lives))

    async def _run(self, deployment: Live) -> None:
        name = deployment["metadata"]["name"]
        pod = f"{name}-7d9f8c6b5-x2x4z"
        await self._api.request("POST", POD.path(self._namespace), body=a_pod(deployment, pod))
        path = POD.path(self._namespace, pod, "status")
        await self._api.request("PATCH", path, body={"status": ready_status()}, content_type=MERGE)
        body = a_slice(deployment, pod)
        await self._api.request("POST", ENDPOINT_SLICE.path(self._namespace), body=body)
        self._with_pods.add(name)

    def _is_news(self, route: Live) -> bool:
        metadata = route["metadata"]
        return bool(self._accepted.get(metadata["name"]) != metadata["generation"])

    async def _accept(self, route: Live) -> None:
        metadata = route["metadata"]
        path = HTTP_ROUTE.path(self._namespace, metadata["name"], "status")
        try:
            await self._api.request("PATCH", path, body={"status": accepted(route)}, content_type=MERGE)
        except StaleView:
            return  # the next look accepts it
        self._accepted[metadata["name"]] = metadata["generation"]


def _missing(deployments: list[Live], known: set[str]) -> list[Live]:
    return [each for each in deployments if each["metadata"]["name"] not in known]


def a_pod(deployment: Live, name: str) -> dict[str, Any]:
    """As the Deployment's ReplicaSet would make it."""
    template = deployment["spec"]["template"]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"{deployment['metadata']['name']}-7d9f8c6b5",
        "uid": "00000000-0000-0000-0000-000000000001",
        "controller": True,
    }
    metadata = {**template["metadata"], "name": name, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**template["spec"], "nodeName": NODE}}


def ready_status() -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": now}
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    server = {
        "name": "server",
        "image": "registry.example/server:1",
        "imageID": "registry.example/server@sha256:" + "0" * 64,
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": now}},
    }
    return {"phase": "Running", "startTime": now, "conditions": conditions, "containerStatuses": [server]}


def a_slice(deployment: Live, pod: str) -> dict[str, Any]:
    """The endpoint slice controller copies the Service's labels, which are the Deployment's."""
    metadata = deployment["metadata"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{metadata['name']}-abcde",
            "namespace": metadata["namespace"],
            "labels": {**metadata["labels"], SERVICE_NAME_LABEL: metadata["name"]},
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": ["10.0.0.1"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": pod, "namespace": metadata["namespace"]},
            }
        ],
        "ports": [{"name": "http", "port": 8080}],
    }


def accepted(route: Live) -> Mapping[str, Any]:
    """What a Gateway says of a route that it took at this generation."""
    metadata = route["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": kind,
            "message": "",
            "lastTransitionTime": now,
            "observedGeneration": metadata["generation"],
        }
        for kind in ("Accepted", "ResolvedRefs")
    ]
    parents = [
        {"parentRef": parent, "controllerName": "example.com/gateway", "conditions": conditions}
        for parent in route["spec"]["parentRefs"]
    ]
    return {"parents": parents}
