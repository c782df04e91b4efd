"""What we own and somebody else deletes or changes."""

from collections.abc import Iterator

import pytest

from tests.e2e.api import Live
from tests.e2e.operators import Operators
from tests.e2e.place import Place
from tests.e2e.world import World

SCALING = {"mode": "hpa", "minReplicas": 1, "maxReplicas": 2}
CHILDREN = {
    "HorizontalPodAutoscaler": "model-{revision}",
    "PodDisruptionBudget": "model-{revision}",
    "HTTPRoute": "model",
    "Service": "model-{revision}",
    "Deployment": "model-{revision}",
}
"""Name of the one that is harmed, by kind."""
HARM: dict[str, Live] = {
    "HorizontalPodAutoscaler": {"spec": {"maxReplicas": 7}},
    "PodDisruptionBudget": {"spec": {"maxUnavailable": 5}},
    "HTTPRoute": {"spec": {"hostnames": ["elsewhere.example.com"]}},
    "Service": {"spec": {"selector": {"app": "nothing"}}},
    "Deployment": {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 99}}}},
}


@pytest.fixture(scope="module")
def shared_place(world: World, operators: Operators) -> Iterator[tuple[Place, str]]:
    """One ModelDeployment for all harms, and its revision: they leave it as it was."""
    operators.on_host()
    with world.namespace("changed-by-hand") as namespace:
        place = Place(world=world, operators=operators, namespace=namespace)
        yield place, place.deploy(place.model(scaling=SCALING))


@pytest.mark.alongside
def test_a_child_deleted_by_hand_comes_back_as_it_was(place: Place) -> None:
    revision = place.deploy(place.model(scaling=SCALING))
    for kind, pattern in CHILDREN.items():
        name = pattern.format(revision=revision)
        before = place.child(kind, name)
        place.world.api.merge(kind, place.namespace, name, {"metadata": {"annotations": {"e2e/by-hand": "true"}}})
        place.world.api.delete(kind, place.namespace, name)
        place.until_so(f"{kind} {name} is there again", lambda: _uid(place, kind, name) not in ("", _uid_of(before)))  # noqa: B023 -- waited for at once
        after = place.child(kind, name)
        assert after["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
        assert after["metadata"]["labels"] == before["metadata"]["labels"]
    look = place.until_stable()
    assert look.stable == revision and look.decisions[-1] == ("Promote", revision)


@pytest.mark.alongside
def test_the_stable_service_deleted_by_hand_comes_back(place: Place) -> None:
    revision = place.deploy(place.model())
    before = place.child("Service")
    place.world.api.delete("Service", place.namespace, "model")
    place.until_so("the Service is there again", lambda: _uid(place, "Service", "model") not in ("", _uid_of(before)))
    assert place.child("Service")["spec"]["selector"] == before["spec"]["selector"]
    assert place.until_stable().stable == revision


@pytest.mark.parametrize("kind", HARM)
def test_a_child_changed_by_hand_is_put_right(shared_place: tuple[Place, str], kind: str) -> None:
    place, revision = shared_place
    name = CHILDREN[kind].format(revision=revision)
    before, (field, wrong) = place.child(kind, name)["spec"], next(iter(HARM[kind]["spec"].items()))
    place.world.api.merge(kind, place.namespace, name, {"spec": {field: wrong}})
    harmed = place.world.api.get(kind, place.namespace, name)
    assert harmed is not None
    seen = int(harmed["metadata"]["resourceVersion"])

    def is_as_before() -> bool:
        live = place.world.history.get(kind, place.namespace, name)
        heard = live is not None and int(live["metadata"]["resourceVersion"]) >= seen
        return heard and bool(live and live["spec"][field] == before[field])

    place.until_so(f"{kind} is put right", is_as_before)
    assert place.until_stable().stable == revision


def _uid(place: Place, kind: str, name: str) -> str:
    live = place.world.history.get(kind, place.namespace, name)
    return _uid_of(live) if live else ""


def _uid_of(live: Live) -> str:
    return str(live["metadata"]["uid"])
