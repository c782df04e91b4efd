"""A person's word: abort, retry, advance, promote, and the hand brake."""

import pytest

from tests.e2e.place import Look, Place
from tests.e2e.specs import BY_EVIDENCE, a_rollout, a_server, waiting_for_a_person

pytestmark = pytest.mark.alongside


def _accepted(look: Look, command: str) -> bool:
    last = look.status.get("lastCommand", {})
    return bool(last.get("id") == command and last.get("accepted"))


def test_abort_takes_the_candidate_back_and_only_retry_tries_it_again(place: Place) -> None:
    rollout = waiting_for_a_person(20, 50)
    first = place.deploy(place.model("1", rollout=rollout))
    place.apply(place.model("2", rollout=rollout))
    second = place.until_weight(20).candidate
    place.command(f"abort:{second}")
    look = place.until("rolled back", lambda look: look.phase == "RolledBack")
    assert _accepted(look, f"abort:{second}")
    assert (look.aborted["revision"], look.aborted["reason"]) == (second, "Aborted")
    assert look.condition("Ready") == ("False", "RolledBack") and look.condition("Stalled")[0] == "True"
    assert look.condition("Available")[0] == "True" and place.weights() == {first: 100}
    place.stays(5, lambda look: look.candidate == "")
    place.command(f"retry:{second}")
    assert place.until_weight(20).candidate == second
    assert place.route_of(second) == [20, 0, 20]


def test_advance_lets_one_step_pass_and_promote_all_the_others(place: Place) -> None:
    rollout = waiting_for_a_person(10, 20, 50)
    place.deploy(place.model("1", rollout=rollout))
    place.apply(place.model("2", rollout=rollout))
    look = place.until("waits for a person", lambda look: look.condition("Progressing")[1] == "WaitingForApproval")
    second = look.candidate
    assert look.phase == "Paused" and look.weight == 10
    place.command(f"advance:{second}")
    look = place.until_weight(20)
    assert _accepted(look, f"advance:{second}")
    place.stays(4, lambda look: look.weight == 20)
    place.command(f"promote:{second}")
    look = place.until_stable()
    assert look.stable == second and _accepted(look, f"promote:{second}")
    assert place.route_of(second) == [10, 20, 100]


def test_a_command_for_another_revision_is_refused_and_says_why(place: Place) -> None:
    rollout = waiting_for_a_person(20)
    first = place.deploy(place.model("1", rollout=rollout))
    place.apply(place.model("2", rollout=rollout))
    second = place.until_weight(20).candidate
    for command in (f"promote:{first}", "abort:00000000", "explode:now", f"retry:{second}"):
        place.command(command)
        look = place.until("acknowledged", lambda look: look.status.get("lastCommand", {}).get("id") == command)  # noqa: B023 -- waited for at once
        told = look.status["lastCommand"]
        assert told["accepted"] is False and told["message"].endswith(".")
        assert (look.weight, look.candidate) == (20, second)
    events = place.world.api.items("Event", place.namespace)
    assert {event["reason"] for event in events} >= {"CommandRefused", "RolloutStarted", "WeightRaised"}


def test_paused_raises_nothing_but_still_takes_a_regression_back(place: Place) -> None:
    rollout, analysis = a_rollout(20, 50, minDuration="60s", deadline="120s"), BY_EVIDENCE
    first = place.deploy(place.model("1", rollout=rollout, analysis=analysis))
    failing = a_server(place.world.image, failing=0.5)
    place.apply(place.model("2", runtime=failing, rollout=rollout, analysis=analysis))
    second = place.until_weight(20).candidate
    place.change({"paused": True})
    place.until("paused", lambda look: look.phase == "Paused")
    place.command(f"advance:{second}")
    place.stays(5, lambda look: look.weight == 20)
    with place.requests(60):
        look = place.until("rolled back", lambda look: bool(look.aborted) and not look.candidate)
    assert look.aborted["revision"] == second
    assert look.aborted["reason"] in {"Regressed", "ErrorRateTooHigh"}
    assert place.route_of(second) == [20, 0] and place.weights() == {first: 100}


def test_paused_lets_no_new_candidate_begin_until_it_is_taken_away(place: Place) -> None:
    first = place.deploy(place.model("1"))
    place.apply(place.model("2", paused=True))
    look = place.until("paused", lambda look: look.phase == "Paused")
    place.stays(4, lambda look: look.candidate == "" and look.stable == first)
    assert look.condition("Available")[0] == "True"
    place.apply(place.model("2", paused=False))
    assert place.until_stable().stable != first
