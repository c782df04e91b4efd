"""A past rollout is judged again as it was judged live, from the raw samples that a Prometheus still has."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.__main__ import main
from modelrollout.domain.intent_document import timestamp
from modelrollout.domain.judgement import Action
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import ModelDeployment, RolloutPlan, RouterName, Step, Traffic
from modelrollout.domain.parse import parse
from modelrollout.domain.polls import Sample
from modelrollout.measure.instruments import Instruments
from modelrollout.measure.prometheus import Prometheus
from modelrollout.simulate.recorded import told_by
from modelrollout.simulate.replay import NoAnswer, _lives, _with_pods, replay
from modelrollout.simulate.retell import Retold, retell
from modelrollout.simulate.scenario import Rate, Scenario, Version
from tests.measure.http_server import Asked, Script, matrix, patient, serving
from tests.simulate.live import Decision, LiveRun, live_run
from tests.simulate.specs import by_errors, deployment, scenario
from tests.simulate.stub_prometheus import Row, answering, as_istio, as_mlserver, as_pods, as_traefik
from tests.simulate.test_own_metrics import measured

UNKNOWN = "custom"
"""A server whose series nobody knows: the gateway's alone are there to be read again."""

OWN_RATIO: dict[str, Any] = {
    "name": "quality",
    "kind": "ratio",
    "total": {"series": "answers_total"},
    "bad": {"series": "refused_total"},
}


def decisions(retold: Retold) -> list[Decision]:
    """The first advance of each step, and the rollback."""
    found: dict[tuple[int, Action], Decision] = {}
    for turn in retold.turns:
        told = turn.judgement
        if told.action in (Action.ADVANCE, Action.ROLLBACK):
            decision = Decision(
                at=turn.at, weight=turn.weight, action=str(told.action), reason=told.reason, sentence=told.sentence
            )
            found.setdefault((turn.weight, told.action), decision)
    return list(found.values())


@given(st.integers(0, 1000), st.sampled_from([0.005, 0.01, 0.03, 0.3]))
@settings(max_examples=15, deadline=None)
def test_raw_samples_give_the_same_decision_at_the_same_poll(seed: int, rate: float) -> None:
    desired = by_errors()
    live = live_run(desired, scenario(rate), seed)
    retold = told_by(retell(desired, live.rollout), live.scraped, desired)
    assert decisions(retold) == list(live.decisions)
    assert (retold.stopped is not None) == (live.rollout.ending == "rolled back")


def served(live: LiveRun) -> Script:
    rows = as_traefik(live.scraped, until=live.traffic_until, namespace="shop", route="sentiment")
    return Script(answer=answering(rows))


@pytest.mark.parametrize("rate", [0.005, 0.05])
async def test_a_prometheus_that_is_asked_for_the_past_gives_the_same_decisions(rate: float) -> None:
    desired = deployment(rollout=RolloutPlan(steps=(Step(weight=20),)), preset=UNKNOWN)
    live = live_run(desired, scenario(rate), seed=7)
    with serving(served(live)) as prometheus:
        (retold,) = await replay(desired, (live.rollout,), patient(prometheus))
    assert decisions(retold) == list(live.decisions)
    assert retold.evidence is not None and retold.evidence.metrics[1].edges, "latency was read, too"
    assert all(asked.time <= live.rollout.ended for asked in prometheus.asked)


async def test_another_gateways_series_are_read_by_its_own_names() -> None:
    desired = by_errors(preset=UNKNOWN)
    live = live_run(desired, scenario(0.05, latency=None), seed=7)
    rows = as_istio(live.scraped, until=live.traffic_until, namespace="shop", deployment="sentiment")
    with serving(Script(answer=answering(rows))) as prometheus:
        (istio,) = await replay(desired, (live.rollout,), patient(prometheus), Instruments(gateway="istio"))
        (traefik,) = await replay(desired, (live.rollout,), patient(prometheus))
    assert istio.stopped is not None and traefik.stopped is None
    assert decisions(istio) == list(live.decisions)


