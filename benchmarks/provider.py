"""Prometheus behind a proxy that harms on demand: what happens to it, and to the way to it.

operator → toxiproxy → Prometheus, or → the stand-in → Prometheus where the answer itself is to be wrong. All of it runs
in the cluster's network and ends with the cluster.
"""

import contextlib
import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from devcluster import Cluster, build, prometheus
from devcluster.install import NAMESPACE, URL_SETTING
from devcluster.processes import wait_until
from devcluster.progress import Progress

REPOSITORY = Path(__file__).parents[1]
API_PORT, PROXY_PORT, STAND_IN_PORT = 8474, 9191, 9192
PROXY = "prometheus"
DEPLOYMENT = "deployment/modelrollout"
READY_SECONDS = 20.0


class Provider:
    """Whole at first; every harm lasts until `heal`."""

    def __init__(self, cluster: Cluster) -> None:
        self._process = cluster.processes["prometheus"]
        self._url = cluster.prometheus_url
        self._address = self._url.removeprefix("http://").partition(":")[0]
        self._configuration = cluster.state_dir / "prometheus" / "prometheus.yml"
        self._healthy = self._configuration.read_text()

    def stop(self) -> None:
        """The process ends, and its port refuses connections."""
        self._process.stop()
        self._proxy("PATCH", f"/proxies/{PROXY}", enabled=False)

    def scrape_nothing(self) -> None:
        """It answers, and nothing new comes to what it knows."""
        self._configured(yaml.safe_dump(yaml.safe_load(self._healthy) | {"scrape_configs": []}))

    def harm(self, toxic: str, **attributes: int) -> None:
        """Harm the connections of the operator, as one of toxiproxy's toxics does."""
        self._proxy("POST", f"/proxies/{PROXY}/toxics", type=toxic, stream="downstream", attributes=attributes)

    def falsify(self, how: str) -> None:
        """Let the stand-in answer; `how` is one of its falsifications."""
        self._ask("PUT", STAND_IN_PORT, f"/false/{how}")
        self._proxy("PATCH", f"/proxies/{PROXY}", upstream=f"{self._address}:{STAND_IN_PORT}")

    def heal(self) -> None:
        self._process.start()
        if not wait_until(lambda: prometheus.is_ready(self._address), READY_SECONDS):
            raise RuntimeError(f"Prometheus does not come back; look at {self._process.log}")
        if self._configuration.read_text() != self._healthy:
            self._configured(self._healthy)
        self._proxy("PATCH", f"/proxies/{PROXY}", upstream=f"{self._address}:{prometheus.PORT}", enabled=True)
        self._proxy("POST", "/reset")

    def begin(self, cluster: Cluster) -> None:
        """Start the proxy and the stand-in, and lead the operator through them."""
        toxiproxy = build.toxiproxy(Progress())
        proxy = cluster.processes.start(
            "toxiproxy", [toxiproxy, f"-host={self._address}", f"-port={API_PORT}"], environment={"LOG_LEVEL": "warn"}
        )
        proxy.wait_ready(lambda: self._answers("GET", API_PORT, "/version"), READY_SECONDS)
        command = [sys.executable, "-m", "benchmarks.false_prometheus", self._address, str(STAND_IN_PORT), self._url]
        stand_in = cluster.processes.start("false-prometheus", command, environment={"PYTHONPATH": str(REPOSITORY)})
        stand_in.wait_ready(lambda: self._answers("PUT", STAND_IN_PORT, "/false/nothing"), READY_SECONDS)
        listen, upstream = f"{self._address}:{PROXY_PORT}", f"{self._address}:{prometheus.PORT}"
        self._proxy("POST", "/proxies", name=PROXY, listen=listen, upstream=upstream, enabled=True)
        cluster.kubectl("set", "env", DEPLOYMENT, "-n", NAMESPACE, f"{URL_SETTING}=http://{listen}")
        cluster.kubectl("rollout", "status", DEPLOYMENT, "-n", NAMESPACE, "--timeout=90s")

    def _configured(self, text: str) -> None:
        self._configuration.write_text(text)
        self._ask("POST", prometheus.PORT, "/-/reload")

    def _proxy(self, method: str, path: str, **document: Any) -> None:
        self._ask(method, API_PORT, path, json.dumps(document).encode())

    def _ask(self, method: str, port: int, path: str, body: bytes | None = None) -> None:
        url = f"http://{self._address}:{port}{path}"
        request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 -- our own address
            answer.read()

    def _answers(self, method: str, port: int, path: str) -> bool:
        try:
            self._ask(method, port, path)
        except OSError:
            return False
        return True


@contextlib.contextmanager
def harmed(provider: Provider) -> Iterator[None]:
    """Whatever is done to it in the block is undone after it."""
    try:
        yield
    finally:
        provider.heal()
