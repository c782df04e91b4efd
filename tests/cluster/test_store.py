"""What the watches brought, in whatever order, late or twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.cluster import store as store_module
from modelrollout.cluster.kinds import CONFIG_MAP, HTTP_ROUTE, MODEL_DEPLOYMENT, POD
from modelrollout.cluster.store import WatchStore, owner_key, version_of
from modelrollout.domain.model_deployment import Key
from tests.cluster.live import LABELS, NAME, NAMESPACE, a_model_deployment, a_pod, an_object

KEY = Key(namespace=NAMESPACE, name=NAME)


def _get(store: WatchStore) -> int | None:
    live = store.get(CONFIG_MAP, NAMESPACE, "any")
    return None if live is None else version_of(live)


def test_the_newer_version_wins_by_number_not_by_text() -> None:
    store = WatchStore()
    assert store.put(an_object(version=9))
    assert store.put(an_object(version=10))
    assert not store.put(an_object(version=9))
    assert _get(store) == 10


def test_the_same_version_again_is_no_news() -> None:
    store = WatchStore()
    store.put(an_object(version=9))
    assert not store.put(an_object(version=9))


def test_what_was_deleted_is_not_raised_by_a_late_message() -> None:
    store = WatchStore()
    store.put(an_object(version=5))
    assert store.drop(an_object(version=9))
    assert not store.put(an_object(version=7))
    assert _get(store) is None


def test_what_was_deleted_before_it_was_known_stays_deleted() -> None:
    store = WatchStore()
    assert not store.drop(an_object(version=9))
    assert not store.put(an_object(version=7))


def test_an_object_that_got_its_label_back_returns() -> None:
    """To a watch by label, the loss of the label looks like a deletion."""
    store = WatchStore()
    store.put(an_object(version=5))
    store.drop(an_object(version=6))
    assert store.put(an_object(version=7))
    assert _get(store) == 7


def test_a_recreated_object_replaces_the_old_one_for_good() -> None:
    store = WatchStore()
    store.put(an_object(version=5, uid="old"))
    assert store.put(an_object(version=8, uid="new"))
    assert not store.put(an_object(version=7, uid="old"))
    assert not store.drop(an_object(version=7, uid="old"))
    assert _get(store) == 8


def test_the_deletion_of_the_old_one_may_come_after_the_new_one() -> None:
    store = WatchStore()
    store.put(an_object(version=8, uid="new"))
    store.drop(an_object(version=7, uid="old"))
    assert _get(store) == 8


def test_children_are_found_by_label_and_namespace_only() -> None:
    store = WatchStore()
    store.put(an_object(name="ours"))
    store.put(an_object(name="no-label", labels={}))
    elsewhere = an_object(name="elsewhere")
    elsewhere["metadata"]["namespace"] = "other"
    store.put(elsewhere)
    assert [live["metadata"]["name"] for live in store.children(KEY)] == ["ours"]
    assert owner_key(elsewhere) == Key(namespace="other", name=NAME)


def test_a_child_that_changes_its_label_changes_its_parent() -> None:
    store = WatchStore()
    store.put(an_object(version=1))
    store.put(an_object(version=2, labels={"modelrollout.dev/deployment": "other"}))
    assert store.children(KEY) == ()
    assert len(store.children(Key(namespace=NAMESPACE, name="other"))) == 1


def test_a_model_deployment_is_no_child_whatever_its_labels() -> None:
    store = WatchStore()
    live = a_model_deployment()
    live["metadata"]["labels"] = LABELS
    store.put(live)
    assert store.children(KEY) == ()
    assert store.keys() == (KEY,)
    assert store.model_deployment(KEY) is not None
    assert owner_key(live) == KEY


def test_nothing_of_a_deleted_child_is_kept() -> None:
    store = WatchStore()
    store.put(an_object(version=5))
    store.drop(an_object(version=6))
    assert len(store) == 0
    assert store._children == {}


def test_what_a_complete_list_lacks_is_forgotten() -> None:
    store = WatchStore()
    for name in "abc":
        store.put(an_object(name=name, version=5))
    store.put(an_object("v1", "Service", "d", version=5))
    gone = store.forget_absent(CONFIG_MAP, {"uid-of-ConfigMap-a"}, as_of="10")
    assert [live["metadata"]["name"] for live in gone] == ["b", "c"]
    assert not store.put(an_object(name="b", version=9))
    assert len(store) == 2


def test_what_is_newer_than_the_list_cannot_be_judged_by_it() -> None:
    store = WatchStore()
    store.put(an_object(version=11))
    assert store.forget_absent(CONFIG_MAP, (), as_of="10") == ()
    assert _get(store) == 11


def test_what_nobody_reads_is_not_kept() -> None:
    store = WatchStore()
    live = an_object()
    live["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{…}", "kept": "1"}
    store.put(live)
    kept = store.get(CONFIG_MAP, NAMESPACE, "any")
    assert kept is not None
    assert "managedFields" not in kept["metadata"]
    assert kept["metadata"]["annotations"] == {"kept": "1"}
    assert "managedFields" in live["metadata"]


def test_of_a_pods_spec_only_what_its_trouble_needs_is_kept() -> None:
    store = WatchStore()
    pod = a_pod()
    store.put(pod)
    kept = store.get(POD, NAMESPACE, pod["metadata"]["name"])
    assert kept is not None
    assert set(kept["spec"]) == {"containers"}
    assert set(kept["spec"]["containers"][1]) == {"name", "ports", "startupProbe"}


def test_a_kind_that_is_not_in_the_table_is_a_mistake_of_ours() -> None:
    with pytest.raises(LookupError, match=r"cluster/kinds\.py"):
        WatchStore().put(an_object("batch/v1", "Job"))


def test_the_dead_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "TOMBSTONES", 3)
    store = WatchStore()
    for number in range(5):
        store.drop(an_object(name=str(number)))
    assert list(store._tombstones) == [f"uid-of-ConfigMap-{number}" for number in (2, 3, 4)]


def test_paths_are_those_of_the_api_server() -> None:
    assert CONFIG_MAP.path("shop", "a") == "/api/v1/namespaces/shop/configmaps/a"
    assert HTTP_ROUTE.path(None) == "/apis/gateway.networking.k8s.io/v1/httproutes"
    assert (
        MODEL_DEPLOYMENT.path("shop", "a", "status")
        == "/apis/modelrollout.dev/v1alpha1/namespaces/shop/modeldeployments/a/status"
    )


@st.composite
def _histories(draw: st.DrawFn) -> tuple[list[tuple[str, int, str]], list[int]]:
    """Lives of objects under one name, and the order in which the messages about them arrive."""
    messages: list[tuple[str, int, str]] = []
    version = 0
    for number in range(draw(st.integers(1, 3))):
        uid = f"uid-{number}"
        for _ in range(draw(st.integers(1, 3))):
            version += 1
            messages.append(("put", version, uid))
        version += 1
        messages.append(("drop", version, uid))
    if draw(st.booleans()):
        messages.pop()  # the last one lives
    order = draw(st.permutations(range(len(messages))))
    return messages, list(order)


@given(_histories())
def test_in_whatever_order_messages_come_the_store_ends_with_the_truth(
    history: tuple[list[tuple[str, int, str]], list[int]],
) -> None:
    messages, order = history
    store = WatchStore()
    for index in order:
        verb, version, uid = messages[index]
        live = an_object(version=version, uid=uid)
        _ = store.put(live) if verb == "put" else store.drop(live)
    verb, version, _ = messages[-1]
    assert _get(store) == (version if verb == "put" else None)
    assert len(store.children(KEY)) == (verb == "put")
