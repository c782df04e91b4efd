"""What a revision's pods look like."""

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.domain.model_deployment import ModelDeployment, Scaling, ScalingMode, Traffic
from modelrollout.render.environment import Unrenderable
from modelrollout.render.templates import Templates
from tests.render.cases import EVERYTHING, OWNER, QUICKSTART, a_deployment

TEMPLATES = Templates.load()


def pod(md: ModelDeployment) -> Any:
    return TEMPLATES.pod_template(md).value["spec"]


def server(md: ModelDeployment) -> Any:
    return pod(md)["containers"][0]


@pytest.mark.parametrize("runtime", [QUICKSTART, EVERYTHING])
def test_pods_pass_the_restricted_standard(runtime: dict[str, Any]) -> None:
    spec = pod(a_deployment(runtime))
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    security = spec["containers"][0]["securityContext"]
    assert security == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_mlserver_runs_as_the_user_of_its_image_and_custom_as_its_own() -> None:
    assert pod(a_deployment())["securityContext"]["runAsUser"] == 1000
    assert "runAsUser" not in pod(a_deployment(EVERYTHING))["securityContext"]


@pytest.mark.parametrize("timeout", [timedelta(seconds=10), timedelta(minutes=10), timedelta(hours=2)])
def test_nothing_is_killed_before_the_ready_timeout(timeout: timedelta) -> None:
    probe = server(a_deployment(ready_timeout=timeout))["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= timeout.total_seconds()


def test_only_a_loaded_model_is_ready() -> None:
    container = server(a_deployment(model={"version": "1", "name": "a.b"}))
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/models/a.b/ready"
    assert container["startupProbe"]["httpGet"]["path"] == "/v2/models/a.b/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"


def test_a_users_readiness_probe_holds_the_start_too() -> None:
    container = server(a_deployment(EVERYTHING))
    assert container["startupProbe"]["httpGet"] == {"path": "/ready", "port": "http"}
    assert container["readinessProbe"]["periodSeconds"] == 2


def test_requests_in_flight_may_finish() -> None:
    spec = pod(a_deployment())
    assert spec["terminationGracePeriodSeconds"] == 60
    assert spec["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


@pytest.mark.parametrize(("grace", "sleep"), [(120, 5), (4, 2), (2, 1)])
def test_the_sleep_leaves_time_to_finish(grace: int, sleep: int) -> None:
    container = server(a_deployment({**QUICKSTART, "terminationGracePeriodSeconds": grace}))
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] == sleep


def test_without_any_grace_there_is_no_sleep() -> None:
    assert "lifecycle" not in server(a_deployment({**QUICKSTART, "terminationGracePeriodSeconds": 1}))


def test_a_users_variable_takes_the_presets_place() -> None:
    own = [
        {"name": "MLSERVER_PARALLEL_WORKERS", "value": "2"},
        {"name": "A", "value": "1"},
        {"name": "A", "value": "2"},
    ]
    env = [(each["name"], each["value"]) for each in server(a_deployment({**QUICKSTART, "env": own}))["env"]]
    assert env[-2:] == [("MLSERVER_PARALLEL_WORKERS", "2"), ("A", "2")]
    assert len({name for name, _ in env}) == len(env)


def test_a_port_of_the_users_reaches_the_servers_own_settings() -> None:
    container = server(a_deployment({**QUICKSTART, "ports": [{"name": "http", "containerPort": 9000}]}))
    assert {"name": "MLSERVER_HTTP_PORT", "value": "9000"} in container["env"]
    assert {"name": "http", "containerPort": 9000, "protocol": "TCP"} in container["ports"]


def test_metrics_are_announced_where_there_is_a_port_for_them() -> None:
    plain = {"preset": "custom", "image": "a", "ports": [{"name": "http", "containerPort": 80}]}
    assert "annotations" not in TEMPLATES.pod_template(a_deployment(plain)).value["metadata"]
    annotations = TEMPLATES.pod_template(a_deployment(EVERYTHING)).value["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "9001"


def test_the_model_is_mounted_read_only() -> None:
    spec = pod(a_deployment())
    assert spec["volumes"] == [{"name": "model", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}]
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": "model", "mountPath": "/mnt/models", "readOnly": True, "subPath": "sentiment/3"},
    ]


def test_a_model_in_an_image_is_mounted_from_it() -> None:
    spec = pod(a_deployment(model={"version": "3", "uri": "oci://registry.example/models/sentiment:3"}))
    assert spec["volumes"][0]["image"] == {"reference": "registry.example/models/sentiment:3"}


def test_pods_spread_over_hosts_unless_the_user_says_otherwise() -> None:
    spread = pod(a_deployment())["topologySpreadConstraints"][0]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert "topologySpreadConstraints" not in pod(a_deployment({**QUICKSTART, "topologySpread": []}))
    zone = pod(a_deployment(EVERYTHING))["topologySpreadConstraints"][0]
    assert zone["topologyKey"] == "topology.kubernetes.io/zone"
    assert zone["labelSelector"] == spread["labelSelector"] or zone["labelSelector"]["matchLabels"]


def test_nothing_outside_model_and_runtime_reaches_the_pods() -> None:
    one = a_deployment()
    other = a_deployment(
        scaling=Scaling(mode=ScalingMode.FIXED, replicas=7),
        traffic=Traffic(port=1234),
        generation=99,
        uid="other",
        paused=True,
    )
    assert TEMPLATES.pod_template(one) == TEMPLATES.pod_template(other)


@pytest.mark.parametrize(
    "source", [{"hostPath": {"path": "/"}}, {"csi": {"driver": "a"}}, {"nfs": {"server": "a"}}, {}]
)
def test_a_volume_of_the_host_is_refused(source: dict[str, Any]) -> None:
    md = a_deployment({**QUICKSTART, "volumes": [{"name": "a", **source}]})
    with pytest.raises(Unrenderable, match="no source we mount"):
        TEMPLATES.snapshot(OWNER, md, 1)


def test_a_probe_may_ask_only_the_pod() -> None:
    probes = {"liveness": {"httpGet": {"host": "169.254.169.254", "path": "/", "port": 80}}}
    with pytest.raises(Unrenderable, match="a host is not allowed"):
        TEMPLATES.snapshot(OWNER, a_deployment({**QUICKSTART, "probes": probes}), 1)


def test_a_field_we_do_not_know_does_not_arrive() -> None:
    runtime = {
        **QUICKSTART,
        "hostNetwork": True,
        "initContainers": [{"name": "a"}],
        "securityContext": {"privileged": True},
    }
    assert TEMPLATES.pod_template(a_deployment(runtime)).value["spec"] == {
        **pod(a_deployment()),
        "topologySpreadConstraints": pod(a_deployment(runtime))["topologySpreadConstraints"],
    }
