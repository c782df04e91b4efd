"""What cannot work is said within seconds, what serves is left alone, and all heals when the world does."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.api import Live
from tests.e2e.place import Look, Place
from tests.e2e.specs import a_server, through_the_gateway

pytestmark = pytest.mark.alongside

NOISE = 15.0
"""Seconds; five are promised, and this machine's two cores carry a whole cluster."""


def _told(place: Place, true: Callable[[Look], bool], what: str) -> Look:
    """Wait until it is said, and note how long that took since the last request of ours."""
    since = time.monotonic()
    look = place.until(what, true)
    took = time.monotonic() - since
    place.notes.append(("seconds until told", round(took, 2)))
    assert took <= NOISE
    return look


def _not_ready(reason: str) -> Callable[[Look], bool]:
    return lambda look: look.condition("Ready") == ("False", reason)


def _still_serves(place: Place, first: str) -> None:
    look = place.look()
    assert look.condition("Available")[0] == "True" and look.stable == first
    assert place.weights() == {first: 100}
    assert place.child("Deployment", f"model-{first}")["status"]["readyReplicas"] == 1


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown preset": ("UnknownPreset", {"runtime": {"preset": "nonesuch", "image": "x.example/y:1"}}, "mlserver"),
    "port clash": (
        "PortClash",
        {"runtime": {"preset": "mlserver", "ports": [{"name": "mine", "containerPort": 8081}]}},
        "grpc",
    ),
}
"""Reason, what of the spec is wrong, and a word of the message."""


@pytest.mark.parametrize("case", WRONG)
def test_what_the_operator_can_see_to_be_impossible_stalls(place: Place, case: str) -> None:
    reason, wrong, word = WRONG[case]
    first = place.deploy(place.model("1"))
    place.apply(place.model("2", **wrong))
    look = _told(place, _not_ready(reason), case)
    assert look.condition("Stalled") == ("True", reason) and look.condition("Reconciling")[0] == "False"
    assert word in look.said("Ready") and look.phase == "Degraded" and look.candidate == ""
    _still_serves(place, first)
    place.apply(place.model("1"))
    assert place.until_stable().stable == first


def test_a_gateway_that_is_not_there_is_told_and_served_through_once_it_is(place: Place) -> None:
    place.apply(place.model(traffic=through_the_gateway(place.host(), gateway=place.namespace)))
    place.until_so("the route is written", lambda: bool(place.weights()))
    look = _told(place, _not_ready("RouteNotAccepted"), "no such gateway")
    assert look.condition("Stalled")[0] == "True" and "parentRefs" in look.said("Ready")
    gateways = "/apis/gateway.networking.k8s.io/v1/namespaces/infra/gateways"
    public = place.world.api.request("GET", f"{gateways}/public")
    mine = {**public, "metadata": {"name": place.namespace, "namespace": "infra"}, "status": {}}
    place.world.api.request("POST", gateways, mine)
    try:
        place.until_stable()
    finally:
        place.world.api.request("DELETE", f"{gateways}/{place.namespace}")


def _claim(place: Place) -> None:
    path = place.world.devcluster.state_dir / place.namespace
    path.mkdir()
    place.world.devcluster.model_volume(place.namespace, "later", path)


def _secret(place: Place) -> None:
    metadata = {"name": "later", "namespace": place.namespace}
    place.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": "value"}})


MISSING: dict[str, tuple[dict[str, Any], Callable[[Place], None]]] = {
    "claim": ({"model": {"version": "2", "uri": "pvc://later/"}}, _claim),
    "secret": ({"env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "later", "key": "key"}}}]}, _secret),
    "mounted secret": (
        {
            "volumes": [{"name": "keys", "secret": {"secretName": "later"}}],
            "volumeMounts": [{"name": "keys", "mountPath": "/keys"}],
        },
        _secret,
    ),
}


@pytest.mark.parametrize("what", MISSING)
def test_what_the_pods_miss_is_told_and_when_it_comes_the_rollout_goes_on(place: Place, what: str) -> None:
    if what == "claim":
        assert place.world.devcluster
    wrong, bring = MISSING[what]
    model = wrong.get("model", {"version": "2"})
    runtime = a_server(place.world.image, **{field: value for field, value in wrong.items() if field != "model"})
    first = place.deploy(place.model("1"))
    place.apply(place.model("2", model=model, runtime=runtime))
    look = _told(place, _not_ready("ConfigurationMissing"), f"missing {what}")
    assert "later" in look.said("Ready") and look.weight == 0
    _still_serves(place, first)
    bring(place)
    assert place.until_stable().stable != first


FOREIGN: dict[str, Live] = {
    "Service": {"apiVersion": "v1", "spec": {"ports": [{"port": 80}]}},
    "HTTPRoute": {"apiVersion": "gateway.networking.k8s.io/v1", "spec": {"hostnames": ["theirs.example.com"]}},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_an_object_of_somebody_else_is_left_untouched_and_its_name_taken_once_it_is_free(
    place: Place, kind: str
) -> None:
    metadata = {"name": "model", "namespace": place.namespace}
    place.apply({**FOREIGN[kind], "kind": kind, "metadata": metadata})
    theirs = place.world.api.get(kind, place.namespace, "model")
    assert theirs is not None
    place.apply(place.model())
    place.until_so("its pods are there", lambda: bool(place.world.history.all("Deployment", place.namespace)))
    look = _told(place, _not_ready("Conflict"), f"a foreign {kind}")
    assert look.condition("Stalled") == ("True", "Conflict") and f"{kind} model" in look.said("Ready")
    place.stays(3, lambda look: look.condition("Ready") == ("False", "Conflict"))
    now = place.world.api.get(kind, place.namespace, "model")
    assert now is not None and (now["spec"], _version(now)) == (theirs["spec"], _version(theirs))
    place.world.api.delete(kind, place.namespace, "model")
    place.until_stable()
    assert place.child(kind)["metadata"]["labels"]["modelrollout.dev/deployment"] == "model"


def test_a_quota_that_refuses_pods_is_told_and_once_it_is_raised_the_rollout_goes_on(place: Place) -> None:
    first = place.deploy(place.model("1"))
    metadata = {"name": "pods", "namespace": place.namespace}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata}
    place.apply({**quota, "spec": {"hard": {"pods": "1"}}})
    place.until_so("the quota counts", lambda: _is_counted(place))
    place.apply(place.model("2"))
    look = _told(place, _not_ready("PodRefused"), "quota")
    assert "quota" in look.said("Ready")
    _still_serves(place, first)
    place.apply({**quota, "spec": {"hard": {"pods": "10"}}})
    assert place.until_stable().stable != first


def _is_counted(place: Place) -> bool:
    live = place.world.api.get("ResourceQuota", place.namespace, "pods")
    return bool(live and live.get("status", {}).get("used", {}).get("pods") == "1")


def _version(live: Live) -> str:
    """The HTTPRoute's status is Traefik's to write, so the resourceVersion may move on: who wrote the spec is told."""
    return ",".join(sorted(each["manager"] for each in live["metadata"]["managedFields"] if "subresource" not in each))
