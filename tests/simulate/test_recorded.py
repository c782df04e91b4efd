"""Counts that somebody wrote down are judged as samples of a Prometheus are."""

import json
from pathlib import Path
from random import Random

import pytest

from modelrollout.domain.judgement import Action
from modelrollout.simulate.chance import binomial
from modelrollout.simulate.deployment_file import Unreadable
from modelrollout.simulate.recorded import Count, Interval, judge_recorded, read_recorded, retell_recorded
from modelrollout.simulate.tables import Format
from tests.domain.test_parse_metrics import QUALITY
from tests.simulate.specs import by_errors, deployment
from tests.simulate.test_own_metrics import measured

HEAD = "seconds,weight,stable,stable_bad,candidate,candidate_bad\n"


def intervals(rate: float, *, seed: int = 1, weights: tuple[int, ...] = (10, 30), each: int = 12) -> list[Interval]:
    """At 100 requests a second, 15 s each."""
    rng = Random(seed)

    def count(weight: int, rate: float) -> Count:
        return Count(requests=15 * weight, bad=binomial(rng, 15 * weight, rate))

    return [
        Interval(seconds=15, weight=weight, stable=count(100 - weight, 0.005), candidate=count(weight, rate))
        for weight in weights
        for _ in range(each)
    ]


def test_a_recorded_regression_is_found_at_its_poll() -> None:
    retold = retell_recorded(by_errors(), intervals(0.1))
    assert retold.stopped is not None
    assert (retold.stopped.weight, retold.stopped.judgement.reason) == (10, "regression")
    assert retold.stopped.at <= 61
    assert "errors" in retold.stopped.judgement.sentence


def test_a_recorded_healthy_rollout_goes_through_every_step() -> None:
    retold = retell_recorded(by_errors(), intervals(0.005, each=13))
    assert retold.stopped is None
    assert [turn.weight for turn in retold.turns if turn.judgement.action is Action.ADVANCE] == [10, 30]
    assert retold.evidence is not None
    assert retold.evidence.requests.n_canary == 13 * 15 * (10 + 30), "the last interval counts, too"


def test_what_was_recorded_is_read_from_both_kinds_of_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{HEAD}15,10,1350,7,150,1\n15,10,1340,5,160,0\n")
    rows = [
        {"seconds": 15, "weight": 10, "stable": 1350, "stable_bad": 7, "candidate": 150, "candidate_bad": 1},
        {"seconds": 15, "weight": 10, "stable": 1340, "stable_bad": 5, "candidate": 160, "candidate_bad": 0},
    ]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    found = read_recorded(str(tmp_path / "a.csv"))
    assert found == read_recorded(str(tmp_path / "a.json"))
    assert found[1] == Interval(
        seconds=15, weight=10, stable=Count(requests=1340, bad=5), candidate=Count(requests=160, bad=0)
    )


def test_recorded_latency_is_compared(tmp_path: Path) -> None:
    slow = "".join("15,50,750,3,750,3,700,740,400,700\n" for _ in range(20))
    head = HEAD.strip() + ",stable_le_0.1,stable_le_0.3,candidate_le_0.1,candidate_le_0.3\n"
    (tmp_path / "a.csv").write_text(head + slow)
    retold = retell_recorded(deployment(), read_recorded(str(tmp_path / "a.csv")))
    assert retold.stopped is not None
    assert retold.stopped.judgement.culprit == "latency"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        (HEAD + "15,10,1350,7,150,\n", "row 1: candidate_bad is missing"),
        (HEAD + "15,10,1350,7,150,1\nx,10,1,0,1,0\n", "row 2, seconds: x is no number"),
        (HEAD + "90,10,1350,7,150,1\n", "row 1, seconds: 90 is not possible"),
        (HEAD + "15,110,1350,7,150,1\n", "row 1, weight: 110 is not possible"),
        (HEAD + "15,10,1350,7,150,151\n", "row 1, candidate: counts do not fit"),
        (HEAD + "15,10,1350,7.5,150,1\n", "row 1, stable_bad: 7.5 is no whole number"),
        (HEAD.strip() + ",stable_le_x\n15,10,1350,7,150,1,3\n", "stable_le_x names no bound"),
        (HEAD.strip() + ",stable_le_1\n15,10,1350,7,150,1,3\n", "latency columns differ"),
        ("[1]", "is no list of objects"),
        ("[", "is not JSON"),
    ],
)
def test_what_cannot_be_read_is_told_by_row_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(Unreadable, match=message):
        read_recorded(str(path))


def test_a_metric_without_columns_is_left_out_and_that_is_said() -> None:
    page = judge_recorded(measured(QUALITY), intervals(0.1))
    assert "Left out, for the file has no columns for them: quality." in page.remarks
    assert page.document == judge_recorded(by_errors(), intervals(0.1)).document


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(Unreadable, match=r"no\.csv: cannot be read"):
        read_recorded("no.csv")


def test_people_and_machines_read_the_decisions() -> None:
    page = judge_recorded(by_errors(), intervals(0.1))
    text = page.as_(Format.TEXT)
    assert "It would have been rolled back." in text
    assert "Rollback   Rolled back at 10 %: `errors`" in text
    document = json.loads(page.as_(Format.JSON))
    assert document["rolledBack"] is True
    assert document["decisions"][-1]["action"] == "Rollback"
