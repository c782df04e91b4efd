"""What a real API server makes of our writes: who may overwrite what, and on which view."""

from typing import Any

import pytest

from modelrollout.cluster.answers import LeaseLost, NotFound
from modelrollout.cluster.api import APPLY, MERGE
from modelrollout.cluster.apply_body import apply_body
from modelrollout.cluster.kinds import CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT, HTTP_ROUTE, MODEL_DEPLOYMENT
from modelrollout.cluster.store import uid_of, version_of
from modelrollout.domain.conditions import Reason
from modelrollout.domain.fragment import Fragment
from modelrollout.errors import ClusterUnavailable, ConflictError, Refused, StaleView
from tests.conformance.bench import Bench, a_config_map, a_deployment, owner_of, seen

NAME = "sentiment-evidence"


async def test_the_answer_to_an_apply_counts_as_read_back(bench: Bench) -> None:
    md = await bench.model_deployment()
    live = await bench.api.apply(a_config_map(owner_of(md), a="1"))
    kept = bench.store.get(CONFIG_MAP, bench.namespace, NAME)
    assert kept is not None
    assert version_of(kept) == version_of(live)
    assert "managedFields" not in kept["metadata"]
    assert bench.store.children(owner_of(md).key) == (kept,)


async def test_a_first_apply_is_one_request_and_creates(bench: Bench) -> None:
    md = await bench.model_deployment()
    bench.requests.clear()
    await bench.api.apply(a_config_map(owner_of(md), a="1"))
    assert bench.requests == [("PATCH", 201)]


async def test_the_same_apply_again_changes_no_resource_version(bench: Bench) -> None:
    md = await bench.model_deployment()
    first = await bench.api.apply(a_deployment(owner_of(md)))
    again = await bench.api.apply(a_deployment(owner_of(md)))
    assert version_of(again) == version_of(first)


async def test_an_applied_field_that_is_left_out_later_goes_away(bench: Bench) -> None:
    md = await bench.model_deployment()
    await bench.api.apply(a_config_map(owner_of(md), a="1", b="2"))
    live = await bench.api.apply(a_config_map(owner_of(md), a="1"))
    assert live["data"] == {"a": "1"}


async def test_a_foreign_object_is_never_adopted(bench: Bench) -> None:
    md = await bench.model_deployment()
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"theirs": "1"}}
    before = await bench.outside("POST", CONFIG_MAP, None, theirs)
    with pytest.raises(ConflictError, match="Delete or rename it") as caught:
        await bench.api.apply(a_config_map(owner_of(md), ours="1"))
    assert caught.value.reason is Reason.CONFLICT
    assert await bench.outside("GET", CONFIG_MAP, NAME) == before
    await bench.outside("DELETE", CONFIG_MAP, NAME)
    assert (await bench.api.apply(a_config_map(owner_of(md), ours="1")))["data"] == {"ours": "1"}


async def test_a_foreign_object_with_our_labels_is_never_adopted_either(bench: Bench) -> None:
    md = await bench.model_deployment()
    forged = a_config_map(owner_of(md), theirs="1").value
    del forged["metadata"]["ownerReferences"]
    before = await bench.outside("POST", CONFIG_MAP, None, forged)
    bench.store.put(before)
    bench.requests.clear()
    with pytest.raises(ConflictError):
        await bench.api.apply(a_config_map(owner_of(md), ours="1"))
    assert bench.requests == []


async def test_an_object_of_a_deleted_predecessor_is_waited_for(bench: Bench) -> None:
    old = await bench.model_deployment()
    await bench.api.apply(a_config_map(owner_of(old), old="1"))
    held: dict[str, Any] = {"metadata": {"finalizers": ["example.com/held"]}}
    await bench.outside("PATCH", CONFIG_MAP, NAME, held, content_type=MERGE)
    await bench.outside("DELETE", MODEL_DEPLOYMENT, "sentiment")
    bench.store.drop(old)
    new = await bench.model_deployment()
    with pytest.raises(Refused, match="garbage collection"):
        await bench.api.apply(a_config_map(owner_of(new), new="1"))
    assert (await bench.outside("GET", CONFIG_MAP, NAME))["data"] == {"old": "1"}
    held["metadata"]["finalizers"] = None
    await bench.outside("PATCH", CONFIG_MAP, NAME, held, content_type=MERGE)


async def test_our_own_object_that_the_watch_has_not_brought_yet_is_taken(bench: Bench) -> None:
    md = await bench.model_deployment()
    manifest = a_config_map(owner_of(md), a="1")
    await bench.outside("POST", CONFIG_MAP, None, manifest.value)
    live = await bench.api.apply(a_config_map(owner_of(md), a="2"))
    assert live["data"]["a"] == "2"