@pytest.mark.parametrize("bad", [0.02, 0.3])
async def test_behind_a_gateway_ones_own_metrics_are_asked_of_the_pods(bad: float) -> None:
    desired = measured(OWN_RATIO)
    stable, candidate = (Version(own=(("quality", Rate(bad=rate)),)) for rate in (0.02, bad))
    live = live_run(desired, Scenario(requests_per_second=100, stable=stable, candidate=candidate), seed=7)
    rows = as_traefik(live.scraped, until=live.traffic_until, namespace="shop", route="sentiment")
    series = {"quality": "answers_total", "quality/bad": "refused_total"}
    rows += as_pods(live.scraped, series, until=live.traffic_until, namespace="shop", deployment="sentiment")
    with serving(Script(answer=answering(rows))) as prometheus:
        (retold,) = await replay(desired, (live.rollout,), patient(prometheus))
    assert [(each.weight, each.action) for each in decisions(retold)] == [(e.weight, e.action) for e in live.decisions]
    assert (retold.stopped.judgement.culprit if retold.stopped else "") == ("quality" if bad > 0.02 else "")


async def test_an_expression_is_asked_for_only_where_that_is_allowed() -> None:
    gauge = {"name": "drift", "kind": "gauge", "gauge": {"promql": "max(output_drift)", "window": "1m"}}
    desired = measured(gauge)
    live = live_run(by_errors(), scenario(0.005), seed=7)
    rows = as_traefik(live.scraped, until=live.traffic_until, namespace="shop", route="sentiment")
    rows += as_pods(live.scraped, {"requests": "x"}, until=live.traffic_until, namespace="shop", deployment="sentiment")

    def answer(asked: Asked) -> bytes:
        return matrix() if "output_drift" in asked.query else answering(rows)(asked)

    asked = {}
    for allowed in (False, True):
        with serving(Script(answer=answer)) as prometheus:
            await replay(desired, (live.rollout,), patient(prometheus), Instruments(promql=allowed))
        asked[allowed] = [each.query for each in prometheus.asked if "output_drift" in each.query]
    assert not asked[False]
    assert any("sentiment-stable-7c9f-x1" in query for query in asked[True])


async def test_without_a_gateway_the_pods_are_found_by_their_series() -> None:
    desired = by_errors(
        source=Source.SERVER,
        traffic=Traffic(router=RouterName.REPLICA_RATIO),
        rollout=RolloutPlan(steps=(Step(weight=50),)),
    )
    live = live_run(desired, scenario(0.2, pods=2), seed=3)
    rows = as_mlserver(live.scraped, until=live.traffic_until, namespace="shop", deployment="sentiment")
    with serving(Script(answer=answering(rows))) as prometheus:
        (retold,) = await replay(desired, (live.rollout,), patient(prometheus))
    assert retold.stopped is not None
    (told,), (was,) = decisions(retold), live.decisions
    assert (told.action, told.reason) == (was.action, was.reason)
    assert 0 <= was.at - told.at <= 15, "a pod counts as made when it was first scraped: its first value counts, too"


async def test_a_pod_is_ready_from_its_first_good_scrape_on() -> None:
    """Nobody waits for a pod's samples before it was scraped with success, or a minute after the last scrape."""
    desired = by_errors(source=Source.SERVER)
    live = live_run(desired, scenario(0.005, pods=2), seed=3)
    began = live.rollout.begun
    up = tuple(Sample(began + 15 * number, 1.0 if number >= 4 else 0.0) for number in range(8))
    rows: list[Row] = [({"__name__": "up", "namespace": "shop", "pod": "sentiment-stable-7c9f-x1"}, up)]
    with serving(Script(answer=answering(rows))) as prometheus:
        asked = Prometheus(patient(prometheus))
        lives = await _lives(desired, live.rollout, asked)
        asked.close()
    seen = {}
    for at in (began + 30, began + 90, began + 180):
        ask = next(retell(desired, live.rollout))
        moved = replace(ask, action=replace(ask.action, polls=(at,)))
        workload = _with_pods(moved, lives).workload("stable")
        assert workload is not None
        seen[at - began] = (len(workload.pods), workload.ready)
    assert seen == {30: (1, 0), 90: (1, 1), 180: (0, 0)}


