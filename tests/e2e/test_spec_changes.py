"""A person changes their mind in the middle of a rollout."""

import pytest

from tests.e2e.api import PATHS
from tests.e2e.place import Place
from tests.e2e.specs import waiting_for_a_person


@pytest.mark.alongside
def test_a_newer_version_in_the_middle_takes_the_candidate_back_before_it_starts_at_step_one(place: Place) -> None:
    rollout = waiting_for_a_person(20, 50)
    first = place.deploy(place.model("1", rollout=rollout))
    place.apply(place.model("2", rollout=rollout))
    second = place.until_weight(20).candidate
    place.command(f"advance:{second}")
    place.until_weight(50)
    place.apply(place.model("3", rollout=rollout))
    third = place.until("the third is the candidate", lambda look: look.candidate not in ("", second)).candidate
    look = place.until_weight(20)
    assert look.candidate == third and look.stable == first
    assert place.route_of(second) == [20, 50, 0]
    assert place.route_of(third) == [20]
    assert look.aborted == {} and look.condition("Stalled")[0] == "False"
    assert [each for each in look.decisions if each[0] in ("Withdraw", "Rollback")] == [("Withdraw", second)]


@pytest.mark.alongside
def test_going_back_to_stable_in_the_middle_ends_quietly_and_marks_nothing_bad(place: Place) -> None:
    rollout = waiting_for_a_person(20, 50)
    first = place.deploy(place.model("1", rollout=rollout))
    place.apply(place.model("2", rollout=rollout))
    second = place.until_weight(20).candidate
    place.apply(place.model("1", rollout=rollout))
    look = place.until_stable()
    assert look.stable == first and look.candidate == ""
    assert look.aborted == {} and look.condition("Ready") == ("True", "Stable")
    assert place.route_of(second) == [20, 0]
    assert "Rollback" not in dict(look.decisions)
    place.until_so("its pods are gone", lambda: place.names("Deployment") == {f"model-{first}"})
    place.apply(place.model("2", rollout=rollout))
    assert place.until_weight(20).candidate == second, "what was not marked bad may be tried again"


def test_deleting_in_the_middle_leaves_nothing_even_with_the_operator_down(place: Place) -> None:
    rollout = waiting_for_a_person(20)
    scaling = {"mode": "hpa", "minReplicas": 1, "maxReplicas": 2}
    place.deploy(place.model("1", rollout=rollout, scaling=scaling))
    place.apply(place.model("2", rollout=rollout, scaling=scaling))
    look = place.until_weight(20)
    assert "finalizers" not in look.live["metadata"]
    place.operators.kill()
    assert _owned_kinds(place) >= {
        "HTTPRoute",
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
    }
    place.world.kubectl("delete", "md/model", "-n", place.namespace, "--wait=true", "--timeout=30s")
    place.until_so("everything of it is collected", lambda: not _owned_kinds(place))


def _owned_kinds(place: Place) -> set[str]:
    """Asked of the API server: not all kinds are in the history."""
    kinds = [kind for kind in PATHS if kind != "Namespace"]
    selector = "modelrollout.dev/deployment=model"
    return {kind for kind in kinds if place.world.api.items(kind, place.namespace, selector)}
