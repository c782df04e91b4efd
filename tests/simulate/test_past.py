"""What is still known of rollouts that are over."""

from pathlib import Path
from typing import Any

import pytest

from modelrollout.simulate.deployment_file import Unreadable
from modelrollout.simulate.past import NOTHING_KEPT, Found, rollouts_of_file, rollouts_of_status
from modelrollout.simulate.retell import PastRollout, PastStep


def decision(minute: int, action: str, revision: str, weight: int = 0) -> dict[str, Any]:
    return {"time": f"2026-11-20T10:{minute:02}:00.000Z", "action": action, "revision": revision, "weight": weight}


def status(*decisions: dict[str, Any], stable: str = "a") -> dict[str, Any]:
    return {"status": {"rollout": {"stable": stable}, "decisions": list(decisions)}}


T0 = 1_795_168_800.0
"""2026-11-20T10:00:00Z."""


def step(weight: int, begun: int, ended: int) -> PastStep:
    return PastStep(weight=weight, begun=T0 + 60 * begun, ended=T0 + 60 * ended)


def test_each_weight_lasts_until_the_decision_that_left_it() -> None:
    found = rollouts_of_status(
        status(
            decision(0, "Start", "b"),
            decision(5, "Advance", "b", 10),
            decision(9, "Advance", "b", 30),
            decision(20, "Promote", "b", 100),
            decision(30, "Start", "c"),
            decision(33, "Advance", "c", 10),
            decision(34, "Rollback", "c", 30),
            stable="b",
        )
    )
    assert found.rollouts == (
        PastRollout(stable="b", candidate="c", steps=(step(10, 30, 33), step(30, 33, 34)), ending="rolled back"),
    )
    assert found.untold == ("b, promoted: which revision was stable is not kept; name it with --rollouts",)


def test_a_decision_that_says_what_was_stable_and_since_when_leaves_nothing_to_guess() -> None:
    def said(minute: int, action: str, revision: str, weight: int, *, since: int) -> dict[str, Any]:
        told = {"stable": "a" if revision == "b" else "b", "weightSince": f"2026-11-20T10:{since:02}:00.000Z"}
        return decision(minute, action, revision, weight) | told

    found = rollouts_of_status(
        status(
            decision(0, "Start", "b") | {"stable": "a"},
            said(5, "Advance", "b", 10, since=2),
            said(9, "WouldRollBack", "b", 30, since=6),
            said(12, "Advance", "b", 30, since=6),
            said(20, "Promote", "b", 100, since=14),
            decision(30, "Start", "c") | {"stable": "b"},
            said(34, "Rollback", "c", 10, since=31),
            stable="b",
        )
    )
    assert found.untold == ()
    assert found.rollouts == (
        PastRollout(stable="a", candidate="b", steps=(step(10, 2, 6), step(30, 6, 14)), ending="promoted", started=T0),
        PastRollout(stable="b", candidate="c", steps=(step(10, 31, 34),), ending="rolled back", started=T0 + 1800),
    )


def test_a_first_revision_was_compared_with_nothing() -> None:
    found = rollouts_of_status(status(decision(0, "Start", "a"), decision(2, "Promote", "a", 100)))
    assert found.untold == ("a, promoted: it never took a share of the requests",)


def test_after_a_promotion_its_revision_is_the_stable_one() -> None:
    found = rollouts_of_status(
        status(
            decision(0, "Promote", "b", 100),
            decision(1, "Start", "c"),
            decision(5, "Advance", "c", 50),
            decision(9, "Promote", "c", 100),
            stable="c",
        )
    )
    assert found.rollouts == (PastRollout(stable="b", candidate="c", steps=(step(50, 1, 5),), ending="promoted"),)
    assert found.untold == ("b, promoted at 2026-11-20T10:00:00.000Z: its beginning is not kept",)


def test_a_rollback_while_the_next_weight_was_being_prepared_is_of_the_same_step() -> None:
    found = rollouts_of_status(
        status(decision(0, "Start", "b"), decision(5, "Advance", "b", 10), decision(6, "Rollback", "b", 10))
    )
    assert found.rollouts[0].steps == (step(10, 0, 6),)


def test_a_rollout_that_runs_or_never_had_traffic_is_not_judged() -> None:
    found = rollouts_of_status(
        status(decision(0, "Start", "b"), decision(2, "Withdraw", "b", 0), decision(3, "Start", "c"))
    )
    assert found.rollouts == ()
    assert found.untold == ("b, withdrawn: it never took a share of the requests",)


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": {"decisions": [3, {"time": "x"}]}}])
def test_an_object_without_a_past_has_none(body: dict[str, Any]) -> None:
    assert rollouts_of_status(body) == Found(rollouts=(), untold=(NOTHING_KEPT,))


LIST = """\
- stable: a
  candidate: b
  steps:
  - {weight: 10, at: 2026-11-20T10:00:00Z}
  - {weight: 30, at: "2026-11-20T10:05:00+00:00"}
  ended: 2026-11-20T10:09:00Z
  ending: promoted
"""


def test_a_list_by_hand_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(LIST)
    assert rollouts_of_file(str(path)) == (
        PastRollout(stable="a", candidate="b", steps=(step(10, 0, 5), step(30, 5, 9)), ending="promoted"),
    )


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("- stable: a\n ", "-", r"\[0\]\.stable: is missing; name the revision"),
        ("weight: 30", "weight: 130", r"\[0\]\.steps\[1\]\.weight: 130 is above 99"),
        ("10:05", "11:05", r"\[0\]\.steps: .* does not rise in time"),
        ("at: 2026-11-20T10:00:00Z", "at: noon", r"steps\[0\]\.at: noon is no time"),
        (LIST, "[]", "has no rollouts"),
    ],
)
def test_a_list_that_cannot_be_is_told_by_its_field(tmp_path: Path, before: str, after: str, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(LIST.replace(before, after))
    with pytest.raises(Unreadable, match=message):
        rollouts_of_file(str(path))