async def test_a_past_that_is_forgotten_is_no_verdict() -> None:
    live = live_run(by_errors(), scenario(0.3), seed=1)
    with serving(Script(answer=answering([]))) as prometheus:
        (retold,) = await replay(by_errors(), (live.rollout,), patient(prometheus))
    assert retold.stopped is None
    assert {turn.judgement.action for turn in retold.turns} <= {Action.HOLD, Action.CONTINUE}


async def test_a_prometheus_that_refuses_is_told() -> None:
    live = live_run(by_errors(), scenario(0.3), seed=1)
    with serving(Script(status=403)) as prometheus, pytest.raises(NoAnswer, match="403"):
        await replay(by_errors(), (live.rollout,), patient(prometheus))


SPEC: dict[str, Any] = {
    "apiVersion": "modelrollout.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "sentiment", "namespace": "shop"},
    "spec": {
        "model": {"version": "2", "uri": "pvc://models/sentiment/2"},
        "runtime": {"preset": "mlserver", "image": "example/mlserver:1"},
        "traffic": {"router": "gatewayAPI", "gatewayAPI": {"parentRefs": [{"name": "public"}]}},
        "rollout": {"steps": [{"weight": 20}], "bake": "30s"},
        "analysis": {"minDuration": "1m", "deadline": "3m", "metrics": [{"name": "errors"}]},
    },
}
"""As stored, for the command."""


def at(seconds: float) -> str:
    return timestamp(datetime.fromtimestamp(seconds, UTC))


def stored(live: LiveRun, folder: Path) -> str:
    """The object with the decisions of that run, and one older rollout whose beginning is not kept."""
    step, revision = live.rollout.steps[0], live.rollout.candidate
    rolled = live.rollout.ending == "rolled back"
    ended = {"time": at(step.ended), "action": "Rollback", "revision": revision, "weight": step.weight}
    passed = {"time": at(step.ended), "action": "Advance", "revision": revision, "weight": step.weight}
    promoted = {"time": at(step.ended + 60), "action": "Promote", "revision": revision, "weight": 100}
    before = {"time": at(step.begun - 900), "action": "Promote", "revision": "stable", "weight": 100}
    start = {"time": at(step.begun), "action": "Start", "revision": revision, "weight": 0}
    status = {
        "rollout": {"stable": "stable" if rolled else revision},
        "decisions": [before, start, *([ended] if rolled else [passed, promoted])],
    }
    path = folder / "stored.yaml"
    path.write_text(yaml.safe_dump({**SPEC, "status": status}))
    return str(path)


def live_of_the_spec(rate: float) -> LiveRun:
    desired = parse(SPEC)
    assert isinstance(desired, ModelDeployment)
    return live_run(desired, scenario(rate), seed=5)


def test_what_happened_and_what_would_have_stand_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = live_of_the_spec(0.3)
    with serving(served(live)) as prometheus:
        assert main(["replay", stored(live, tmp_path), "--prometheus", prometheus.url]) == 0
    told = capsys.readouterr().out
    assert "1 past rollouts, 1 of them would have been rolled back" in told
    assert f"shop/sentiment   stable → {live.rollout.candidate}" in told
    assert "rolled back after" in told and "rolled back at 20 % after" in told
    assert "shop/sentiment: stable, promoted at" in told, "the rollout before has lost its beginning"