async def test_an_apply_on_a_view_that_moved_on_is_refused_and_looked_at_again(bench: Bench) -> None:
    md = await bench.model_deployment()
    first = await bench.api.apply(a_config_map(owner_of(md), a="1"))
    moved = await bench.outside(
        "PATCH", CONFIG_MAP, NAME, {"data": {"b": "theirs"}}, content_type=MERGE, query={"fieldManager": "somebody"}
    )
    with pytest.raises(StaleView):
        await bench.api.apply(a_config_map(owner_of(md), a="2"), resource_version=first["metadata"]["resourceVersion"])
    kept = bench.store.get(CONFIG_MAP, bench.namespace, NAME)
    assert kept is not None
    assert version_of(kept) == version_of(moved)
    live = await bench.api.apply(
        a_config_map(owner_of(md), a="2"), resource_version=kept["metadata"]["resourceVersion"]
    )
    assert live["data"] == {"a": "2", "b": "theirs"}


async def test_an_apply_never_makes_again_what_was_deleted_behind_its_back(bench: Bench) -> None:
    md = await bench.model_deployment()
    first = await bench.api.apply(a_config_map(owner_of(md), a="1"))
    await bench.outside("DELETE", CONFIG_MAP, NAME)
    for version in (None, first["metadata"]["resourceVersion"]):
        bench.store.put(first)
        with pytest.raises(StaleView):
            await bench.api.apply(a_config_map(owner_of(md), a="2"), resource_version=version)
    assert bench.store.get(CONFIG_MAP, bench.namespace, NAME) is None
    assert (await bench.api.apply(a_config_map(owner_of(md), a="2")))["data"] == {"a": "2"}


async def test_an_apply_is_never_for_a_successor_of_the_same_name(bench: Bench) -> None:
    md = await bench.model_deployment()
    await bench.api.apply(a_config_map(owner_of(md), a="1"))
    await bench.outside("DELETE", CONFIG_MAP, NAME)
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"theirs": "1"}}
    await bench.outside("POST", CONFIG_MAP, None, theirs)
    with pytest.raises(StaleView):
        await bench.api.apply(a_config_map(owner_of(md), a="2"))
    assert (await bench.outside("GET", CONFIG_MAP, NAME))["data"] == {"theirs": "1"}


async def test_replicas_are_written_through_scale_and_survive_an_apply_without_them(bench: Bench) -> None:
    md = await bench.model_deployment()
    live = await bench.api.apply(a_deployment(owner_of(md)))
    assert live["spec"]["replicas"] == 1
    await bench.api.scale(live, 4)
    await bench.api.apply(a_deployment(owner_of(md)))
    assert (await bench.outside("GET", DEPLOYMENT, "sentiment-bbbbbbbb"))["spec"]["replicas"] == 4


async def test_what_the_store_knows_after_scaling_is_what_the_server_has(bench: Bench) -> None:
    md = await bench.model_deployment()
    live = await bench.api.apply(a_deployment(owner_of(md)))
    await bench.api.scale(live, 4)
    kept = bench.store.get(DEPLOYMENT, bench.namespace, "sentiment-bbbbbbbb")
    real = dict(await bench.outside("GET", DEPLOYMENT, "sentiment-bbbbbbbb"))
    real["metadata"] = {key: value for key, value in real["metadata"].items() if key != "managedFields"}
    assert kept == real


async def test_scaling_on_an_old_view_is_refused(bench: Bench) -> None:
    md = await bench.model_deployment()
    live = await bench.api.apply(a_deployment(owner_of(md)))
    await bench.api.scale(live, 4)
    with pytest.raises(StaleView):
        await bench.api.scale(live, 2)
    assert (await bench.outside("GET", DEPLOYMENT, "sentiment-bbbbbbbb"))["spec"]["replicas"] == 4


async def test_deleting_on_an_old_view_is_refused(bench: Bench) -> None:
    md = await bench.model_deployment()
    live = await bench.api.apply(a_deployment(owner_of(md)))
    await bench.api.scale(live, 4)
    with pytest.raises(StaleView):
        await bench.api.delete(live)
    kept = bench.store.get(DEPLOYMENT, bench.namespace, "sentiment-bbbbbbbb")
    assert kept is not None
    await bench.api.delete(kept)
    assert bench.store.get(DEPLOYMENT, bench.namespace, "sentiment-bbbbbbbb") is None
    assert await bench.api.get("apps/v1", "Deployment", bench.namespace, "sentiment-bbbbbbbb") is None


