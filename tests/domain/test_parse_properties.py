"""Whatever comes, parse answers; and durations survive being written."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.domain.durations import duration, duration_text
from modelrollout.domain.model_deployment import InvalidSpec, ModelDeployment
from modelrollout.domain.parse import parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WHOLE: dict[str, Any] = {
    "metadata": {"name": "sentiment", "namespace": "shop", "uid": "u", "generation": 1},
    "spec": {
        "model": {"name": "sentiment", "version": "3", "uri": "pvc://models/3"},
        "runtime": {
            "preset": "custom",
            "image": "a",
            "readyTimeout": "5m",
            "terminationGracePeriodSeconds": 30,
            "command": ["a"],
            "args": ["b"],
            "resources": {"requests": {"cpu": 1}},
            "env": [{"name": "A", "value": "b"}],
            "ports": [{"name": "http", "containerPort": 8080}],
            "volumes": [{"name": "v", "emptyDir": {}}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        },
        "scaling": {"mode": "hpa", "minReplicas": 1, "maxReplicas": 2, "metrics": [{"type": "Pods"}], "behavior": {}},
        "traffic": {
            "port": 80,
            "router": "gatewayAPI",
            "gatewayAPI": {"parentRefs": [{"name": "public"}], "hostnames": ["a.example"], "timeout": "30s"},
        },
        "rollout": {
            "steps": [
                {"weight": 5, "minDuration": "1m", "deadline": "2m", "pause": True},
                {"weight": 25, "pause": "1m"},
            ],
            "bake": "1m",
            "historyLimit": 3,
        },
        "analysis": {
            "mode": "enforce",
            "source": "gateway",
            "poll": "15s",
            "alpha": 0.01,
            "beta": 0.05,
            "minBad": 3,
            "minRequests": 100,
            "minDuration": "1m",
            "deadline": "2m",
            "noDataTimeout": "1m",
            "warmup": "1m",
            "suspicious": 10,
            "onInconclusive": "hold",
            "holdTimeout": "1m",
            "onHoldTimeout": "hold",
            "metrics": [
                {"name": "errors", "kind": "ratio", "weight": 0.5, "regression": {"ratio": 1.2, "absolute": 0.1}},
                {
                    "name": "latency",
                    "nonInferiority": {"ratio": 1.5},
                    "edges": [0.1, 1],
                    "slo": {"within": 0.5, "share": 0.99},
                    "requiredForAdvance": False,
                },
            ],
        },
        "paused": False,
    },
}


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [deeper for key, each in inner for deeper in places(each, (*path, key))]


def test_the_whole_spec_is_right_to_begin_with() -> None:
    assert isinstance(parse(WHOLE), ModelDeployment)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]) | st.text(max_size=5), JSON))
def test_parse_answers_to_any_json(body: dict[str, Any]) -> None:
    assert isinstance(parse(body), ModelDeployment | InvalidSpec)


@given(st.sampled_from(places(WHOLE)), JSON)
def test_any_json_at_any_place_is_read_or_named(place: tuple[str | int, ...], value: object) -> None:
    body = deepcopy(WHOLE)
    inner: Any = body
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    found = parse(body)
    if isinstance(found, InvalidSpec):
        assert found.message.startswith(("spec", "metadata")), found.message
        assert found.message.isprintable()


@given(st.integers(min_value=0, max_value=99_999 * 3_600_000))
def test_a_duration_survives_being_written(milliseconds: int) -> None:
    length = timedelta(milliseconds=milliseconds)
    assert duration(duration_text(length)) == length


@pytest.mark.parametrize("text", ["", "5", "1d", "-5m", "1.5h", "123456s", "1m1m1m1m1m", "5m\n", "٣m", " 5m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a duration such as"):
        duration(text)
