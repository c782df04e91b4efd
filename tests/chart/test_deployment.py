from typing import Any

import pytest

from tests.chart.rendering import Document, documents, only

DIGEST = "sha256:" + "0" * 64


def deployment(**values: Any) -> Document:
    return only(documents("deployment.yaml", values))


def pod(**values: Any) -> Document:
    spec: Document = deployment(**values)["spec"]["template"]["spec"]
    return spec


def container(**values: Any) -> Document:
    return only(pod(**values)["containers"])


def environment(**values: Any) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container(**values)["env"] if "value" in entry}


def test_the_pods_pass_the_restricted_pod_security_standard() -> None:
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container()["securityContext"]["allowPrivilegeEscalation"] is False
    assert container()["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod())


def test_nothing_but_tmp_can_be_written() -> None:
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert container()["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert "emptyDir" in only(pod()["volumes"])


def test_the_pod_runs_as_the_user_of_the_image() -> None:
    assert (pod()["securityContext"]["runAsUser"], pod()["securityContext"]["runAsGroup"]) == (65532, 65532)


def test_an_upgrade_never_leaves_fewer_replicas_than_asked_for() -> None:
    assert deployment()["spec"]["replicas"] == 2
    assert deployment()["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_replicas_prefer_different_nodes_and_zones_but_do_not_insist() -> None:
    assert list(pod()["affinity"]["podAntiAffinity"]) == ["preferredDuringSchedulingIgnoredDuringExecution"]
    assert only(pod()["topologySpreadConstraints"])["whenUnsatisfiable"] == "ScheduleAnyway"


def test_the_users_placement_replaces_ours() -> None:
    affinity: Document = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    spread = [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
    placed = pod(affinity=affinity, topologySpreadConstraints=spread, nodeSelector={"disk": "ssd"})
    assert placed["affinity"] == affinity
    assert placed["topologySpreadConstraints"] == spread
    assert placed["nodeSelector"] == {"disk": "ssd"}


def test_the_selector_does_not_change_with_the_version() -> None:
    assert set(deployment()["spec"]["selector"]["matchLabels"]) == {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
    }


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "localhost/modelrollout:0.1.0"),
        ({"tag": "dev"}, "localhost/modelrollout:dev"),
        ({"repository": "registry.example:5000/ml/modelrollout"}, "registry.example:5000/ml/modelrollout:0.1.0"),
        ({"tag": "dev", "digest": DIGEST}, f"localhost/modelrollout@{DIGEST}"),
    ],
)
def test_the_image_is_named_by_digest_or_tag_or_the_charts_version(image: dict[str, str], reference: str) -> None:
    assert container(image=image)["image"] == reference


def test_probes_and_scraping_use_the_one_port() -> None:
    assert only(container()["ports"]) == {"name": "http", "containerPort": 8080}
    probes = {kind: container()[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert probes["readinessProbe"]["path"] == "/readyz"
    assert probes["livenessProbe"]["path"] == "/healthz"
    annotations = deployment()["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "8080"
    assert annotations["prometheus.io/scrape"] == "true"


def test_the_container_has_a_memory_limit_and_no_cpu_limit() -> None:
    assert container()["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"memory": "512Mi"},
    }


def test_what_is_added_comes_beside_what_is_there() -> None:
    extra = container(
        extraEnv=[{"name": "SSL_CERT_FILE", "value": "/ca/ca.pem"}],
        extraVolumeMounts=[{"name": "ca", "mountPath": "/ca", "readOnly": True}],
    )
    assert extra["env"][-1] == {"name": "SSL_CERT_FILE", "value": "/ca/ca.pem"}
    assert [mount["name"] for mount in extra["volumeMounts"]] == ["tmp", "ca"]
    volumes = pod(extraVolumes=[{"name": "ca", "configMap": {"name": "ca"}}])["volumes"]
    assert [volume["name"] for volume in volumes] == ["tmp", "ca"]