async def test_deleting_a_successor_of_the_same_name_is_refused(bench: Bench) -> None:
    md = await bench.model_deployment()
    old = await bench.api.apply(a_config_map(owner_of(md), a="1"))
    await bench.outside("DELETE", CONFIG_MAP, NAME)
    new = await bench.outside("POST", CONFIG_MAP, None, a_config_map(owner_of(md), a="2").value)
    with pytest.raises(StaleView):
        await bench.api.delete(old)
    assert await bench.outside("GET", CONFIG_MAP, NAME) == new


async def test_deleting_what_is_gone_already_is_fine(bench: Bench) -> None:
    md = await bench.model_deployment()
    live = await bench.api.apply(a_config_map(owner_of(md), a="1"))
    await bench.outside("DELETE", CONFIG_MAP, NAME)
    await bench.api.delete(live)
    assert bench.store.get(CONFIG_MAP, bench.namespace, NAME) is None


async def test_a_status_is_replaced_as_a_whole(bench: Bench) -> None:
    md = await bench.model_deployment()
    first = Fragment.of({"message": "one", "rollout": {"stable": "bbbbbbbb", "candidate": "cccccccc", "weight": 5}})
    live = await bench.api.patch_status(seen(md), first)
    assert live["status"] == first.value
    second = Fragment.of({"phase": "Stable", "rollout": {"stable": "cccccccc"}})
    assert (await bench.api.patch_status(seen(live), second))["status"] == second.value
    assert bench.store.model_deployment(owner_of(md).key) is not None


async def test_a_status_decided_on_an_old_view_is_refused(bench: Bench) -> None:
    md = await bench.model_deployment()
    newer = await bench.api.patch_status(seen(md), Fragment.of({"message": "newer"}))
    bench.store.put(md)
    with pytest.raises(StaleView):
        await bench.api.patch_status(seen(md), Fragment.of({"message": "older"}))
    kept = bench.store.model_deployment(owner_of(md).key)
    assert kept is not None
    assert kept["status"] == {"message": "newer"}
    assert version_of(kept) == version_of(newer)


async def test_a_status_is_never_for_a_successor_of_the_same_name(bench: Bench) -> None:
    md = await bench.model_deployment()
    await bench.outside("DELETE", MODEL_DEPLOYMENT, "sentiment")
    with pytest.raises(StaleView):
        await bench.api.patch_status(seen(md), Fragment.of({"message": "late"}))
    assert bench.store.model_deployment(owner_of(md).key) is None
    new = await bench.model_deployment()
    with pytest.raises(StaleView):
        await bench.api.patch_status(seen(md), Fragment.of({"message": "late"}))
    assert "status" not in await bench.outside("GET", MODEL_DEPLOYMENT, "sentiment")
    assert uid_of(new) != uid_of(md)


async def test_a_status_never_touches_the_spec(bench: Bench) -> None:
    md = await bench.model_deployment()
    live = await bench.api.patch_status(seen(md), Fragment.of({"message": "one"}))
    assert live["spec"] == md["spec"]
    assert live["metadata"]["generation"] == md["metadata"]["generation"]


async def test_without_the_lease_nothing_is_written(bench: Bench) -> None:
    md = await bench.model_deployment()
    live = await bench.api.apply(a_deployment(owner_of(md)))
    bench.lease[0] = False
    bench.requests.clear()
    for write in (
        bench.api.apply(a_deployment(owner_of(md))),
        bench.api.apply(a_config_map(owner_of(md))),
        bench.api.scale(live, 3),
        bench.api.delete(live),
        bench.api.patch_status(seen(md), Fragment.of({"message": "late"})),
    ):
        with pytest.raises(LeaseLost):
            await write
    await bench.api.event(seen(md), reason="Late", message="late", warning=False)
    await bench.api.events_written()
    assert bench.requests == []


async def test_a_manifest_that_does_not_fit_the_schema_is_refused_in_the_servers_words(bench: Bench) -> None:
    md = await bench.model_deployment()
    unknown, invalid = a_deployment(owner_of(md)).value, a_deployment(owner_of(md)).value
    unknown["spec"]["nonsense"] = 1
    invalid["spec"]["minReadySeconds"] = -1
    with pytest.raises(Refused, match="field not declared in schema"):  # said with a 500
        await bench.api.apply(Fragment.of(unknown))
    with pytest.raises(Refused, match="must be greater than or equal to 0"):
        await bench.api.apply(Fragment.of(invalid))


