"""Every wrong field is named by its path; what is absent has its default."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from modelrollout.domain.analysis import AnalysisSettings, Mode
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import (
    InvalidSpec,
    Key,
    ModelDeployment,
    Pause,
    RouterName,
    ScalingMode,
    Step,
)
from modelrollout.domain.parse import analysis_settings, parse
from modelrollout.domain.revision import revision_name

GATEWAY = {"router": "gatewayAPI", "gatewayAPI": {"parentRefs": [{"name": "public"}]}}


def a_body(**spec: object) -> dict[str, Any]:
    return {
        "metadata": {"name": "sentiment", "namespace": "shop", "uid": "u-1", "generation": 7},
        "spec": {"model": {"version": "3"}, "runtime": {"preset": "mlserver"}, **spec},
    }


def read(**spec: object) -> ModelDeployment:
    found = parse(a_body(**spec))
    assert isinstance(found, ModelDeployment), found
    return found


def wrong(**spec: object) -> str:
    found = parse(a_body(**spec))
    assert isinstance(found, InvalidSpec), found
    return found.message


def test_the_shortest_spec_has_defaults_everywhere() -> None:
    md = read()
    assert (md.key, md.uid, md.generation) == (Key(namespace="shop", name="sentiment"), "u-1", 7)
    assert (md.version, md.preset, md.ready_timeout) == ("3", "mlserver", timedelta(minutes=10))
    assert (md.scaling.mode, md.scaling.floor, md.scaling.ceiling) == (ScalingMode.FIXED, 1, 1)
    assert (md.traffic.router, md.traffic.port) == (RouterName.REPLICA_RATIO, 80)
    assert [step.weight for step in md.rollout.steps] == [5, 25, 50]
    assert (md.rollout.bake, md.rollout.history_limit, md.paused) == (timedelta(minutes=10), 5, False)
    assert md.analysis == AnalysisSettings(source=Source.SERVER)


def test_the_revision_is_the_hash_of_model_and_runtime_as_stored_and_of_nothing_else() -> None:
    model, runtime = {"version": "3"}, {"preset": "mlserver"}
    expected = revision_name(Fragment.of(model), Fragment.of(runtime))
    assert read().revision == expected
    assert read(paused=True, rollout={"steps": []}, scaling={"replicas": 4}, traffic=GATEWAY).revision == expected
    assert read(model={"version": "4"}).revision != expected
    assert read(runtime={"preset": "mlserver", "args": []}).revision != expected


def test_no_steps_are_not_absent_steps() -> None:
    assert read(rollout={"steps": []}).rollout.steps == ()


def test_steps_carry_their_times_and_pauses() -> None:
    steps = [
        {"weight": 5, "minDuration": "2m", "deadline": "10m"},
        {"weight": 25, "pause": True},
        {"weight": 50, "pause": "1h30m"},
    ]
    assert read(rollout={"steps": steps}).rollout.steps == (
        Step(weight=5, min_duration=timedelta(minutes=2), deadline=timedelta(minutes=10)),
        Step(weight=25, pause=Pause()),
        Step(weight=50, pause=Pause(duration=timedelta(minutes=90))),
    )


def test_scaling_with_a_ceiling_is_autoscaling() -> None:
    md = read(scaling={"replicas": 1, "maxReplicas": 10, "minReplicas": 2, "behavior": {"scaleUp": {}}})
    assert (md.scaling.mode, md.scaling.floor, md.scaling.ceiling) == (ScalingMode.HPA, 2, 10)
    assert md.scaling.behavior == Fragment.of({"scaleUp": {}})


def test_the_series_that_are_read_follow_the_router_and_are_frozen_with_the_rest() -> None:
    by_gateway = read(traffic=GATEWAY, analysis={"alpha": 0.05})
    assert by_gateway.analysis.source is Source.GATEWAY
    assert by_gateway.analysis.provider == "default"
    assert read(analysis={"provider": "mimir"}).analysis.provider == "mimir"
    assert by_gateway.analysis_text == '{"alpha":0.05,"source":"gateway"}'
    assert read(traffic=GATEWAY, analysis={"source": "server"}).analysis.source is Source.SERVER


def test_the_frozen_text_reads_as_the_settings_it_was_made_of() -> None:
    md = read(
        analysis={
            "mode": "none",
            "poll": "5s",
            "minDuration": "30s",
            "deadline": "1m",
            "warmup": "0s",
            "minBad": 1,
            "onInconclusive": "rollback",
            "holdTimeout": "5m",
            "onHoldTimeout": "rollback",
            "suspicious": 5,
            "guardrails": {"errorRateMax": 0.1, "alphaSlo": 0.02, "slo": 0.99, "burn": 10, "maxBudgetShare": 0.05},
            "overdispersion": {"mode": "none", "lookback": "1h", "max": 5, "fallback": 1.5},
            "podSpread": {"mode": "none", "z": 1, "maxFactor": 2, "minPods": 7},
            "metrics": [{"name": "latency", "regression": {"ratio": 1.1}, "edges": [0.1, 0.25], "weight": 0.3}],
        }
    )
    assert md.analysis.mode is Mode.NONE
    assert md.analysis.metrics[0].regression.ratio == 1.1
    assert md.analysis.metrics[0].regression.absolute == 0.002, "a half that is absent keeps its default"
    assert md.analysis.overdispersion.lookback == timedelta(hours=1)
    assert (md.analysis.pod_spread.min_pods, md.analysis.guardrails.alpha_slo) == (7, 0.02)
    assert analysis_settings(md.analysis_text) == md.analysis


@pytest.mark.parametrize("text", [None, "", "{", "[]", "3", '{"alpha": "much"}', '{"alpha": 7}', "[" * 100_000])
def test_frozen_text_that_cannot_be_read_is_the_default(text: str | None) -> None:
    assert analysis_settings(text) == AnalysisSettings()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"model": None}, "spec.model: is missing; write at least its version"),
        ({"model": {"version": 1.1}}, 'spec.model.version: 1.1 is not text; put it in quotes, as in "1.10"'),
        ({"model": {"version": "3", "uri": "s3://a/b"}}, "spec.model.uri: s3://a/b cannot be used; write pvc://"),
        (
            {"model": {"version": "3", "uri": "pvc://a/../b"}},
            "spec.model.uri: pvc://a/../b cannot be used; write a plain",
        ),
        ({"runtime": {}}, "spec.runtime.preset: is missing; name a preset"),
        ({"runtime": {"preset": "custom"}}, "spec.runtime.image: is missing; preset: custom needs one"),
        (
            {"runtime": {"preset": "a", "env": [{"name": "A"}, {"name": "A"}]}},
            "spec.runtime.env[1].name: A is there twice",
        ),
        (
            {"runtime": {"preset": "a", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}},
            "spec.runtime.volumeMounts[0].name: v is none of volumes",
        ),
        ({"runtime": {"preset": "a", "readyTimeout": "0s"}}, "spec.runtime.readyTimeout: 0s is too short; write a"),
        ({"runtime": {"preset": "a", "readyTimeout": "1d"}}, "spec.runtime.readyTimeout: 1d is no duration; write a"),
        ({"runtime": {"preset": "a", "args": "x"}}, "spec.runtime.args: x is not a list"),
        (
            {"scaling": {"minReplicas": 4, "maxReplicas": 2}},
            "spec.scaling.minReplicas: 4 is above maxReplicas 2; raise",
        ),
        ({"scaling": {"minReplicas": 4}}, "spec.scaling.maxReplicas: is missing; autoscaling needs a ceiling"),
        (
            {"scaling": {"mode": "fixed", "maxReplicas": 4}},
            "spec.scaling.maxReplicas: 4 is not looked at with mode: fixed",
        ),
        ({"scaling": {"replicas": True}}, "spec.scaling.replicas: true is not a whole number"),
        (
            {"traffic": {"router": "istio"}},
            "spec.traffic.router: istio is not possible; write gatewayAPI or replicaRatio",
        ),
        ({"traffic": {"router": "gatewayAPI"}}, "spec.traffic.gatewayAPI.parentRefs: router: gatewayAPI needs one"),
        ({"traffic": {"port": 70000}}, "spec.traffic.port: 70000 is above 65535"),
        (
            {"rollout": {"steps": [{"weight": 5}, {"weight": 120}]}},
            "spec.rollout.steps[1].weight: 120 is not between 1 and 99",
        ),
        (
            {"rollout": {"steps": [{"weight": 5}, {"weight": 5}]}},
            "spec.rollout.steps[1].weight: 5 is not above 5 before it",
        ),
        (
            {"rollout": {"steps": [{"weight": 5, "pause": False}]}},
            "spec.rollout.steps[0].pause: false is not possible; write true",
        ),
        (
            {"rollout": {"steps": [{"weight": 5, "minDuration": "5m", "deadline": "1m"}]}},
            "spec.rollout.steps[0].minDuration: 5m is longer than deadline 1m; raise deadline",
        ),
        ({"analysis": {"minDuration": "20m"}}, "spec.analysis.minDuration: 20m is longer than deadline 10m"),
        ({"analysis": {"provider": "Mimir"}}, "spec.analysis.provider: Mimir cannot be used; write a name such as"),
        ({"analysis": {"provider": "-"}}, "spec.analysis.provider: - cannot be used"),
        ({"analysis": {"source": "gateway"}}, "spec.analysis.source: gateway needs traffic.router: gatewayAPI"),
        ({"analysis": {"alpha": 1}}, "spec.analysis.alpha: 1.0 is not possible; write a number above 0, at most 0.2"),
        (
            {"analysis": {"guardrails": {"errorRateMax": 0.7}}},
            "spec.analysis.guardrails.errorRateMax: 0.7 is not possible; write a rate above 0 and below 0.5",
        ),
        (
            {"analysis": {"guardrails": {"slo": 0.9}}},
            "spec.analysis.guardrails.burn: 14.4 is not possible; write less than 10, which is all",
        ),
        (
            {"analysis": {"guardrails": {"slo": 99.9}}},
            "spec.analysis.guardrails.slo: 99.9 is not possible; write a share",
        ),
        ({"analysis": {"guardrails": {"alphaSlo": "x"}}}, "spec.analysis.guardrails.alphaSlo: x is not a number"),
        (
            {"analysis": {"overdispersion": {"lookback": "1m"}}},
            "spec.analysis.overdispersion.lookback: 0:01:00 is not possible; write 5m to 24h",
        ),
        (
            {"analysis": {"overdispersion": {"fallback": 5, "max": 4}}},
            "spec.analysis.overdispersion.fallback: 5.0 is not possible; write a number from 1 to max",
        ),
        ({"analysis": {"overdispersion": {"mode": "on"}}}, "spec.analysis.overdispersion.mode: on is not possible"),
        ({"analysis": {"podSpread": {"minPods": 2}}}, "spec.analysis.podSpread.minPods: 2 is below 3"),
        ({"analysis": {"podSpread": {"z": 11}}}, "spec.analysis.podSpread.z: 11.0 is not possible"),
        ({"analysis": {"guardrails": 3}}, "spec.analysis.guardrails: 3 is not an object"),
        ({"analysis": {"metrics": []}}, "spec.analysis.metrics: an empty list is not possible"),
        (
            {"analysis": {"metrics": [{"name": "errors", "kind": "histogram"}]}},
            "spec.analysis.metrics[0].kind: histogram is not",
        ),
        (
            {"analysis": {"metrics": [{"name": "errors", "weight": 2}]}},
            "spec.analysis.metrics[0].weight: 2.0 is not possible",
        ),
        ({"analysis": {"deadline": 30}}, "spec.analysis.deadline: 30 is no duration; write 30s"),
        ({"analysis": {"deadline": "30"}}, "spec.analysis.deadline: 30 is no duration; write 30s"),
        ({"analysis": {"deadline": 1.5}}, "spec.analysis.deadline: 1.5 is no duration; write 1s500ms"),
        ({"analysis": {"deadline": -1}}, "spec.analysis.deadline: -1 is no duration; write a duration such as 90s"),
        ({"analysis": {"deadline": True}}, "spec.analysis.deadline: true is no duration; write a duration such as"),
        ({"rollout": {"bake": 60}}, "spec.rollout.bake: 60 is no duration; write 60s"),
        (
            {"rollout": {"steps": [{"weight": "10%"}]}},
            "spec.rollout.steps[0].weight: 10% is not a whole number; write 10",
        ),
        (
            {"analysis": {"guardrails": {"errorRateMax": "5%"}}},
            "spec.analysis.guardrails.errorRateMax: 5% is not a number; write 0.05",
        ),
        ({"analysis": {"alpha": "0.01"}}, "spec.analysis.alpha: 0.01 is not a number; write 0.01, without quotes"),
        ({"analysis": {"alpha": ["1%"]}}, "spec.analysis.alpha: ['1%'] is not a number"),
        (
            {"analysis": {"metrics": [{"name": "latency", "slo": {"within": "500ms", "share": 0.9}}]}},
            "spec.analysis.metrics[0].slo.within: 500ms is not a number; write 0.5, in seconds",
        ),
        (
            {"analysis": {"metrics": [{"name": "latency", "slo": {"within": 0.5, "share": "99.9%"}}]}},
            "spec.analysis.metrics[0].slo.share: 99.9% is not a number; write 0.999",
        ),
        (
            {"analysis": {"metrics": [{"name": "latency", "edges": ["1m"]}]}},
            "spec.analysis.metrics[0].edges[0]: 1m is not a number; write 60, in seconds",
        ),
        (
            {"analysis": {"metrics": [{"name": "erors"}]}},
            "spec.analysis.metrics[0].kind: is missing; write ratio, histogram or gauge; or did you mean errors?",
        ),
        ({"paused": "yes"}, "spec.paused: yes is neither true nor false"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(spec: dict[str, object], message: str) -> None:
    assert wrong(**spec).startswith(message)


def test_a_long_value_is_not_repeated_in_full_and_never_breaks_the_line() -> None:
    message = wrong(model={"version": "a\nb" + "c" * 5_000})
    assert len(message) < 200
    assert "\n" not in message


def test_a_name_that_is_too_long_or_no_service_name_is_refused() -> None:
    body = a_body()
    for name, told in (
        ("a" * 41, "has 41 characters; use at most 40"),
        ("a.b", "begin with a letter"),
        (None, "is missing"),
    ):
        changed = deepcopy(body)
        changed["metadata"]["name"] = name
        found = parse(changed)
        assert isinstance(found, InvalidSpec)
        assert found.message.startswith("metadata.name: ")
        assert told in found.message
