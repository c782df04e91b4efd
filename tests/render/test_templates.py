"""Actions into manifests."""

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest

from modelrollout import names
from modelrollout.domain.conditions import Reason
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import Scaling, Traffic
from modelrollout.domain.plan import ApplyWorkload, PointService
from modelrollout.domain.revision import Snapshot
from modelrollout.domain.traffic import Routing, TrafficSplit
from modelrollout.render.environment import Environment, Unrenderable, packaged
from modelrollout.render.presets import presets
from modelrollout.render.snapshots import snapshot_from
from modelrollout.render.templates import TEMPLATE_VERSION, Templates
from tests.render.cases import BEHAVIOR, CASES, GATEWAY, METRICS, OWNER, a_deployment, frozen, workload

TEMPLATES = Templates.load()
MD = a_deployment()
NAME = names.workload_name("sentiment", MD.revision)


def of_kind(kind: str, **changes: Any) -> Any:
    made = workload(TEMPLATES, replace(MD, **changes))
    return next(manifest.document.value for manifest in made if manifest.kind == kind)


@pytest.mark.parametrize("case", CASES)
def test_no_manifest_ever_sets_replicas(case: str) -> None:
    for manifest in CASES[case](TEMPLATES):
        assert "replicas" not in manifest.document.value.get("spec", {})


def test_a_revision_has_four_objects_of_one_name() -> None:
    made = workload(TEMPLATES, MD)
    assert [manifest.kind for manifest in made] == [
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    ]
    assert {manifest.name for manifest in made} == {NAME}


def test_fixed_replicas_have_no_autoscaler() -> None:
    assert "HorizontalPodAutoscaler" not in {made.kind for made in workload(TEMPLATES, MD, replicas=0)}


def test_a_snapshot_comes_back_as_it_was() -> None:
    snapshot = frozen(TEMPLATES, MD, 4)
    assert snapshot == Snapshot(
        revision=MD.revision,
        number=4,
        version="3",
        preset="mlserver",
        template_version=TEMPLATE_VERSION,
        pod_template=TEMPLATES.pod_template(MD),
        ready_timeout=timedelta(minutes=10),
        model=MD.model,
        runtime=MD.runtime,
    )


def test_fractions_of_a_second_come_back_too() -> None:
    assert (
        frozen(TEMPLATES, replace(MD, ready_timeout=timedelta(milliseconds=1500))).ready_timeout.microseconds == 500000
    )


@pytest.mark.parametrize("missing", ["podTemplate", "version", "model", "revision", "readyTimeoutSeconds"])
def test_a_controller_revision_that_is_not_ours_is_refused(missing: str) -> None:
    live = TEMPLATES.snapshot(OWNER, MD, 1).document.value
    del live["data"][missing]
    with pytest.raises(ValueError, match="is no snapshot of ours"):
        snapshot_from(live)
    with pytest.raises(ValueError, match="is no snapshot of ours"):
        snapshot_from({})


def test_a_snapshot_under_another_label_is_refused() -> None:
    live = TEMPLATES.snapshot(OWNER, MD, 1).document.value
    live["metadata"]["labels"][names.REVISION_LABEL] = "zzzzzzzz"
    with pytest.raises(ValueError, match="labelled as another"):
        snapshot_from(live)


def test_an_upgrade_restarts_nobodys_models() -> None:
    """Another preset, other templates for pods: the stored snapshot still makes the very same Deployment."""
    snapshot = frozen(TEMPLATES, MD)
    newer = replace(presets()["mlserver"], command=("other",), image="new:2", sleep=30, run_as_user=65532)
    sources = {**packaged(), "pod_template.yaml.j2": "metadata: {}\nspec: {}\n"}
    upgraded = Templates(Environment(sources), MappingProxyType({**presets(), "mlserver": newer}))
    action = ApplyWorkload(revision=MD.revision, min_replicas=2, max_replicas=10)
    before = TEMPLATES.workload(OWNER, MD, action, snapshot)
    after = upgraded.workload(OWNER, MD, action, snapshot)
    assert before == after
    assert before[0].document.value["spec"]["template"] == snapshot.pod_template.value
    assert upgraded.pod_template(MD) != snapshot.pod_template


def test_a_revision_of_a_preset_that_is_gone_still_serves() -> None:
    without = Templates(Environment.load(), MappingProxyType({"custom": presets()["custom"]}))
    action = ApplyWorkload(revision=MD.revision, min_replicas=2, max_replicas=10)
    made = without.workload(OWNER, MD, action, frozen(TEMPLATES, MD))
    assert made[0] == workload(TEMPLATES, MD)[0]
    assert made[3].document.value["spec"]["metrics"][0]["containerResource"]["name"] == "cpu"