def test_stricter_settings_are_tried_on_the_past(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A candidate that fails 1 % beside 0.5 % goes through by margins that allow it, and not by the default ones."""
    lax = {"metrics": [{"name": "errors", "regression": {"ratio": 4}}]}
    wide = parse({**SPEC, "spec": {**SPEC["spec"], "analysis": {**SPEC["spec"]["analysis"], **lax}}})
    assert isinstance(wide, ModelDeployment)
    live = live_run(wide, scenario(0.015, rps=400), seed=5)
    assert live.rollout.ending == "promoted"
    with serving(served(live)) as prometheus:
        assert main(["replay", stored(live, tmp_path), "--prometheus", prometheus.url, "--output", "json"]) == 0
    (rollout,) = json.loads(capsys.readouterr().out)["rollouts"]
    assert (rollout["ending"], rollout["rolledBack"]) == ("promoted", True)
    assert rollout["decisions"][-1]["reason"] == "regression"


@pytest.mark.parametrize(
    ("arguments", "count"), [((), 1), (("--from", "2026-01-01"), 1), (("--to", "2025-12-31T12:00:00Z"), 0)]
)
def test_only_rollouts_of_the_time_asked_for_are_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], count: int
) -> None:
    live = live_of_the_spec(0.3)
    with serving(served(live)) as prometheus:
        path = stored(live, tmp_path)
        assert main(["replay", path, "--prometheus", prometheus.url, "--output", "json", *arguments]) == 0
    assert len(json.loads(capsys.readouterr().out)["rollouts"]) == count


@pytest.mark.parametrize("status", [{}, {"decisions": []}, {"decisions": [{"time": at(0), "action": "Start"}]}])
def test_without_a_past_nothing_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: dict[str, Any]
) -> None:
    path = tmp_path / "md.yaml"
    path.write_text(yaml.safe_dump({**SPEC, "status": status}))
    assert main(["replay", str(path), "--prometheus", "http://127.0.0.1:1"]) == 1
    told = capsys.readouterr()
    assert f"{path}: status has no decisions of a rollout that is over" in told.err and "--rollouts" in told.err
    assert told.out == ""


def test_rollouts_can_be_named_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = live_of_the_spec(0.3)
    (step,) = live.rollout.steps
    listed = [
        {
            "stable": "stable",
            "candidate": live.rollout.candidate,
            "steps": [{"weight": 20, "at": at(step.begun)}],
            "ended": at(step.ended),
        }
    ]
    (tmp_path / "rollouts.yaml").write_text(yaml.safe_dump(listed))
    (tmp_path / "md.yaml").write_text(yaml.safe_dump(SPEC))
    rollouts, spec = (str(tmp_path / name) for name in ("rollouts.yaml", "md.yaml"))
    with serving(served(live)) as prometheus:
        assert main(["replay", spec, "--prometheus", prometheus.url, "--rollouts", rollouts]) == 0
    told = capsys.readouterr().out
    assert "not said after" in told and "rolled back at 20 %" in told


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 64, "write --prometheus URL"),
        (("--prometheus", "http://127.0.0.1:1", "--name", "other"), 64, "has no ModelDeployment other"),
        (("--prometheus", "http://127.0.0.1:1", "--rollouts", "no.yaml"), 64, "no.yaml: cannot be read"),
        (("--prometheus", "http://127.0.0.1:1", "--from", "soon"), 64, "soon is no time"),
        (("--prometheus", "http://127.0.0.1:1"), 1, "default"),
        (
            ("--prometheus", "http://127.0.0.1:1", "--gateway", "nginx-gateway-fabric"),
            64,
            "cannot tell revisions apart",
        ),
        (("--providers", "no.yaml"), 64, "--providers: no.yaml cannot be read"),
    ],
)
def test_what_cannot_be_replayed_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    path = stored(live_of_the_spec(0.3), tmp_path)
    assert main(["replay", path, *arguments]) == code
    assert message in capsys.readouterr().err
