"""A real API server for the whole session: `from tests.api_server import api_server` in a conftest.

KUBECONFIG names one that is there already; KUBEBUILDER_ASSETS holds etcd, kube-apiserver and kubectl of somebody else;
else devcluster brings up its own. Where none can be had, tests are skipped aloud, and fail with CI=true.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from devcluster.apiserver import ApiServer, ControlPlane, Endpoints
from devcluster.machine import Failed, Unavailable
from devcluster.processes import Processes, wait_until

ESTABLISHED_SECONDS = 30.0


class RealApiServer(Protocol):
    """What every one of them can do."""

    @property
    def kubeconfig(self) -> Path: ...

    def kubectl(self, *arguments: str, input: str | None = None) -> str: ...  # noqa: A002 -- subprocess.run's own name


class Given:
    """The cluster of KUBECONFIG; kubectl must be on the PATH."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 -- subprocess.run's own name
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=input, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def install_crd(server: RealApiServer, path: Path, name: str) -> None:
    """Apply it and wait until it is served. `kubectl wait` and jsonpath give up on a CRD that has no status yet."""
    server.kubectl("apply", "--server-side", "-f", str(path))

    def is_served() -> bool:
        conditions = json.loads(server.kubectl("get", "crd", name, "-o", "json")).get("status", {}).get("conditions")
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions or ())

    if not wait_until(is_served, ESTABLISHED_SECONDS):
        raise Failed(f"the CRD {name} is not served: {server.kubectl('get', 'crd', name, '-o', 'yaml')}")


SERVER = pytest.StashKey[RealApiServer]()


@pytest.fixture(scope="session")
def api_server(request: pytest.FixtureRequest) -> RealApiServer:
    """Started once, however many conftests import this; it ends with the session."""
    stash = request.config.stash
    if SERVER not in stash:
        try:
            stash[SERVER], end = _start()
        except Unavailable as reason:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"no API server on this machine: {reason}")
        request.config.add_cleanup(end)
    return stash[SERVER]


def _start() -> tuple[RealApiServer, Callable[[], None]]:
    if kubeconfig := os.environ.get("KUBECONFIG"):
        return Given(Path(kubeconfig)), lambda: None
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        return _from_assets(Path(assets))
    server = ApiServer()
    return server.up(), server.down


def _from_assets(programs: Path) -> tuple[RealApiServer, Callable[[], None]]:
    folder = Path(tempfile.mkdtemp(prefix="modelrollout-api-"))
    processes = Processes(folder)
    plane = ControlPlane(folder, processes, programs, Endpoints.on_this_host())

    def end() -> None:
        processes.kill()
        shutil.rmtree(folder, ignore_errors=True)

    try:
        plane.start()
    except BaseException:
        end()
        raise
    return plane, end
