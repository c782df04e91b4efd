"""etcd and kube-apiserver: the heart of a cluster, and all that the conformance tests need."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import urllib.request
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from devcluster import build, sweep
from devcluster.credentials import User, write_kubeconfig, write_signing_key, write_tokens
from devcluster.machine import Failed
from devcluster.processes import Processes
from devcluster.progress import Progress
from devcluster.state import State

AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
"""Who wrote and read what, how often, without contents: tests read it."""
READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where etcd and the API server listen."""

    address: str
    api_port: int = 6443
    etcd_port: int = 2379
    etcd_peer_port: int = 2380
    services: str = "10.96.0.0/16"
    """The range of Service addresses."""

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.api_port}"

    @classmethod
    def on_this_host(cls) -> Endpoints:
        """Free ports of the loopback address."""
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        ports = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        return cls(address="127.0.0.1", api_port=ports[0], etcd_port=ports[1], etcd_peer_port=ports[2])


class ControlPlane:
    """etcd and kube-apiserver in a folder, with a user `admin`, and more users when asked for."""

    def __init__(
        self, folder: Path, processes: Processes, programs: Path, endpoints: Endpoints, *, users: tuple[User, ...] = ()
    ) -> None:
        self.endpoints = endpoints
        self.programs = programs
        self.audit_log = folder / "audit.json"
        self.kubeconfig = folder / "kubeconfig"
        self.certificates = folder / "certificates"
        self.authority = self.certificates / "apiserver.crt"
        """The API server's own certificate; what signed it is in the same file."""
        self.signing_key = folder / "service-accounts.key"
        self._admin = User("admin", ("system:masters",))
        self._users = (self._admin, *users)
        self._folder = folder
        self._processes = processes

    def start(self) -> None:
        """Start both and wait until the API server is ready."""
        write_tokens(self._folder / "tokens.csv", list(self._users))
        write_signing_key(self.signing_key)
        (self._folder / "audit-policy.yaml").write_text(yaml.safe_dump(AUDIT_POLICY))
        self._processes.start("etcd", [self.programs / "etcd", *self._etcd_flags()])
        server = self._processes.start("kube-apiserver", [self.programs / "kube-apiserver", *self._server_flags()])
        server.wait_ready(self._is_ready, READY_SECONDS)
        write_kubeconfig(self.kubeconfig, server=self.endpoints.server, authority=self.authority, user=self._admin)

    def kubeconfig_for(self, user: User) -> Path:
        """A kubeconfig file for another user."""
        path = self._folder / f"{user.name.rpartition(':')[2]}.kubeconfig"
        return write_kubeconfig(path, server=self.endpoints.server, authority=self.authority, user=user)

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 -- subprocess.run's own name
        """Run kubectl as admin; its output, or `Failed` with what it said."""
        command = [str(self.programs / "kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=input, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Server-side apply, in the order given."""
        documents = yaml.safe_dump_all(manifests, sort_keys=False)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=documents)

    def _is_ready(self) -> bool:
        try:
            trust = ssl.create_default_context(cafile=str(self.authority))
            ready = f"{self.endpoints.server}/readyz"
            with urllib.request.urlopen(ready, context=trust, timeout=2) as answer:  # noqa: S310 -- the URL is ours
                return bool(answer.status == 200)
        except OSError:  # no certificate yet, refused, not ready: all mean later
            return False

    def _etcd_flags(self) -> list[str]:
        clients = f"http://127.0.0.1:{self.endpoints.etcd_port}"
        peers = f"http://127.0.0.1:{self.endpoints.etcd_peer_port}"
        return [
            "--name=devcluster",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=devcluster={peers}",
            "--unsafe-no-fsync",  # what it holds dies with the cluster
            "--log-level=warn",
        ]

    def _server_flags(self) -> list[str]:
        return [
            f"--etcd-servers=http://127.0.0.1:{self.endpoints.etcd_port}",
            f"--bind-address={self.endpoints.address}",
            f"--advertise-address={self.endpoints.address}",
            f"--secure-port={self.endpoints.api_port}",
            f"--service-cluster-ip-range={self.endpoints.services}",
            f"--cert-dir={self.certificates}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.signing_key}",
            f"--service-account-signing-key-file={self.signing_key}",
            "--kubelet-preferred-address-types=InternalIP",  # no DNS knows the node
            "--allow-privileged=true",
            "--enable-aggregator-routing=true",
            f"--audit-policy-file={self._folder / 'audit-policy.yaml'}",
            f"--audit-log-path={self.audit_log}",
            "--profiling=false",
        ]


class Reachable(ABC):
    """What an API server alone and a whole cluster have in common: brought up, asked through kubectl, taken down."""

    @property
    @abstractmethod
    def _plane(self) -> ControlPlane:
        """The control plane, or `Failed` while there is none."""

    @abstractmethod
    def up(self) -> Self:
        """Bring it up, after cleaning up what a killed run of the same name left."""

    @abstractmethod
    def down(self) -> None:
        """Stop it and leave nothing."""

    @property
    def kubeconfig(self) -> Path:
        """For `admin`; works on the host."""
        return self._plane.kubeconfig

    @property
    def kubectl_program(self) -> Path:
        """The kubectl of its own version."""
        return self._plane.programs / "kubectl"

    @property
    def audit_log(self) -> Path:
        """A JSON line per request to the API server."""
        return self._plane.audit_log

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 -- subprocess.run's own name
        """Run kubectl as admin; its output, or `Failed` with what it said."""
        return self._plane.kubectl(*arguments, input=input)

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()


class ApiServer(Reachable):
    """A real API server on free ports of this host, ready in seconds; needs no root.

    There are no controllers: nothing makes pods, and nothing garbage-collects.
    """

    def __init__(self, name: str = "", *, progress: Progress | None = None) -> None:
        self.name = name or f"api-{os.getpid()}"
        self._progress = progress or Progress()
        self._state = State(self.name)
        self._processes: Processes | None = None
        self._started: ControlPlane | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._plane.endpoints.server

    def up(self) -> Self:
        """Start it, after cleaning up what a killed run of the same name left."""
        programs = build.kubernetes(self._progress)
        sweep.make_room(self.name)
        self._state.claim()
        try:
            self._processes = Processes(self._state.folder)
            self._started = ControlPlane(self._state.folder, self._processes, programs, Endpoints.on_this_host())
            with self._progress.step("etcd and API server"):
                self._started.start()
        except BaseException:
            self.down()
            raise
        return self

    def down(self) -> None:
        """Stop it and leave nothing."""
        if self._processes is not None:
            self._processes.kill()
        sweep.remove(self.name)

    @property
    def _plane(self) -> ControlPlane:
        if self._started is None:
            raise Failed(f"The API server {self.name} is not up: call up() first.")
        return self._started
