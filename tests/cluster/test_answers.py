"""What answers of the API server mean, and what we send it."""

import json
from datetime import timedelta

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelrollout.cluster.answers import NotFound, read_answer
from modelrollout.cluster.apply_body import apply_body
from modelrollout.cluster.merge_patch import merge_patch
from modelrollout.domain.conditions import Reason
from modelrollout.errors import ClusterUnavailable, NamespaceEnding, Refused, RolloutError, StaleView


def _status(message: str) -> bytes:
    return json.dumps({"kind": "Status", "message": message}).encode()


def _error(code: int, message: str = "so it is", **headers: str) -> RolloutError:
    with pytest.raises(RolloutError) as caught:
        read_answer(code, headers, _status(message))
    return caught.value


def test_an_object_is_an_object() -> None:
    assert read_answer(201, {}, b'{"kind": "Service"}') == {"kind": "Service"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, Refused),
        (401, ClusterUnavailable),
        (403, Refused),
        (404, NotFound),
        (409, StaleView),
        (422, Refused),
        (429, ClusterUnavailable),
        (500, ClusterUnavailable),
        (503, ClusterUnavailable),
        (504, ClusterUnavailable),
    ],
)
def test_each_code_has_one_meaning(code: int, kind: type[RolloutError]) -> None:
    assert type(_error(code)) is kind


def test_a_refusal_is_in_the_servers_words() -> None:
    assert _error(422, "spec.replicas: Invalid value").message == "spec.replicas: Invalid value"


def test_too_many_requests_are_tried_when_the_server_says() -> None:
    answer = _error(429, **{"Retry-After": "7"})
    assert answer.retry_after == timedelta(seconds=7)
    assert _error(429).retry_after == ClusterUnavailable.retry_after


def test_another_uid_under_the_name_is_an_old_view() -> None:
    said = 'ConfigMap "x" is invalid: metadata.uid: Invalid value: "0": field is immutable'
    assert isinstance(_error(422, said), StaleView)


def test_a_manifest_that_does_not_fit_is_refused_though_the_server_blames_itself() -> None:
    said = "failed to create typed patch object: .spec.nonsense: field not declared in schema"
    assert isinstance(_error(500, said), Refused)


def test_an_answer_that_is_no_json_is_somebody_elses() -> None:
    with pytest.raises(ClusterUnavailable, match="something else listening"):
        read_answer(200, {}, b"<html>")
    with pytest.raises(ClusterUnavailable, match="502"):
        read_answer(502, {}, b"<html>")


def test_a_namespace_that_is_being_deleted_is_a_refusal_of_its_own() -> None:
    body = {
        "message": 'httproutes "x" is forbidden: unable to create new content in namespace shop because it is being '
        "terminated",
        "details": {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]},
    }
    with pytest.raises(NamespaceEnding) as caught:
        read_answer(403, {}, json.dumps(body).encode())
    assert caught.value.reason is Reason.NAMESPACE_ENDING and caught.value.retry_after == Refused.retry_after


def test_a_long_message_is_cut() -> None:
    assert len(_error(422, "x" * 10_000).message) == 500


def test_a_removed_key_becomes_null_and_an_equal_one_nothing() -> None:
    before = {"phase": "Stable", "rollout": {"stable": "a", "candidate": "b"}, "conditions": [1]}
    after = {"phase": "Stable", "rollout": {"stable": "b"}, "conditions": [2]}
    assert merge_patch(before, after) == {"rollout": {"stable": "b", "candidate": None}, "conditions": [2]}


def test_true_is_not_one() -> None:
    assert merge_patch({"a": 1}, {"a": True}) == {"a": True}


def _patched(target: object, patch: object) -> object:
    """RFC 7386, word by word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _patched(result.get(key), value)
    return result


_LEAVES = st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x"]) | st.lists(st.integers(0, 2), max_size=2)
_OBJECTS = st.recursive(_LEAVES, lambda inner: st.dictionaries(st.sampled_from("abcd"), inner), max_leaves=8)
_DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), _OBJECTS)


@given(_DOCUMENTS, _DOCUMENTS)
def test_a_merge_patch_makes_one_document_into_the_other(before: dict[str, object], after: dict[str, object]) -> None:
    patch = merge_patch(before, after)
    assert json.dumps(_patched(before, patch), sort_keys=True) == json.dumps(after, sort_keys=True)
    assert (patch == {}) == (json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # its first text takes seconds on a busy machine
@given(st.dictionaries(st.text("abc", min_size=1), st.text()))
def test_a_body_reads_the_same_as_json_and_as_yaml(values: dict[str, str]) -> None:
    body = apply_body(values)
    assert json.loads(body) == values
    assert yaml.safe_load(body) == values
