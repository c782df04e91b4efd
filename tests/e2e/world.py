"""The one cluster of the session: our own, named `e2e`, or the one that KUBECONFIG names.

What only the development cluster can do (stop Prometheus, read the audit log) is asked of `devcluster`.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from demo.kubectl import Kubectl
from demo.stage import PUBLISHED_IMAGE
from devcluster import Cluster, state
from devcluster.build import kubernetes
from devcluster.images import mlserver_image
from devcluster.progress import Progress
from tests.e2e.api import Api
from tests.e2e.history import History

NAME = "e2e"
SYSTEM = "modelrollout-system"
ACCOUNT = f"system:serviceaccount:{SYSTEM}:modelrollout"
"""Whom the audit log names when our operator asks, in the cluster or on this host."""
URL = "MODELROLLOUT_PROMETHEUS_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    api: Api
    kubectl: Kubectl
    history: History
    image: str
    """MLServer's; its Python runs the little servers too."""
    gateway: str
    """Address and port of Gateway infra/public."""
    prometheus_url: str
    cluster: Cluster | None
    """None: a cluster that is not ours, whose parts cannot be stopped and whose audit log is not there."""

    @property
    def devcluster(self) -> Cluster:
        if self.cluster is None:
            pytest.skip("needs the development cluster: stops its parts, or reads its audit log")
        return self.cluster

    @contextmanager
    def namespace(self, name: str) -> Iterator[str]:
        """A namespace of its own, in which only what passes the restricted Pod Security Standard may run."""
        full = f"{name}-{secrets.token_hex(3)}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted", "e2e": "true"}
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": full, "labels": labels}})
        try:
            yield full
        finally:
            self.api.delete("Namespace", "", full)

    def operator_kubeconfig(self, path: Path) -> Path:
        """For a process on this host that may do what our operator's ServiceAccount may, and nothing else."""
        token = self.kubectl("create", "token", "modelrollout", "-n", SYSTEM, "--duration=12h").strip()
        admin = self.api.document
        used = next(each for each in admin["contexts"] if each["name"] == admin["current-context"])
        context = {"name": "operator", "context": {"cluster": used["context"]["cluster"], "user": "operator"}}
        users = [{"name": "operator", "user": {"token": token}}]
        document = {**admin, "contexts": [context], "current-context": "operator", "users": users}
        path.write_text(yaml.safe_dump(document))
        return path


@contextmanager
def found_or_made() -> Iterator[World]:
    """`Unavailable` where neither a cluster is given nor one can be brought up."""
    given = os.environ.get("KUBECONFIG")
    if given:
        yield _given(Path(given))
        return
    progress = Progress()
    image = mlserver_image(progress)
    with Cluster(NAME, images=[image], scrape_interval=1, progress=progress) as cluster:
        yield _of(cluster, image.reference)


def _given(kubeconfig: Path) -> World:
    own = [name for name in state.existing() if state.State(name).folder == kubeconfig.resolve().parent]
    if own:
        return _of(Cluster.attach(own[0]), mlserver_image(Progress()).reference)
    api, kubectl = Api(kubeconfig), Kubectl(kubeconfig=str(kubeconfig))
    gateway = api.request("GET", "/apis/gateway.networking.k8s.io/v1/namespaces/infra/gateways/public")
    operator = api.get("Deployment", SYSTEM, "modelrollout")
    assert operator is not None, "install the operator first: kubectl apply -f manifests/install.yaml"
    env = {each["name"]: each.get("value", "") for each in operator["spec"]["template"]["spec"]["containers"][0]["env"]}
    return World(
        api=api,
        kubectl=kubectl,
        history=History(api),
        image=os.environ.get("E2E_IMAGE", PUBLISHED_IMAGE),
        gateway=f"{gateway['status']['addresses'][0]['value']}:{gateway['spec']['listeners'][0]['port']}",
        prometheus_url=os.environ.get("E2E_PROMETHEUS_URL", env.get(URL, "")),
        cluster=None,
    )


def _of(cluster: Cluster, image: str) -> World:
    program = kubernetes(Progress()) / "kubectl"
    api = Api(cluster.kubeconfig)
    return World(
        api=api,
        kubectl=Kubectl(kubeconfig=str(cluster.kubeconfig), program=str(program)),
        history=History(api),
        image=image,
        gateway=cluster.gateway_address,
        prometheus_url=cluster.prometheus_url,
        cluster=cluster,
    )
