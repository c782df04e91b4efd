"""Render the chart with Helm itself, offline: some milliseconds a time, so nothing is cached."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import helm_python
import yaml
from charts.render_manifests import CHART, NAMESPACE, RELEASE

Values = Mapping[str, Any]
Document = dict[str, Any]


def loaded(text: str) -> list[Document]:
    """The documents of a YAML text, read with the C loader: the CRD is long."""
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def texts(values: Values | None = None, *, name: str = RELEASE, namespace: str = NAMESPACE) -> dict[str, str]:
    """What each template renders to, by its file name."""
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(dict(values or {}))
        rendered = chart.render(dict(values or {}), name=name, namespace=namespace)
    return {path.removeprefix("modelrollout/templates/"): text for path, text in rendered.items()}


def documents(template: str, values: Values | None = None, *, name: str = RELEASE) -> list[Document]:
    """The objects that one template renders to."""
    return loaded(texts(values, name=name)[template])


def everything(values: Values | None = None) -> list[Document]:
    """Every object of the release."""
    return [document for path, text in texts(values).items() if path.endswith(".yaml") for document in loaded(text)]


def only(found: Iterable[Document]) -> Document:
    (document,) = found
    return document


def of_kind(kind: str, found: Iterable[Document]) -> list[Document]:
    return [document for document in found if document["kind"] == kind]


def rules(role: Document) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Each (group, resource, verbs) of a Role or ClusterRole."""
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield group, resource, frozenset(rule["verbs"])
