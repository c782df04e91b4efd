"""How many pods each revision has, on the real HorizontalPodAutoscaler controller.

There is no metrics server on the development cluster: the controller keeps to minReplicas and maxReplicas, and that
it cannot read its metrics is part of what is tested.
"""

import pytest

from tests.e2e.place import Place
from tests.e2e.specs import Document, a_rollout, waiting_for_a_person

pytestmark = pytest.mark.alongside


def _bounds(place: Place, revision: str) -> tuple[int, int]:
    spec = place.child("HorizontalPodAutoscaler", f"model-{revision}")["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def _ready(place: Place, revision: str) -> int:
    live = place.world.history.get("Deployment", place.namespace, f"model-{revision}")
    return int(live.get("status", {}).get("readyReplicas", 0)) if live else 0


def test_the_candidates_floor_rises_with_its_weight_and_stables_floor_holds(place: Place) -> None:
    model: Document = {
        "rollout": waiting_for_a_person(20, 60),
        "scaling": {"mode": "hpa", "minReplicas": 3, "maxReplicas": 5},
    }
    first = place.deploy(place.model("1", **model))
    assert _bounds(place, first) == (3, 5) and _ready(place, first) == 3
    place.until("told that metrics are missing", lambda look: look.condition("ScalingActive")[1] == "ScalingBlind")
    place.apply(place.model("2", **model))
    second = place.until_weight(20).candidate
    assert _bounds(place, second) == (1, 5) and _bounds(place, first) == (3, 5)
    place.command(f"advance:{second}")
    place.until_weight(60)
    assert _bounds(place, second) == (2, 5) and _ready(place, second) >= 2
    assert _bounds(place, first) == (3, 5) and _ready(place, first) == 3
    place.command(f"advance:{second}:again")
    place.until_stable()
    assert _bounds(place, second) == (3, 5) and _ready(place, second) == 3
    place.until_so("the old autoscaler is gone", lambda: _gone(place, "HorizontalPodAutoscaler", first))


def test_the_autoscalers_numbers_follow_the_spec_in_place(place: Place) -> None:
    scaling = {"mode": "hpa", "minReplicas": 1, "maxReplicas": 3}
    first = place.deploy(place.model(scaling=scaling))
    place.apply(place.model(scaling=scaling | {"minReplicas": 2, "maxReplicas": 4}))
    place.until_so("two pods are ready", lambda: _ready(place, first) == 2)
    look = place.until_stable()
    assert _bounds(place, first) == (2, 4) and look.stable == first
    assert [action for action, _ in look.decisions] == ["Start", "Promote"]


def test_fixed_replicas_are_those_of_the_spec_and_no_autoscaler_is_there(place: Place) -> None:
    model: Document = {"rollout": a_rollout(50)}
    first = place.deploy(place.model("1", scaling={"mode": "fixed", "replicas": 2}, **model))
    assert _ready(place, first) == 2
    assert place.world.history.all("HorizontalPodAutoscaler", place.namespace) == []
    place.apply(place.model("1", scaling={"mode": "fixed", "replicas": 3}, **model))
    place.until_so("three pods are ready", lambda: _ready(place, first) == 3)
    place.apply(place.model("2", scaling={"mode": "fixed", "replicas": 3}, **model))
    second = place.until_stable().stable
    place.until_so("all three are new", lambda: _ready(place, second) == 3 and _gone(place, "Deployment", first))


def test_somebody_else_may_write_the_scale(place: Place) -> None:
    place.deploy(place.model(scaling={"mode": "external"}))
    kubectl, namespace = place.world.kubectl, place.namespace
    kubectl("scale", "md/model", "-n", namespace, "--replicas=3")
    look = place.until("three are ready", lambda look: look.status.get("readyReplicas") == 3)
    scale = place.world.api.request(
        "GET", f"/apis/modelrollout.dev/v1alpha1/namespaces/{namespace}/modeldeployments/model/scale"
    )
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 3)
    assert scale["status"]["selector"] == look.status["selector"]
    pods = kubectl("get", "pods", "-n", namespace, "-l", look.status["selector"], "-o", "name").split()
    assert len(pods) == 3


def _gone(place: Place, kind: str, revision: str) -> bool:
    return place.world.history.get(kind, place.namespace, f"model-{revision}") is None
