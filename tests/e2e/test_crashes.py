"""The operator is killed in the middle of a rollout, at the worst instants, and another goes on."""

import pytest

from tests.e2e.place import Place
from tests.e2e.specs import BY_EVIDENCE, Document, a_rollout

SEEN_AT_DEATH = {"before-intent": (20, 20), "after-intent": (50, 20), "after-route": (50, 50)}
"""The candidate's weight as decided, and on the route."""


@pytest.mark.parametrize("instant", SEEN_AT_DEATH)
def test_a_killed_operator_repeats_no_step_and_skips_none(empty_place: Place, instant: str) -> None:
    place = empty_place
    place.operators.on_host(crash=f"{instant}:50")
    model: Document = {"rollout": a_rollout(20, 50), "analysis": BY_EVIDENCE}
    first = place.deploy(place.model("1", **model))
    with place.requests(50) as seen:
        place.apply(place.model("2", **model))
        assert place.operators.died_by_its_own_hand(60), "the instant never came"
        look = place.look()
        second = look.candidate
        place.until_so(f"as it was {instant}", lambda: _seen(place, second) == SEEN_AT_DEATH[instant], seconds=5)
        place.operators.on_host()
        look = place.until("promoted", lambda look: look.stable == second and look.is_stable())
        assert [record.status for record in seen() if record.failed] == []
    assert place.route_of(second) == [20, 50, 100]
    assert _decided_weights(place, second) == [0, 20, 50, 100]
    mine = [action for action, revision in look.decisions if revision == second]
    assert mine == ["Start", "Advance", "Advance", "Promote"]
    assert first != second


def _seen(place: Place, revision: str) -> tuple[int, int]:
    return place.look().weight, place.weights().get(revision, 0)


def _decided_weights(place: Place, revision: str) -> list[int]:
    """Each weight that was ever committed for a revision, in order."""
    told: list[int] = []
    for change in place.happened():
        rollout = change.live.get("status", {}).get("rollout", {})
        if change.kind == "ModelDeployment" and rollout.get("candidate") == revision:
            weight = rollout.get("weight", 0)
            told += [weight] if told[-1:] != [weight] else []
    return told
