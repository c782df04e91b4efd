"""`differs`: what the API server does by itself is no drift, and everything else is."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import Traffic
from modelrollout.domain.traffic import Routing
from modelrollout.render.drift import differs
from modelrollout.render.manifest import Manifest
from modelrollout.render.templates import Templates
from tests.render.cases import CASES, GATEWAY, OWNER, a_deployment

TEMPLATES = Templates.load()
MANIFESTS = {
    f"{case}-{manifest.kind}-{manifest.name}": manifest for case in CASES for manifest in CASES[case](TEMPLATES)
}
QUANTITIES = {"1500m": "1500m", "1073741824": "1Gi", "2000m": "2", "1024Mi": "1Gi", 1: "1"}


def served(value: Any, path: tuple[str, ...] = ()) -> Any:
    """The document as a real API server would give it back: defaults, no empties, quantities in its own writing."""
    if path == ("data",):
        return value  # of a ControllerRevision or ConfigMap: kept as it is
    if isinstance(value, dict):
        kept = {
            key: served(each, (*path, key))
            for key, each in value.items()
            if not (each in (None, [], "") or (key in {"readOnly", "initialDelaySeconds"} and not each))
        }
        return {**defaults(path, value), **kept}
    if isinstance(value, list):
        return [served(each, path) for each in value]
    if len(path) > 1 and (path[-2] in {"requests", "limits"} or path[-1] in {"sizeLimit", "averageValue"}):
        return QUANTITIES.get(value, value)
    return value


def defaults(path: tuple[str, ...], value: dict[str, Any]) -> dict[str, Any]:
    match path[-1:]:
        case ():
            return {"status": {}}
        case ("metadata",):
            return {"creationTimestamp": None, "resourceVersion": "1", "uid": "a", "generation": 1}
        case ("spec",) if "containers" in value:
            return {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler"}
        case ("spec",) if "template" in value:
            return {"replicas": 1}
        case ("containers",):
            return {"terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"}
        case ("startupProbe" | "readinessProbe" | "livenessProbe",):
            return {"successThreshold": 1, "timeoutSeconds": 1, "periodSeconds": 10, "failureThreshold": 3}
        case ("httpGet",):
            return {"scheme": "HTTP", "path": "/"}
        case ("fieldRef",):
            return {"apiVersion": "v1"}
        case ("ports",):
            return {"protocol": "TCP"}
        case ("configMap" | "secret",):
            return {"defaultMode": 420}
        case ("backendRefs",):
            return {"group": "", "kind": "Service", "weight": 1}
        case ("parentRefs",):
            return {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    return {}


@pytest.mark.parametrize("name", MANIFESTS)
def test_what_was_just_applied_does_not_differ(name: str) -> None:
    document = MANIFESTS[name].document
    assert not differs(document, document.mapping)
    assert not differs(document, served(document.value))
    assert not differs(document.mapping, served(document.value))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list) and value:
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(each, (*path, key))
    else:
        yield path


def at(document: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    for key in path[:-1]:
        document = document[key]
    return document, path[-1]


OMITTED = {"readOnly", "initialDelaySeconds"}


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_rendered_value_that_someone_changes_or_removes_is_seen(name: str) -> None:
    document = MANIFESTS[name].document
    for path in leaves(document.value):
        live = document.value
        parent, key = at(live, path)
        was = parent[key]
        parent[key] = (not was) if isinstance(was, bool) else f"{was}x"
        assert differs(document, live), f"changed {path}"
        del parent[key]
        silent = was in ([], {}, "", None) or (key in OMITTED and not was)
        assert differs(document, live) is not silent, f"removed {path}"


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_element_that_someone_adds_to_a_list_is_seen(name: str) -> None:
    document = MANIFESTS[name].document
    lists = {leaf[: leaf.index(key)] for leaf in leaves(document.value) for key in leaf if isinstance(key, int)}
    for path in lists:
        live = document.value
        parent, key = at(live, path)
        parent[key].append(copy.deepcopy(parent[key][0]))
        assert differs(document, live) is not (key == "ownerReferences"), path


@pytest.mark.parametrize(
    ("wanted", "live", "different"),
    [
        ({"resources": {"limits": {"cpu": "1000m"}}}, {"resources": {"limits": {"cpu": "1"}}}, False),
        ({"resources": {"limits": {"cpu": 1}}}, {"resources": {"limits": {"cpu": "1"}}}, False),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1073741824"}}, False),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1G"}}, True),
        ({"target": {"value": "2000m"}}, {"target": {"value": "2"}}, False),
        ({"env": [{"name": "A", "value": "1000m"}]}, {"env": [{"name": "A", "value": "1"}]}, True),
        ({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}, False),
        ({"env": [{"name": "A"}]}, {"env": [{"name": "A"}, {"name": "B"}]}, True),
        ({"port": 80}, {"port": "80"}, False),
        ({"weight": 0}, {"weight": 0}, False),
        ({"weight": 0}, {}, True),
        ({"weight": 1}, {"weight": True}, True),
        ({"automountServiceAccountToken": False}, {}, True),
        ({"readOnly": False}, {}, False),
        ({"readOnly": False}, {"readOnly": True}, True),
        ({"selector": {"a": "b"}}, {"selector": {"a": "b", "c": "d"}}, True),
        ({"nodeSelector": {"a": "b"}}, {"nodeSelector": {"a": "b", "c": "d"}}, True),
        ({"labels": {"a": "b"}}, {"labels": {"a": "b", "c": "d"}}, False),
        ({"selector": {"matchLabels": {"a": "b"}}}, {"selector": {"matchLabels": {"a": "b"}, "x": 1}}, False),
        ({"emptyDir": {}}, {"emptyDir": {}}, False),
        ({"args": ["a", "b"]}, {"args": ["b", "a"]}, True),
        ({"metrics": [{"type": "A"}, {"type": "B"}]}, {"metrics": [{"type": "B"}, {"type": "A"}]}, False),
        ({"metrics": [{"type": "A"}]}, {"metrics": [{"type": "A"}, {"type": "B"}]}, True),
        ({"ownerReferences": [{"uid": "a"}]}, {"ownerReferences": [{"uid": "b"}, {"uid": "a"}]}, False),
        ({"a": {"b": 1}}, {"a": [1]}, True),
        ({"a": {"b": 1}}, {"a": None}, True),
    ],
)
def test_by_example(wanted: dict[str, Any], live: dict[str, Any], different: bool) -> None:
    assert differs(wanted, live) is different
    assert differs(Fragment.of(wanted), live) is different


def test_a_field_that_is_no_longer_rendered_is_seen_by_the_hash() -> None:
    def route(**gateway: Any) -> Manifest:
        md = a_deployment(traffic=Traffic(gateway_api=replace(GATEWAY, **gateway)))
        return TEMPLATES.route(OWNER, md, Routing(stable="bbbbbbbb"))

    assert differs(route(hostnames=()).document, route().document.mapping)
    assert differs(route(timeout=None).document, route().document.mapping)
