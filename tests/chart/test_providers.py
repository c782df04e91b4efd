"""The file of providers: what the values say is what the operator reads, and each path it names is mounted."""

from pathlib import PurePosixPath
from typing import Any

import helm_python
import pytest
import yaml
from charts.render_manifests import CHART

from modelrollout.measure.provider_settings import ProviderSettings, providers_of
from modelrollout.settings import PREFIX
from tests.chart.rendering import Document, documents, everything, of_kind, only, texts

MIMIR = {
    "name": "mimir",
    "url": "https://mimir.monitoring:8443/prometheus",
    "caSecret": {"name": "mimir-ca", "key": "ca.pem"},
    "certificateSecret": {"name": "client"},
    "basicAuth": {"username": "reader", "passwordSecret": {"name": "mimir-password", "key": "password"}},
    "headers": {"X-Scope-OrgID": "on"},
    "headerSecrets": {"X-Api-Key": {"name": "mimir-key", "key": "key"}},
    "replicaLabel": "replica",
    "lag": "60s",
    "timeout": "5s",
    "concurrency": 4,
}
THANOS = {
    "name": "thanos",
    "url": "https://thanos.monitoring:9091",
    "caConfigMap": {"name": "service-ca", "key": "service-ca.crt"},
    "tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token",
}
PLAIN = {"name": "plain", "url": "http://prometheus:9090", "tokenSecret": {"name": "plain", "key": "token"}}
EVERYTHING = {"prometheus": {"url": "http://prometheus:9090", "providers": [MIMIR, THANOS, PLAIN]}}


def pod(**values: Any) -> Document:
    template: Document = only(documents("deployment.yaml", values))["spec"]["template"]
    return template


def the_file(**values: Any) -> str:
    text: str = only(documents("providers.yaml", values))["data"]["providers.yaml"]
    return text


def read(**values: Any) -> dict[str, ProviderSettings]:
    found = providers_of(values["prometheus"].get("url"), the_file(**values), "providers.yaml")
    return {provider.name: provider for provider in found}


def mounted(**values: Any) -> dict[str, tuple[str, str]]:
    """Path in the container → kind and name of what is there."""
    spec = pod(**values)["spec"]
    volume = only(each for each in spec["volumes"] if each["name"] == "providers")["projected"]
    mount = only(each for each in only(spec["containers"])["volumeMounts"] if each["name"] == "providers")
    assert mount["readOnly"] is True and "subPath" not in mount, "a subPath would not follow a rotation"
    assert volume["defaultMode"] == 0o440
    return {
        str(PurePosixPath(mount["mountPath"]) / item["path"]): (kind, source[kind]["name"])
        for source in volume["sources"]
        for kind in source
        for item in source[kind]["items"]
    }


def test_without_providers_there_is_no_file_and_nothing_is_mounted() -> None:
    assert documents("providers.yaml") == []
    assert "providers" not in [volume["name"] for volume in pod()["spec"]["volumes"]]
    assert "checksum/providers" not in pod()["metadata"]["annotations"]


def test_what_the_values_say_is_what_the_operator_reads() -> None:
    found = read(**EVERYTHING)
    assert list(found) == ["default", "mimir", "thanos", "plain"]
    mimir = found["mimir"]
    assert (mimir.url, mimir.lag, mimir.deadline_seconds, mimir.concurrency) == (MIMIR["url"], 60.0, 5.0, 4)
    assert (mimir.replica_label, mimir.headers) == ("replica", (("X-Scope-OrgID", "on"),))
    assert found["thanos"].token_file == THANOS["tokenFile"]
    token = "/etc/modelrollout/plain/token"
    assert found["plain"] == ProviderSettings(name="plain", url="http://prometheus:9090", token_file=token)


def test_each_path_in_the_file_is_mounted_from_the_secret_named() -> None:
    at, found = mounted(**EVERYTHING), read(**EVERYTHING)
    mimir, thanos, plain = found["mimir"], found["thanos"], found["plain"]
    assert mimir.certificate and mimir.basic_auth and mimir.ca_file and thanos.ca_file and plain.token_file
    assert at == {
        "/etc/modelrollout/providers.yaml": ("configMap", "modelrollout-providers"),
        mimir.ca_file: ("secret", "mimir-ca"),
        mimir.certificate[0]: ("secret", "client"),
        mimir.certificate[1]: ("secret", "client"),
        mimir.basic_auth[1]: ("secret", "mimir-password"),
        mimir.header_files[0][1]: ("secret", "mimir-key"),
        thanos.ca_file: ("configMap", "service-ca"),
        plain.token_file: ("secret", "plain"),
    }


def test_the_operator_is_told_where_the_file_is() -> None:
    container = only(pod(**EVERYTHING)["spec"]["containers"])
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert variables[f"{PREFIX}PROMETHEUS_PROVIDERS_FILE"] in mounted(**EVERYTHING)


def test_a_secret_that_is_missing_does_not_keep_the_operator_from_starting() -> None:
    volume = only(each for each in pod(**EVERYTHING)["spec"]["volumes"] if each["name"] == "providers")
    ours, *others = volume["projected"]["sources"]
    assert "optional" not in ours["configMap"]
    assert all(next(iter(source.values()))["optional"] is True for source in others)


def test_no_secret_is_in_the_file_and_the_operator_may_read_none() -> None:
    assert "password:" not in the_file(**EVERYTHING)
    roles = [each for kind in ("Role", "ClusterRole") for each in of_kind(kind, everything(EVERYTHING))]
    assert roles and "secrets" not in [name for role in roles for rule in role["rules"] for name in rule["resources"]]


def test_another_file_begins_new_pods() -> None:
    def checksum(**changes: Any) -> str:
        found: str = pod(prometheus={"providers": [{**MIMIR, **changes}]})["metadata"]["annotations"][
            "checksum/providers"
        ]
        return found

    assert checksum() == checksum()
    assert checksum() != checksum(lag="30s")


def test_values_that_look_like_something_else_stay_text() -> None:
    document = yaml.safe_load(the_file(**EVERYTHING))
    assert document["providers"][0]["headers"] == {"X-Scope-OrgID": "on"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "Mimir"}, "name"),
        ({"url": "mimir:8443"}, "url"),
        ({"url": "https://reader:password@mimir"}, "url"),
        ({"token": "x"}, "token"),
        ({"caSecret": "mimir-ca"}, "caSecret"),
        ({"caSecret": {"name": "mimir-ca"}}, "key"),
        ({"caConfigMap": {"name": "x", "key": "y"}}, "not"),
        ({"tokenFile": "/token"}, "not"),
        ({"lag": "1 minute"}, "lag"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_a_provider_that_cannot_be_meant_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=complaint):
        texts({"prometheus": {"providers": [{**MIMIR, **change}]}})


def test_the_values_of_the_guide_are_accepted_and_read() -> None:
    text = (CHART.parents[1] / "docs" / "guides" / "prometheus.md").read_text(encoding="utf-8")
    values = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    assert list(read(**values)) == ["default", "mimir", "openshift"]


def test_the_notes_are_content_with_a_provider() -> None:
    assert "NO PROMETHEUS IS SET" not in texts(EVERYTHING)["NOTES.txt"]