async def test_any_text_arrives_as_it_was_written(bench: Bench) -> None:
    """The API server reads an apply as YAML, which sees some characters otherwise than JSON does."""
    md = await bench.model_deployment()
    texts = [chr(code) for code in (*range(1, 0x200), 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0x1F642, 0x10FFFF)]
    texts += [
        "\\ud83d\\ude42",
        "\\\\\U0001f642",
        "a: b # c",
        "no",
        "<<",
        "{{ x }}",
        "- \t- ",
        "\r\n \n",
        '"',
        "'",
        "\ue000",
    ]
    values = {str(number): text for number, text in enumerate(texts)}
    assert (await bench.api.apply(a_config_map(owner_of(md), **values)))["data"] == values


async def test_a_kind_without_its_crd_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFound, match="CRD"):
        await bench.api.request("GET", "/apis/example.com/v1/namespaces/shop/things/x")


async def test_a_frozen_revision_cannot_be_changed(bench: Bench) -> None:
    md = await bench.model_deployment()
    owner = owner_of(md)
    revision = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": "sentiment-bbbbbbbb",
            "namespace": bench.namespace,
            "labels": owner.labels,
            "ownerReferences": [owner.reference],
        },
        "revision": 1,
        "data": {"a": "1"},
    }
    live = await bench.api.apply(Fragment.of(revision))
    with pytest.raises(Refused):
        await bench.api.apply(Fragment.of({**revision, "data": {"a": "2"}}))
    assert (await bench.outside("GET", CONTROLLER_REVISION, "sentiment-bbbbbbbb"))["data"] == live["data"]


async def test_an_api_server_that_is_not_there_is_unavailable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.api._client.configuration, "host", "https://127.0.0.1:9")
    bench.requests.clear()
    with pytest.raises(ClusterUnavailable):
        await bench.api.get("v1", "ConfigMap", bench.namespace, "any")
    assert bench.requests == [("GET", 0)]


async def test_a_list_tells_what_the_watch_did_not(bench: Bench) -> None:
    md = await bench.model_deployment()
    names = [f"sentiment-{letter}" for letter in "abc"]
    for name in names:
        await bench.api.apply(a_config_map(owner_of(md), name, a="1"))
    await bench.outside("DELETE", CONFIG_MAP, "sentiment-b")
    listing = await bench.api.list_metadata(CONFIG_MAP, bench.namespace)
    late = await bench.api.apply(a_config_map(owner_of(md), "sentiment-d", a="1"))
    gone = bench.store.forget_absent(CONFIG_MAP, listing.uids, as_of=listing.resource_version)
    assert [live["metadata"]["name"] for live in gone] == ["sentiment-b"]
    left = {live["metadata"]["name"] for live in bench.store.children(owner_of(md).key)}
    assert left == {"sentiment-a", "sentiment-c", "sentiment-d"}
    assert uid_of(late) not in listing.uids


async def test_a_long_list_comes_in_pages_of_one_version(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelrollout.cluster.api.PAGE", 2)
    md = await bench.model_deployment()
    for number in range(5):
        await bench.api.apply(a_config_map(owner_of(md), f"sentiment-{number}"))
    bench.requests.clear()
    listing = await bench.api.list_metadata(CONFIG_MAP, bench.namespace)
    assert len(listing.uids) == 5
    assert len(bench.requests) == 3
    assert {item["kind"] for item in listing.items} == {"ConfigMap"}
    assert (await bench.api.list_metadata(HTTP_ROUTE, bench.namespace)).items == ()


async def test_the_raw_door_serves_a_lease(bench: Bench) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{bench.namespace}/leases"
    body = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
    bench.lease[0] = False
    lease = await bench.api.request("POST", path, body=body)
    taken = {**lease, "spec": {**lease["spec"], "holderIdentity": "b"}}
    await bench.api.request("PUT", f"{path}/leader", body=taken)
    with pytest.raises(StaleView):
        await bench.api.request("PUT", f"{path}/leader", body={**lease, "spec": {}})
    with pytest.raises(StaleView):
        await bench.api.request("POST", path, body=body)
    with pytest.raises(NotFound):
        await bench.api.request("GET", f"{path}/other")


async def test_a_bare_server_side_apply_would_adopt_a_foreign_object(bench: Bench) -> None:
    """Why `apply` looks first: this is what the API server does when it is asked plainly."""
    md = await bench.model_deployment()
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"theirs": "1"}}
    await bench.outside("POST", CONFIG_MAP, None, theirs)
    live = await bench.outside(
        "PATCH",
        CONFIG_MAP,
        NAME,
        apply_body(a_config_map(owner_of(md)).value),
        content_type=APPLY,
        query={"fieldManager": "modelrollout", "force": "true"},
    )
    assert live["metadata"]["ownerReferences"][0]["uid"] == uid_of(md)
