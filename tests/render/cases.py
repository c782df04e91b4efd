"""What the goldens show: a name, and the manifests it stands for. Also applied by the conformance ring."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import GatewayApi, Key, ModelDeployment, Scaling, ScalingMode, Traffic
from modelrollout.domain.plan import ApplyWorkload, PointService
from modelrollout.domain.revision import Snapshot, revision_name
from modelrollout.domain.traffic import Routing, TrafficSplit
from modelrollout.render.manifest import Manifest, Owner
from modelrollout.render.snapshots import snapshot_from
from modelrollout.render.templates import Templates
from tests.builders import a_spec

Case = Callable[[Templates], tuple[Manifest, ...]]

KEY = Key(namespace="shop", name="sentiment")
OWNER = Owner(key=KEY, uid="6f1c0d8e-0000-4000-8000-000000000001")
QUICKSTART = {"preset": "mlserver", "image": "registry.example/mlserver-sklearn:1.7.1"}
EVERYTHING = {
    "preset": "custom",
    "image": "registry.example/scorer@sha256:" + "0" * 64,
    "imagePullPolicy": "IfNotPresent",
    "command": ["/bin/scorer"],
    "args": ["--threads", "4", "--greeting", "{{ 7*7 }} {% raw %} $(HOME)"],
    "env": [
        {"name": "ANSWER", "value": "no"},
        {"name": "RELEASE", "value": "1.10"},
        {"name": "EMPTY", "value": ""},
        {"name": "LINES", "value": "one: 1\n- two # three\u2028four 'five' \"six\" <&> 🙂"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "scorer", "key": "token"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "scorer"}}],
    "resources": {
        "requests": {"cpu": "1500m", "memory": "1073741824"},
        "limits": {"memory": "2Gi", "nvidia.com/gpu": 1},
    },
    "ports": [{"name": "http", "containerPort": 9000}, {"name": "metrics", "containerPort": 9001}],
    "probes": {
        "readiness": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 2, "initialDelaySeconds": 0},
        "liveness": {"httpGet": {"path": "", "port": 9000}, "failureThreshold": 10},
    },
    "volumes": [
        {"name": "scratch", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1024Mi"}},
        {"name": "settings", "configMap": {"name": "scorer", "defaultMode": 292}},
        {"name": "certificate", "secret": {"secretName": "scorer", "items": [{"key": "a", "path": "b"}]}},
        {"name": "cache", "persistentVolumeClaim": {"claimName": "cache", "readOnly": False}},
    ],
    "volumeMounts": [
        {"name": "scratch", "mountPath": "/scratch", "readOnly": False},
        {"name": "shm", "mountPath": "/dev/shm"},
        {"name": "settings", "mountPath": "/etc/scorer", "readOnly": True},
        {"name": "certificate", "mountPath": "/etc/certificate"},
        {"name": "cache", "mountPath": "/cache", "subPath": "models"},
    ],
    "nodeSelector": {"example.com/pool": "gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "gpu", "operator": "In", "values": ["h200"]}], "matchFields": []},
                ],
            },
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 10,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app": "noisy"}},
                    },
                },
            ],
        },
    },
    "topologySpread": [
        {"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"},
    ],
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccountName": "scorer",
    "priorityClassName": "serving",
    "runtimeClassName": "nvidia",
    "terminationGracePeriodSeconds": 120,
}
METRICS = [
    {
        "type": "Pods",
        "pods": {
            "metric": {"name": "requests_per_second"},
            "target": {"type": "AverageValue", "averageValue": "2000m"},
        },
    },
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
]
BEHAVIOR = {
    "scaleDown": {
        "stabilizationWindowSeconds": 60,
        "policies": [{"type": "Percent", "value": 50, "periodSeconds": 30}],
    },
}
GATEWAY = GatewayApi(
    parent_refs=Fragment.of([{"name": "public", "namespace": "infra"}]),
    hostnames=("sentiment.example.com",),
    timeout="30s",
)


def a_deployment(
    runtime: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    **changes: Any,
) -> ModelDeployment:
    """A ModelDeployment whose revision, version and preset follow from model and runtime, as the parser has it."""
    served = Fragment.of({"version": "3", "uri": "pvc://models/sentiment/3"} if model is None else model)
    how = Fragment.of(QUICKSTART if runtime is None else runtime)
    derived: dict[str, Any] = {
        "key": KEY,
        "uid": OWNER.uid,
        "model": served,
        "runtime": how,
        "revision": revision_name(served, how),
        "version": served.mapping["version"],
        "preset": how.mapping["preset"],
        "ready_timeout": timedelta(minutes=10),
        "traffic": Traffic(),
    }
    return replace(a_spec(), **{**derived, **changes})


def frozen(templates: Templates, md: ModelDeployment, number: int = 1) -> Snapshot:
    """The snapshot as it is read back from the cluster."""
    return snapshot_from(templates.snapshot(OWNER, md, number).document.mapping)


def workload(
    templates: Templates,
    md: ModelDeployment,
    *,
    replicas: int | None = None,
    least: int = 2,
) -> tuple[Manifest, ...]:
    action = ApplyWorkload(revision=md.revision, min_replicas=least, max_replicas=10, replicas=replicas)
    return templates.workload(OWNER, md, action, frozen(templates, md))


def quickstart(templates: Templates) -> tuple[Manifest, ...]:
    md = a_deployment()
    return (
        templates.snapshot(OWNER, md, 1),
        *workload(templates, md),
        templates.stable_service(OWNER, md, PointService(revision=md.revision)),
    )


def custom_with_everything(templates: Templates) -> tuple[Manifest, ...]:
    md = a_deployment(EVERYTHING, {"version": "2026-02-01+a", "name": "Scorer.v2"})
    return (templates.snapshot(OWNER, md, 7), *workload(templates, md))


def model_in_the_image(templates: Templates) -> tuple[Manifest, ...]:
    return workload(templates, a_deployment(model={"version": "3"}))


def fixed_scaling(templates: Templates) -> tuple[Manifest, ...]:
    md = a_deployment(scaling=Scaling(mode=ScalingMode.FIXED, replicas=3), traffic=Traffic(port=8000))
    return workload(templates, md, replicas=3)


def autoscaling_with_metrics(templates: Templates) -> tuple[Manifest, ...]:
    scaling = Scaling(min_replicas=1, max_replicas=9, metrics=Fragment.of(METRICS), behavior=Fragment.of(BEHAVIOR))
    return workload(templates, a_deployment(scaling=scaling))


def slow_model(templates: Templates) -> tuple[Manifest, ...]:
    runtime = {**QUICKSTART, "readyTimeout": "2h", "terminationGracePeriodSeconds": 4}
    return workload(templates, a_deployment(runtime, ready_timeout=timedelta(hours=2)))


def route_of_two(templates: Templates) -> tuple[Manifest, ...]:
    md = a_deployment(traffic=Traffic(gateway_api=GATEWAY))
    split = Routing(stable="bbbbbbbb", candidate="cccccccc", split=TrafficSplit(stable=90, candidate=10))
    return (templates.route(OWNER, md, split),)


def route_back_to_stable(templates: Templates) -> tuple[Manifest, ...]:
    md = a_deployment(traffic=Traffic(gateway_api=GATEWAY))
    return (templates.route(OWNER, md, Routing(stable="bbbbbbbb", candidate="cccccccc")),)


def route_of_one(templates: Templates) -> tuple[Manifest, ...]:
    plain = GatewayApi(parent_refs=GATEWAY.parent_refs)
    return (templates.route(OWNER, a_deployment(traffic=Traffic(gateway_api=plain)), Routing(stable="bbbbbbbb")),)


def service_open_to_both(templates: Templates) -> tuple[Manifest, ...]:
    return (templates.stable_service(OWNER, a_deployment(), PointService(revision=None)),)


def evidence(templates: Templates) -> tuple[Manifest, ...]:
    document = Fragment.of({"attempt": 1, "blocks": [[1, 100, 0, 900]], "logE": -0.25})
    return (templates.evidence(OWNER, KEY, document, {"modelrollout.dev/polls": "12"}),)


CASES: Mapping[str, Case] = {
    case.__name__: case
    for case in (
        quickstart,
        custom_with_everything,
        model_in_the_image,
        fixed_scaling,
        autoscaling_with_metrics,
        slow_model,
        route_of_two,
        route_back_to_stable,
        route_of_one,
        service_open_to_both,
        evidence,
    )
}
