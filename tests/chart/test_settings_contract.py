"""The chart and the operator's settings name the same variables, and each value means in one what it does in the other."""

import json
from typing import Any

import pytest
import yaml
from charts.render_manifests import CHART

from modelrollout.settings import PREFIX, Gateway, Settings
from tests.chart.rendering import documents, only

FROM_THE_POD = {"metadata.namespace": "modelrollout-system"}


def environment(**values: Any) -> dict[str, str]:
    container = only(only(documents("deployment.yaml", values))["spec"]["template"]["spec"]["containers"])
    return {
        entry["name"]: entry["value"] if "value" in entry else FROM_THE_POD[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        for entry in container["env"]
    }


def test_every_variable_of_the_deployment_is_a_setting() -> None:
    every = environment(prometheus={"url": "http://prometheus:9090"}, watchNamespaces=["shop"])
    assert {name.removeprefix(PREFIX).lower() for name in every} <= set(Settings.__dataclass_fields__)


def test_the_defaults_of_the_chart_are_accepted_and_mean_the_defaults_of_the_operator() -> None:
    settings = Settings.from_env(environment())
    assert settings == Settings(lease_name="modelrollout-leader", lease_namespace="modelrollout-system")


def test_values_arrive_as_settings() -> None:
    settings = Settings.from_env(
        environment(
            prometheus={"url": "http://prometheus.monitoring:9090/prefix"},
            watchNamespaces=["shop", "search"],
            logFormat="text",
            workers=4,
            gateway="istio",
            allowPromql=True,
        )
    )
    assert settings.prometheus_url == "http://prometheus.monitoring:9090/prefix"
    assert settings.watch_namespaces == ("shop", "search")
    assert settings.log_format == "text"
    assert settings.workers == 4
    assert settings.gateway is Gateway.ISTIO
    assert settings.allow_promql is True


def test_the_chart_knows_the_gateways_that_the_operator_knows() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert schema["properties"]["gateway"]["enum"] == list(Gateway)


@pytest.mark.parametrize("values", [{"workers": 64}, {"workers": 1}])
def test_the_limits_of_the_schema_are_those_of_the_operator(values: dict[str, Any]) -> None:
    Settings.from_env(environment(**values))


def test_the_operator_listens_where_the_chart_probes() -> None:
    container = only(only(documents("deployment.yaml"))["spec"]["template"]["spec"]["containers"])
    assert only(container["ports"])["containerPort"] == Settings().probe_port


def test_no_service_of_the_namespace_adds_variables_that_look_like_settings() -> None:
    assert only(documents("deployment.yaml"))["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_the_command_that_the_manifest_advises_sets_a_setting() -> None:
    header = (CHART.parents[1] / "manifests" / "install.yaml").read_text(encoding="utf-8").partition("---")[0]
    assert f"{PREFIX}PROMETHEUS_URL=http://" in header
    assert f"{PREFIX}PROMETHEUS_URL" not in environment()
    assert yaml.safe_load(header) is None
