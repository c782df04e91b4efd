"""A real Prometheus that scrapes itself, in each way in which histograms can be kept."""

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from devcluster.machine import Failed
from devcluster.processes import wait_until
from tests.real_prometheus import RealPrometheus, running

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


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrometheus:
    """Counts requests to its own pages, per page and by time."""

    real: RealPrometheus

    @property
    def url(self) -> str:
        return self.real.url

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


@pytest.fixture(scope="module")
def own_prometheus() -> Iterator[OwnPrometheus]:
    with running(_configuration) as real:
        yield OwnPrometheus(real=real)


def _configuration(address: str) -> dict[str, Any]:
    def job(pod: str, options: dict[str, Any]) -> dict[str, Any]:
        labels = {"namespace": NAMESPACE, "pod": pod}
        return {"job_name": pod, **options, "static_configs": [{"targets": [address], "labels": labels}]}

    return {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "scrape_configs": [job(pod, options) for pod, options in KINDS.items()],
    }
