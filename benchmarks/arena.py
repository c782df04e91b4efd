"""The cluster on which the benchmarks run, and the ModelDeployments of a user with an image of their own.

The servers answer in about a millisecond, because two cores carry everything: with a real model on them one would
measure the model. They run in MLServer's image, of which only Python is used, behind the Gateway.
"""

import contextlib
import json
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from benchmarks import audit, load
from demo.kubectl import Kubectl
from demo.load import Target
from demo.status import Status
from devcluster import Cluster, build
from devcluster.images import mlserver_image
from devcluster.progress import Progress
from modelrollout.names import DEPLOYMENT_LABEL

HERE = Path(__file__).parent
CLUSTER = "bench"
NAMESPACE = "shop"
NAME = "sentiment"
SERVER = HERE / "served" / "answering.py"
CONFIG_MAP = "answering"
GATEWAY = {"parentRefs": [{"name": "public", "namespace": "infra"}]}


class TookTooLongError(Exception):
    """What was waited for did not come; the message says what, and what was seen last."""


class Ending(StrEnum):
    """Of a rollout."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    HELD = "held"
    """Neither: it waits at its weight."""

    @classmethod
    def of(cls, status: Status, version: str) -> "Ending | None":
        """How the rollout of `version` ended; None while it has not."""
        if status.is_current and status.phase == "Stable" and status.stable_version == version:
            return cls.PROMOTED
        if status.is_current and status.phase == "RolledBack" and status.aborted_version == version:
            return cls.ROLLED_BACK
        return None


@dataclass(slots=True, kw_only=True)
class Arena:
    """A cluster, and one of its ModelDeployments with its users; `another` gives a second one."""

    cluster: Cluster
    kubectl: Kubectl
    image: str
    name: str = NAME
    changes: "queue.Queue[Status]"
    last: Status = field(default_factory=Status)

    @contextlib.contextmanager
    def another(self, name: str) -> Iterator["Arena"]:
        with self.kubectl.watching(name) as changes:
            yield replace(self, name=name, changes=changes, last=Status())

    @property
    def hostname(self) -> str:
        return f"{self.name}.example.com"

    @property
    def records(self) -> Path:
        """What the users wrote down."""
        return self.cluster.state_dir / f"requests-{self.name}.tsv"

    @property
    def requests(self) -> list[load.Request]:
        with self.records.open() as lines:
            return load.read(lines)

    def target(self, path: str = "/") -> Target:
        return Target(url=self.cluster.gateway_url + path, host=self.hostname)

    def audited(self, user: str | None = None) -> list[audit.Asked]:
        with self.cluster.audit_log.open() as lines:
            return list(audit.read(lines, user=user))

    def during(self, seconds: float) -> Iterator[tuple[Status, float]]:
        """Every status from now on with the time at which it was seen, for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self.last = self.changes.get(timeout=left)
            except queue.Empty:
                return
            yield self.last, time.time()

    def until(self, true: Callable[[Status], bool], what: str, *, seconds: float) -> tuple[Status, float]:
        """The first status for which it is true, and when it was seen."""
        for status, at in self.during(seconds):
            if true(status):
                return status, at
        raise TookTooLongError(f"{self.name}: {what}: not within {seconds:.0f} s; the last status was {self.last}")

    def until_ended(self, version: str, *, seconds: float) -> tuple[Ending, Status, float]:
        """How the rollout of `version` ended, its status then, and when it was seen."""
        status, at = self.until(
            lambda status: Ending.of(status, version) is not None, f"version {version} ends", seconds=seconds
        )
        ending = Ending.of(status, version)
        assert ending is not None
        return ending, status, at

    def manifest(self, version: str, error_rate: float, **spec: Any) -> dict[str, Any]:
        """A version of the model; `spec` sets rollout, analysis and the like."""
        return model_deployment(self.image, version, error_rate, name=self.name, hostname=self.hostname, **spec)

    def deploy_first(self, manifest: dict[str, Any]) -> None:
        """The version that everything is compared with."""
        self.kubectl.apply(manifest)
        self.until(
            lambda status: status.is_current and status.phase == "Stable", "the first version serves", seconds=60
        )


def model_deployment(
    image: str,
    version: str,
    error_rate: float,
    *,
    name: str = NAME,
    namespace: str = NAMESPACE,
    hostname: str = f"{NAME}.example.com",
    env: Mapping[str, str] | None = None,
    runtime: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """`env` is what the server shall do besides failing, `runtime` and `spec` set or replace fields of the spec."""
    told = {"ERROR_RATE": str(error_rate), **(env or {})}
    server = {
        "preset": "custom",
        "image": image,
        "command": ["python3", "/bench/answering.py"],
        "env": [{"name": name, "value": value} for name, value in told.items()],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": {"runAsUser": 1000},
        "volumes": [{"name": "bench", "configMap": {"name": CONFIG_MAP}}],
        "volumeMounts": [{"name": "bench", "mountPath": "/bench"}],
        "readyTimeout": "40s",
        **(runtime or {}),
    }
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"version": version},
            "runtime": server,
            "scaling": {"mode": "fixed", "replicas": 1},
            "traffic": {"router": "gatewayAPI", "gatewayAPI": {**GATEWAY, "hostnames": [hostname]}},
            **spec,
        },
    }


def namespace_with_server(namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The namespace, restricted as users' should be, and the server's source in it."""
    return (
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CONFIG_MAP, "namespace": namespace},
            "data": {SERVER.name: SERVER.read_text()},
        },
    )


@contextlib.contextmanager
def arena() -> Iterator[Arena]:
    """A fresh cluster with the operator in it as users install it, scraped every second; gone after the block."""
    progress = Progress()
    image = mlserver_image(progress)
    with Cluster(CLUSTER, images=(image,), scrape_interval=1, progress=progress) as cluster:
        program = str(build.kubernetes(progress) / "kubectl")
        kubectl = Kubectl(kubeconfig=str(cluster.kubeconfig), program=program)
        kubectl.apply(*namespace_with_server(NAMESPACE))
        with kubectl.watching() as changes:
            yield Arena(cluster=cluster, kubectl=kubectl, image=image.reference, changes=changes)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def wait_without_pods_of_others(here: Arena, revisions: int = 1, seconds: float = 60) -> None:
    """Until only so many revisions have a Deployment: what was taken back is gone."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        selector = f"{DEPLOYMENT_LABEL}={here.name}"
        listed = json.loads(here.kubectl("get", "pods", "-n", NAMESPACE, "-l", selector, "-o", "json"))["items"]
        if len(listed) <= revisions:
            return
        time.sleep(0.5)
    raise TookTooLongError(f"more than {revisions} pods are left after {seconds:.0f} s")
