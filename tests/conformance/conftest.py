"""A real API server for the session; for each test a namespace of its own, and our adapter."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from devcluster.build import gateway_api_crds
from modelrollout.cluster.api import KubernetesApi
from modelrollout.cluster.connection import connect
from modelrollout.cluster.store import WatchStore
from tests.api_server import RealApiServer, api_server, install_crd
from tests.conformance.bench import Bench
from tests.remote_write import prometheus

__all__ = ["api_server", "prometheus"]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cluster(api_server: RealApiServer) -> RealApiServer:
    """With our CRD and the HTTPRoute's."""
    routes = [path for path in gateway_api_crds() if path.name.endswith("_httproutes.yaml")]
    for path in (*sorted((ROOT / "crds").glob("*.yaml")), *routes):
        name = yaml.safe_load(path.read_text())["metadata"]["name"]
        install_crd(api_server, path, name)
    return api_server


@pytest.fixture
async def bench(cluster: RealApiServer) -> AsyncIterator[Bench]:
    client = await connect(cluster.kubeconfig)
    requests: list[tuple[str, int]] = []
    lease = [True]
    store = WatchStore()
    api = KubernetesApi(client, store, lambda: lease[0], on_request=lambda verb, code: requests.append((verb, code)))
    namespace = f"conformance-{secrets.token_hex(4)}"
    await api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": namespace}})
    requests.clear()
    yield Bench(api=api, store=store, namespace=namespace, requests=requests, lease=lease)
    await api.events_written()
    await api.request("DELETE", f"/api/v1/namespaces/{namespace}")
    await client.close()
