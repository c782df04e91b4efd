"""A real Prometheus on the loopback address that scrapes itself, in each way in which histograms can be kept."""

import json
import os
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.build import prometheus as built
from devcluster.machine import Failed, Unavailable
from devcluster.processes import Process, Processes, wait_until
from devcluster.progress import Progress

NAMESPACE = "shop"
KINDS: dict[str, dict[str, Any]] = {
    "classic": {},
    "native": {"scrape_native_histograms": True},
    "coarse": {"scrape_native_histograms": True, "native_histogram_min_bucket_factor": 2},
    "both": {"scrape_native_histograms": True, "always_scrape_classic_histograms": True},
    "custom": {"convert_classic_histograms_to_nhcb": True},
}
"""Per pod what is set for its scrape."""
SECONDS = 30.0


class OwnPrometheus:
    """Counts requests to its own pages, per page and by time."""

    def __init__(self, processes: Processes, program: Path, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        (folder / "prometheus.yml").write_text(yaml.safe_dump(self._configuration()))
        self._process: Process = processes.start(
            "prometheus",
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'samples'}",
                f"--web.listen-address={self._address}",
                "--log.level=warn",
            ],
        )
        self._wait()

    @property
    def url(self) -> str:
        return f"http://{self._address}"

    def _configuration(self) -> dict[str, Any]:
        def job(pod: str, options: dict[str, Any]) -> dict[str, Any]:
            labels = {"namespace": NAMESPACE, "pod": pod}
            return {"job_name": pod, **options, "static_configs": [{"targets": [self._address], "labels": labels}]}

        return {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
            "scrape_configs": [job(pod, options) for pod, options in KINDS.items()],
        }

    def restart(self) -> None:
        """What it has counted of itself begins at zero, what it has scraped stays."""
        self._process.stop()
        self._process.start()
        self._wait()

    def visit(self, page: str, times: int) -> None:
        for _ in range(times):
            with urllib.request.urlopen(f"{self.url}{page}", timeout=5) as answer:
                assert answer.status == 200

    def scraped(self) -> float:
        """A time at which each pod has been scraped since now."""
        now = time.time()
        if not wait_until(lambda: self._oldest_scrape() > now, SECONDS):
            raise Failed("Prometheus does not scrape itself")
        return time.time()

    def _oldest_scrape(self) -> float:
        """Of the newest scrapes of each pod; 0 where one was never scraped."""
        query = urllib.parse.urlencode({"query": "timestamp(up)"})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
        return min((float(each["value"][1]) for each in found), default=0.0) if len(found) == len(KINDS) else 0.0

    def _wait(self) -> None:
        def ready() -> bool:
            try:
                self.visit("/-/ready", 1)
            except OSError:
                return False
            return True

        self._process.wait_ready(ready, SECONDS)


@contextmanager
def _running(folder: Path) -> Iterator[OwnPrometheus]:
    program = built(Progress())
    processes = Processes(folder)
    try:
        yield OwnPrometheus(processes, program, folder)
    finally:
        processes.kill()


@pytest.fixture(scope="module")
def own_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPrometheus]:
    made = _running(tmp_path_factory.mktemp("prometheus"))
    try:
        running = made.__enter__()
    except Unavailable as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no Prometheus on this machine: {reason}")
    try:
        yield running
    finally:
        made.__exit__(None, None, None)