def test_a_tampered_snapshot_makes_no_deployment() -> None:
    snapshot = frozen(TEMPLATES, MD)
    template = snapshot.pod_template.value
    template["spec"]["hostNetwork"] = True
    tampered = replace(snapshot, pod_template=Fragment.of(template))
    action = ApplyWorkload(revision=MD.revision, min_replicas=2, max_replicas=10)
    with pytest.raises(Unrenderable, match="hostNetwork may not be set"):
        TEMPLATES.workload(OWNER, MD, action, tampered)


def test_an_unknown_preset_makes_no_pod() -> None:
    md = a_deployment({"preset": "unheard-of", "image": "a"})
    with pytest.raises(Unrenderable) as refused:
        TEMPLATES.pod_template(md)
    assert refused.value.reason is Reason.UNKNOWN_PRESET


def test_a_snapshot_of_another_revision_is_a_mistake() -> None:
    action = ApplyWorkload(revision="zzzzzzzz", min_replicas=1, max_replicas=1)
    with pytest.raises(ValueError, match="the snapshot is of"):
        TEMPLATES.workload(OWNER, MD, action, frozen(TEMPLATES, MD))


def test_a_rolling_update_never_drops_below_what_is_ready() -> None:
    spec = of_kind("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["progressDeadlineSeconds"] >= MD.ready_timeout.total_seconds()


def test_an_eviction_takes_one_and_never_waits_for_the_sick() -> None:
    spec = of_kind("PodDisruptionBudget")["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_the_autoscaler_has_the_actions_bounds_and_the_specs_metrics() -> None:
    scaling = Scaling(min_replicas=1, max_replicas=99, metrics=Fragment.of(METRICS), behavior=Fragment.of(BEHAVIOR))
    spec = of_kind("HorizontalPodAutoscaler", scaling=scaling)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 10)
    assert (spec["metrics"], spec["behavior"]) == (METRICS, BEHAVIOR)


def test_the_service_sends_to_the_port_named_http() -> None:
    ports = of_kind("Service", traffic=Traffic(port=8000))["spec"]["ports"]
    assert ports == [{"name": "http", "port": 8000, "targetPort": "http"}]


def test_the_stable_service_points_at_one_revision_or_at_all() -> None:
    one = TEMPLATES.stable_service(OWNER, MD, PointService(revision="bbbbbbbb")).document.value
    every = TEMPLATES.stable_service(OWNER, MD, PointService(revision=None)).document.value
    assert one["spec"]["selector"] == {names.DEPLOYMENT_LABEL: "sentiment", names.REVISION_LABEL: "bbbbbbbb"}
    assert every["spec"]["selector"] == {names.DEPLOYMENT_LABEL: "sentiment"}
    assert one["metadata"]["name"] == every["metadata"]["name"] == "sentiment"


@pytest.mark.parametrize("weight", [0, 1, 10, 99, 100])
def test_the_route_has_a_backend_per_revision(weight: int) -> None:
    md = replace(MD, traffic=Traffic(port=81, gateway_api=GATEWAY))
    split = TrafficSplit(stable=100 - weight, candidate=weight)
    routing = Routing(stable="bbbbbbbb", candidate="cccccccc", split=split)
    spec = TEMPLATES.route(OWNER, md, routing).document.value["spec"]
    assert spec["rules"][0]["backendRefs"] == [
        {"name": "sentiment-bbbbbbbb", "port": 81, "weight": 100 - weight},
        {"name": "sentiment-cccccccc", "port": 81, "weight": weight},
    ]
    assert spec["hostnames"] == ["sentiment.example.com"]
    assert spec["rules"][0]["timeouts"] == {"request": "30s"}


def test_a_lone_stable_gets_everything() -> None:
    spec = TEMPLATES.route(OWNER, MD, Routing(stable="bbbbbbbb")).document.value["spec"]
    assert spec["rules"][0]["backendRefs"] == [{"name": "sentiment-bbbbbbbb", "port": 80, "weight": 100}]


def test_a_version_that_is_no_label_is_left_out_of_labels_only() -> None:
    md = a_deployment(model={"version": "1.0+build"})
    document = TEMPLATES.snapshot(OWNER, md, 1).document.value
    assert "app.kubernetes.io/version" not in document["metadata"]["labels"]
    assert document["data"]["version"] == "1.0+build"


def test_the_same_question_is_answered_from_memory() -> None:
    assert workload(TEMPLATES, MD)[0] is workload(TEMPLATES, MD)[0]
