"""values.schema.json refuses what cannot be meant, and every value is described in it."""

from collections.abc import Iterator
from typing import Any

import helm_python
import pytest
import yaml
from charts.render_manifests import CHART

from tests.chart.rendering import texts


def schema() -> dict[str, Any]:
    with helm_python.Chart.load(CHART) as chart:
        found = chart.schema
    assert found is not None
    return found


def objects(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the schema that names its properties."""
    if "properties" in node:
        yield path, node
        for name, child in node["properties"].items():
            yield from objects(child, f"{path}.{name}")
    if "items" in node:
        yield from objects(node["items"], f"{path}[]")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"replicas": 0}, "replicas"),
        ({"replicas": "2"}, "replicas"),
        ({"replica": 2}, "replica"),
        ({"image": {"name": "x"}}, "name"),
        ({"image": {"repository": "registry.example/modelrollout:latest"}}, "repository"),
        ({"image": {"digest": "0123"}}, "digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"prometheus": {"url": "prometheus:9090"}}, "url"),
        ({"watchNamespaces": "shop"}, "watchNamespaces"),
        ({"watchNamespaces": ["Shop"]}, "watchNamespaces"),
        ({"watchNamespaces": ["shop", "shop"]}, "watchNamespaces"),
        ({"logFormat": "xml"}, "logFormat"),
        ({"workers": 0}, "workers"),
        ({"crds": {"install": "yes"}}, "install"),
        ({"rbac": {"clusterAdmin": True}}, "clusterAdmin"),
        ({"resources": {"request": {}}}, "request"),
        ({"podAnnotations": {"prometheus.io/scrape": True}}, "podAnnotations"),
        ({"imagePullSecrets": ["secret"]}, "imagePullSecrets"),
        ({"terminationGracePeriodSeconds": 0}, "terminationGracePeriodSeconds"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=complaint):
        texts(values)


def test_the_defaults_and_a_parents_globals_are_accepted() -> None:
    texts()
    texts({"global": {"anything": 1}})


def test_every_object_that_names_its_values_is_closed() -> None:
    assert [path for path, node in objects(schema()) if node.get("additionalProperties") is not False] == []


def test_every_value_is_described() -> None:
    nameless = [
        f"{path}.{name}"
        for path, node in objects(schema())
        for name, child in node["properties"].items()
        if "[]" not in path and not child.get("description")
    ]
    assert nameless == []


def test_values_and_schema_name_the_same_things() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    optional = {".global", ".resources.claims"}
    for path, node in objects(schema()):
        if "[]" in path:
            continue
        value = defaults
        for name in path.split(".")[1:]:
            value = value[name]
        assert {f"{path}.{name}" for name in node["properties"]} - optional == {f"{path}.{name}" for name in value}
