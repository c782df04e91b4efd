"""A real Prometheus on loopback. Where none can be built, tests are skipped aloud, and fail with CI=true."""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from devcluster import build
from devcluster.machine import Unavailable
from devcluster.processes import Process, Processes
from devcluster.progress import Progress

READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RealPrometheus:
    url: str
    process: Process

    def wait(self) -> None:
        self.process.wait_ready(self._is_ready, READY_SECONDS)

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def restart(self) -> None:
        """What it has counted of itself begins at zero, what it has scraped stays."""
        self.process.stop()
        self.process.start()
        self.wait()


@contextmanager
def running(configuration: Callable[[str], Mapping[str, Any]], *flags: str) -> Iterator[RealPrometheus]:
    """`configuration` of its own address, a host and a port."""
    program = _program()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    folder = Path(tempfile.mkdtemp(prefix="modelrollout-prometheus-"))
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration(address)))
    command: list[str | Path] = [
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--log.level=warn",
    ]
    processes = Processes(folder)
    try:
        process = processes.start("prometheus", [*command, f"--web.listen-address={address}", *flags])
        real = RealPrometheus(url=f"http://{address}", process=process)
        real.wait()
        yield real
    finally:
        processes.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _program() -> Path:
    try:
        return build.prometheus(Progress())
    except Unavailable as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no Prometheus on this machine: {reason}")
