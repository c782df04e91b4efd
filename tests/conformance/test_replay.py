"""A real Prometheus is asked for the past: what would have been stopped there is what was stopped live."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.__main__ import main
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.parse import parse
from modelrollout.domain.polls import Sample
from modelrollout.simulate.scenario import Rate, Scenario, Version
from tests.remote_write import STALE, FilledPrometheus, Row, minutes_ago
from tests.simulate.live import LiveRun, live_run, told_in_status
from tests.simulate.specs import scenario
from tests.simulate.stub_prometheus import as_mlserver, as_pods, as_traefik
from tests.simulate.test_replay import OWN_RATIO, SPEC


def model_deployment() -> ModelDeployment:
    desired = parse(SPEC)
    assert isinstance(desired, ModelDeployment)
    return desired


def rows(live: LiveRun, later: float) -> Iterator[Row]:
    """What Traefik exported, and that the pods were scraped; the candidate's series end with it."""
    gateway = as_traefik(live.scraped, until=live.traffic_until, namespace="shop", route="sentiment")
    yield from ended(gateway, later)
    up = next(samples for labels, samples in gateway if labels["__name__"] == "traefik_config_last_reload_success")
    for revision in (live.rollout.stable, live.rollout.candidate):
        for number in range(2):
            labels = {"namespace": "shop", "pod": f"sentiment-{revision}-7c9f-x{number}"}
            yield {"__name__": "up", **labels}, [Sample(sample.t + later, 1.0) for sample in up]


def ended(rows: Iterable[Row], later: float) -> Iterator[Row]:
    """So many seconds later, and after its last sample each series is said to have ended."""
    for labels, samples in rows:
        moved = [Sample(sample.t + later, sample.v) for sample in samples]
        yield labels, [*moved, Sample(moved[-1].t + 15, STALE)]


def replayed(
    prometheus: FilledPrometheus, stored: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """The one rollout of that object, in JSON."""
    path = folder / "stored.yaml"
    path.write_text(yaml.safe_dump(stored))
    assert main(["replay", str(path), "--prometheus", prometheus.url, "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["untold"] == []
    (rollout,) = told["rollouts"]
    return dict(rollout)


@pytest.mark.parametrize(("rate", "ending"), [(0.5, "rolled back"), (0.005, "promoted"), (0.03, "rolled back")])
def test_a_real_prometheus_tells_what_was_decided_live(
    prometheus: FilledPrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: float, ending: str
) -> None:
    live = live_run(model_deployment(), scenario(rate), seed=5)
    assert live.rollout.ending == ending
    later = minutes_ago(5) - live.traffic_until // 60 * 60
    prometheus.write(rows(live, later))
    rollout = replayed(prometheus, {**SPEC, "status": told_in_status(live, later=later)}, tmp_path, capsys)
    assert (rollout["ending"], rollout["rolledBack"]) == (ending, ending == "rolled back")
    decided = [
        (round(datetime.fromisoformat(each["time"]).timestamp() - later, 3), each["action"], each["sentence"])
        for each in rollout["decisions"]
        if each["action"] in ("Advance", "Rollback")
    ]
    assert decided == [(round(each.at, 3), each.action, each.sentence) for each in live.decisions]


@pytest.mark.parametrize(("rate", "stopped"), [(0.2, True), (0.005, False)])
def test_pods_are_found_again_by_what_was_scraped_of_them(
    prometheus: FilledPrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: float, stopped: bool
) -> None:
    """Without a gateway; the candidate's pods come late, go with the rollout, and their series end."""
    by_pods = {"router": "replicaRatio"}
    analysis = SPEC["spec"]["analysis"] | {"source": "server"}
    stored = {**SPEC, "spec": {**SPEC["spec"], "traffic": by_pods, "analysis": analysis}}
    desired = parse(stored)
    assert isinstance(desired, ModelDeployment)
    live = live_run(desired, scenario(rate, pods=4), seed=3)
    assert (live.rollout.ending == "rolled back") is stopped
    later = minutes_ago(5) - live.traffic_until // 60 * 60
    pods = as_mlserver(live.scraped, until=live.traffic_until, namespace="shop", deployment="sentiment")
    prometheus.write(ended(pods, later))
    rollout = replayed(prometheus, {**stored, "status": told_in_status(live, later=later)}, tmp_path, capsys)
    assert rollout["blocks"] > 0 and rollout["rolledBack"] is stopped


@pytest.mark.parametrize(("bad", "stopped"), [(0.3, True), (0.02, False)])
def test_ones_own_metrics_are_asked_for_beside_the_gateways(
    prometheus: FilledPrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: float, stopped: bool
) -> None:
    analysis = SPEC["spec"]["analysis"] | {"metrics": [{"name": "errors"}, OWN_RATIO]}
    stored = {**SPEC, "spec": {**SPEC["spec"], "analysis": analysis}}
    desired = parse(stored)
    assert isinstance(desired, ModelDeployment)
    stable, candidate = (Version(latency=None, own=(("quality", Rate(bad=rate)),)) for rate in (0.02, bad))
    live = live_run(desired, Scenario(requests_per_second=100, stable=stable, candidate=candidate), seed=3)
    later = minutes_ago(5) - live.traffic_until // 60 * 60
    series = {"quality": "answers_total", "quality/bad": "refused_total"}
    pods = as_pods(live.scraped, series, until=live.traffic_until, namespace="shop", deployment="sentiment")
    gateway = as_traefik(live.scraped, until=live.traffic_until, namespace="shop", route="sentiment")
    prometheus.write(ended([*gateway, *pods], later))
    rollout = replayed(prometheus, {**stored, "status": told_in_status(live, later=later)}, tmp_path, capsys)
    assert rollout["rolledBack"] is stopped
    assert ("%: `quality`" in rollout["decisions"][-1]["sentence"]) is stopped
