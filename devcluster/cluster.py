"""A whole cluster: control plane, one node, a gateway, Prometheus, and our operator in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from devcluster import (
    build,
    cache,
    controllers,
    images,
    install,
    machine,
    namespaces,
    network,
    prometheus,
    sweep,
    traefik,
)
from devcluster.apiserver import ControlPlane, Endpoints, Reachable
from devcluster.cgroups import ControlGroup
from devcluster.credentials import User
from devcluster.images import ImageArchive
from devcluster.machine import Failed
from devcluster.network import Network
from devcluster.node import Node
from devcluster.processes import Processes
from devcluster.progress import Progress
from devcluster.state import State

READY_TIMEOUT = "60s"
CLIENTS = {
    "system:kube-controller-manager": (),
    "system:kube-scheduler": (),
    "system:kube-proxy": (),
    "traefik": ("system:masters",),
    "prometheus": ("system:masters",),
}
"""Users beside `admin` and the node, with their groups; the audit log tells them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What a cluster that was started consists of."""

    network: Network
    processes: Processes
    plane: ControlPlane
    node: Node


class Cluster(Reachable):
    """A cluster with a name, in a network namespace of its own.

    with Cluster() as cluster:
        cluster.kubectl("apply", "-f", "examples/quickstart")
    """

    def __init__(
        self,
        name: str = "dev",
        *,
        scrape_interval: float = 1,
        operator: bool = True,
        images: Iterable[ImageArchive] = (),
        progress: Progress | None = None,
    ) -> None:
        self.name = name
        self.scrape_interval = scrape_interval
        self.operator = operator
        self._images = tuple(images)
        self._progress = progress or Progress()
        self._state = State(name)
        self._group = ControlGroup(name)
        self._parts: _Parts | None = None

    @property
    def state_dir(self) -> Path:
        """Everything of the cluster, logs/ included, until it goes down."""
        return self._state.folder

    @property
    def gateway_address(self) -> str:
        """Host and port of the Gateway `public` in namespace `infra`, for the host and for pods."""
        return f"{self._up.network.address}:{traefik.GATEWAY_PORT}"

    @property
    def gateway_url(self) -> str:
        """The same, as URL."""
        return f"http://{self.gateway_address}"

    @property
    def prometheus_url(self) -> str:
        """For the host and for pods."""
        return f"http://{self._up.network.address}:{prometheus.PORT}"

    @property
    def processes(self) -> Processes:
        """etcd, kube-apiserver, ..., traefik, prometheus: each can be stopped and started."""
        return self._up.processes

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Server-side apply manifests, in the order given."""
        self._plane.apply(*manifests)

    def load_image(self, archive: ImageArchive) -> None:
        """Give an image to the node; pods refer to it by `archive.reference`, with imagePullPolicy IfNotPresent."""
        self._up.node.import_image(archive.path)

    def model_volume(self, namespace: str, name: str, path: Path) -> None:
        """Make a PersistentVolume of a folder of this host, and a claim to it that pods can mount read-only."""
        access = {
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": "",
            "volumeName": f"{namespace}-{name}",
            "resources": {"requests": {"storage": "1Gi"}},
        }
        volume = {
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": "",
            "capacity": {"storage": "1Gi"},
            "claimRef": {"namespace": namespace, "name": name},
            "hostPath": {"path": str(path.resolve()), "type": "Directory"},
            "persistentVolumeReclaimPolicy": "Retain",
        }
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{namespace}-{name}"},
                "spec": volume,
            },
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name, "namespace": namespace},
                "spec": access,
            },
        )

    def pretend_gpus(self, count: int) -> None:
        """Let the node say that it has GPUs: pods that ask for one are scheduled, and find none."""
        capacity = {"status": {"capacity": {"nvidia.com/gpu": str(count)}}}
        self.kubectl("patch", f"node/{self.name}", "--subresource=status", "--patch", json.dumps(capacity))

    def up(self) -> Self:
        """Bring it up, after cleaning up what a killed run of the same name left."""
        machine.check(images=self.operator)
        programs = build.kubernetes(self._progress)
        prometheus_program = build.prometheus(self._progress)
        crds = build.gateway_api_crds()
        pause = images.pause_image(self._progress)
        operator = self._operator_image()
        sweep.make_room(self.name)
        self._state.claim()
        pool = ThreadPoolExecutor(max_workers=1)
        try:
            self._group.create()
            processes = Processes(self.state_dir)
            holder = namespaces.hold(processes, self._group, self.state_dir / "memory")
            net = network.claim(self.name, holder.pid)
            self._state.note(network=net.number, programs=str(programs))
            users = [User(name, groups) for name, groups in CLIENTS.items()]
            kubelet = User(f"system:node:{self.name}", ("system:nodes",))
            parts = self._parts = self._assemble(net, processes, programs, (*users, kubelet))
            containerd = pool.submit(parts.node.start_containerd, images.PAUSE)
            loaded = pool.submit(self._load, [pause, *([operator] if operator else []), *self._images])

            with self._progress.step("etcd and API server"):
                parts.plane.start()
            manager, scheduler, proxy, gateway, metrics = map(parts.plane.kubeconfig_for, users)
            controllers.start(parts.plane, parts.processes, manager_config=manager, scheduler_config=scheduler)
            containerd.result()
            parts.node.start_kubelet(parts.plane.kubeconfig_for(kubelet))
            parts.node.start_proxy(proxy)
            with self._progress.step("custom resource definitions"):
                self._install_crds(crds)
            with self._progress.step("Traefik and Prometheus"):
                self._parts.plane.apply(*traefik.manifests())
                traefik.start(net.address, parts.processes, gateway)
                prometheus.start(
                    net.address,
                    parts.processes,
                    metrics,
                    program=prometheus_program,
                    folder=self.state_dir / "prometheus",
                    scrape_interval=self.scrape_interval,
                )
            loaded.result()
            with self._progress.step("node ready, Gateway programmed"):
                self._wait("create", f"node/{self.name}")
                self._wait("condition=Ready", f"node/{self.name}")
                self._wait("condition=Programmed", f"gateway/{traefik.GATEWAY}", traefik.GATEWAY_NAMESPACE)
            if operator:
                self._install_operator(operator)
        except BaseException:
            self._group.kill()  # so that whatever the other thread waits for, fails
            pool.shutdown(wait=True, cancel_futures=True)
            self._save_logs()
            self.down()
            raise
        pool.shutdown()
        return self

    def keep(self) -> None:
        """Let it run on when this Python process ends; `attach` finds it again."""
        self._state.note(kept=True)

    @classmethod
    def attach(cls, name: str = "dev") -> Self:
        """A cluster that somebody else brought up and left running."""
        cluster = cls(name)
        facts = cluster._state.facts()
        number, programs = facts.get("network"), facts.get("programs")
        if not cluster._state.alive or not isinstance(number, int) or not isinstance(programs, str):
            raise Failed(f"The cluster {name} is not up: bring it up first (python -m devcluster up --name {name}).")
        processes = Processes(cluster.state_dir)
        processes.adopt()
        namespaces.enter(processes, cluster._group)
        cluster._parts = cluster._assemble(Network(name=name, number=number), processes, Path(programs), ())
        return cluster

    def down(self) -> None:
        """Leave nothing: no process, mount, namespace, device, control group or file."""
        if self._parts is not None:
            self._parts.processes.kill()
        sweep.remove(self.name)
        self._parts = None

    def _assemble(self, net: Network, processes: Processes, programs: Path, users: tuple[User, ...]) -> _Parts:
        endpoints = Endpoints(address=net.address, services=net.services)
        return _Parts(
            network=net,
            processes=processes,
            plane=ControlPlane(self.state_dir, processes, programs, endpoints, users=users),
            node=Node(
                name=self.name,
                folder=self.state_dir / "node",
                network=net,
                group=self._group,
                processes=processes,
                programs=programs,
            ),
        )

    @property
    def _plane(self) -> ControlPlane:
        return self._up.plane

    @property
    def _up(self) -> _Parts:
        if self._parts is None:
            raise Failed(f"The cluster {self.name} is not up: call up() first.")
        return self._parts

    def _load(self, archives: list[ImageArchive]) -> None:
        for archive in archives:
            with self._progress.step(f"image {archive.reference}"):
                self.load_image(archive)

    def _install_crds(self, gateway_api: list[Path]) -> None:
        documents = [document for path in gateway_api for document in yaml.safe_load_all(path.read_text())]
        self.apply(*documents, *install.our_crds())
        self._wait("condition=Established", "crd", "", "--all")

    def _operator_image(self) -> ImageArchive | None:
        """Our operator's image; None, with a note, where there is nothing to install yet."""
        if not self.operator:
            return None
        if missing := install.missing():
            self._progress.say(f"note: the operator is left out, because this checkout lacks {', '.join(missing)}")
            return None
        return install.operator_image(self._progress)

    def _install_operator(self, image: ImageArchive) -> None:
        settings = install.settings(self.prometheus_url)
        documents = install.operator_manifests(image.reference, settings)
        with self._progress.step("operator ready"):
            self.apply(*documents)
            for name in install.deployments(documents):
                self._wait_for_operator(name)

    def _wait_for_operator(self, deployment: str) -> None:
        where = f"--namespace={install.NAMESPACE}"
        try:
            self.kubectl("rollout", "status", f"deployment/{deployment}", where, f"--timeout={READY_TIMEOUT}")
        except Failed as error:
            pods = self.kubectl("get", "pods", where)
            events = self.kubectl("events", where, "--types=Warning")
            said = self.kubectl("logs", f"deployment/{deployment}", where, "--tail=20", "--ignore-errors")
            raise Failed(f"{error}\n{pods}{events}{said}") from error

    def _save_logs(self) -> None:
        """Keep the logs of an `up` that failed where its cleaning up does not take them."""
        kept = cache.root() / "logs" / self.name
        shutil.rmtree(kept, ignore_errors=True)
        if (self.state_dir / "logs").exists():
            shutil.copytree(self.state_dir / "logs", kept)
            self._progress.say(f"the logs are kept in {kept}")

    def _wait(self, what: str, which: str, namespace: str = "", *more: str) -> None:
        place = [f"--namespace={namespace}"] if namespace else []
        self.kubectl("wait", f"--for={what}", which, *place, *more, f"--timeout={READY_TIMEOUT}")
