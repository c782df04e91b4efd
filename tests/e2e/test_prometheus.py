"""Prometheus goes away in the middle of a step, and comes back."""

from collections.abc import Iterator

import pytest

from devcluster.processes import Process, wait_until
from devcluster.prometheus import is_ready
from tests.e2e.place import Place
from tests.e2e.specs import BY_EVIDENCE, Document, a_rollout
from tests.e2e.world import World


@pytest.fixture
def prometheus(world: World) -> Iterator[Process]:
    process = world.devcluster.processes["prometheus"]
    yield process
    process.start()
    address = world.gateway.partition(":")[0]
    assert wait_until(lambda: is_ready(address), 30)


def test_without_prometheus_a_step_neither_ends_nor_goes_back(place: Place, prometheus: Process) -> None:
    model: Document = {"rollout": a_rollout(20, 50), "analysis": BY_EVIDENCE | {"minDuration": "6s", "deadline": "9s"}}
    place.deploy(place.model("1", **model))
    with place.requests(50) as seen:
        place.apply(place.model("2", **model))
        second = place.until_weight(20).candidate
        prometheus.stop()
        look = place.until(
            "says that it holds for want of Prometheus",
            lambda look: look.phase == "Holding" and look.condition("AnalysisHealthy")[1] == "ProviderError",
        )
        assert look.condition("AnalysisHealthy")[0] == "Unknown"
        assert "Prometheus" in look.message and look.condition("Ready")[0] == "False"
        place.stays(15, lambda look: (look.candidate, look.weight) == (second, 20))  # beyond deadline and noDataTimeout
        assert place.route_of(second) == [20]
        prometheus.start()
        assert place.until_stable().stable == second
        assert [record.status for record in seen() if record.failed] == []
    assert place.route_of(second) == [20, 50, 100]


def test_without_prometheus_the_hand_brake_works(place: Place, prometheus: Process) -> None:
    model: Document = {
        "rollout": a_rollout(20, 50),
        "analysis": BY_EVIDENCE | {"minDuration": "30s", "deadline": "60s"},
    }
    first = place.deploy(place.model("1", **model))
    place.apply(place.model("2", **model))
    second = place.until_weight(20).candidate
    prometheus.stop()
    place.command(f"abort:{second}")
    look = place.until("rolled back", lambda look: look.phase == "RolledBack")
    assert look.aborted["reason"] == "Aborted"
    assert place.weights() == {first: 100} and place.route_of(second) == [20, 0]
