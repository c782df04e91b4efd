"""What counts as holding through a fault, and the answers that the stand-in falsifies."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.arena import Ending
from benchmarks.false_prometheus import FALSIFICATIONS
from benchmarks.faults import FAULTS, Fault
from benchmarks.load import Request
from benchmarks.provider import Provider
from benchmarks.provider_faults import WEIGHT, Crashed, Seen, told, with_failures
from demo.status import Condition, Status
from modelrollout.domain.conditions import Reason

NO_FRESH = Condition(status="Unknown", reason="NoData", message=Reason.NO_DATA.meaning)
TESTED = Status(is_current=True, phase="Progressing", weight=WEIGHT, stable_version="v0")
HOLDING = dataclasses.replace(TESTED, phase="Holding", analysis_healthy=NO_FRESH)
PROMOTED = dataclasses.replace(TESTED, phase="Stable", weight=0, stable_version="v1")
CRASHED = Crashed(ending=Ending.ROLLED_BACK, reason="CrashLoop", seconds=20, message="")


def a_fault(reason: str = "NoData") -> Fault:
    return Fault(what="it fails", happens=Provider.stop, reason=reason, says="No fresh requests" if reason else "")


def seen(*during: Status, fault: Fault | None = None, went_on_after: float | None = 9.0) -> Seen:
    found = Seen.of(
        fault or a_fault(),
        TESTED,
        [(status, 100.0 + 5 * number) for number, status in enumerate(during, start=1)],
        began=100.0,
        version="v1",
    )
    return dataclasses.replace(found, went_on_after=went_on_after)


def test_a_rollout_that_holds_says_why_and_goes_on_is_as_wanted() -> None:
    held = seen(TESTED, HOLDING)
    assert held.as_wanted
    assert (held.weights, held.held_after) == ((WEIGHT,), 10)


@pytest.mark.parametrize(
    "wrong",
    [
        seen(TESTED),
        seen(HOLDING, dataclasses.replace(HOLDING, weight=50), HOLDING),
        seen(HOLDING, PROMOTED),
        seen(HOLDING, went_on_after=None),
        seen(dataclasses.replace(HOLDING, analysis_healthy=dataclasses.replace(NO_FRESH, reason="ProviderError"))),
        seen(dataclasses.replace(HOLDING, analysis_healthy=dataclasses.replace(NO_FRESH, message="Something."))),
        dataclasses.replace(seen(HOLDING), failed=1),
    ],
    ids=["no hold", "moved", "promoted", "never goes on", "another reason", "another message", "a request failed"],
)
def test_anything_else_is_not(wrong: Seen) -> None:
    assert not wrong.as_wanted
    assert not told([seen(HOLDING), wrong], CRASHED).met


def test_a_fault_that_is_none_may_not_keep_a_rollout() -> None:
    fault = a_fault(reason="")
    later = dataclasses.replace(TESTED, weight=50)
    assert seen(TESTED, later, PROMOTED, fault=fault, went_on_after=0.0).as_wanted
    assert seen(TESTED, later, fault=fault).as_wanted
    assert not seen(TESTED, fault=fault).as_wanted
    assert not seen(HOLDING, later, fault=fault).as_wanted
    assert not seen(TESTED, later, fault=fault, went_on_after=None).as_wanted


def test_users_failures_count_while_the_fault_and_its_end_last() -> None:
    requests = [Request(due=at, sent=at, answered=at, status=500, version="v0") for at in (9, 10, 20, 21)]
    assert with_failures(seen(HOLDING), requests, 10, 20).failed == 2


@pytest.mark.parametrize(
    ("ending", "reason", "as_wanted"),
    [
        (Ending.ROLLED_BACK, "CrashLoop", True),
        (Ending.ROLLED_BACK, "ReadyPodsLost", True),
        (Ending.ROLLED_BACK, "Regressed", False),
        (None, "", False),
    ],
)
def test_a_crash_is_to_be_seen_in_the_pods(ending: Ending | None, reason: str, as_wanted: bool) -> None:
    assert Crashed(ending=ending, reason=reason, seconds=1, message="").as_wanted is as_wanted


def test_every_fault_that_is_to_be_told_has_a_reason_of_the_condition() -> None:
    known = {str(Reason.PROVIDER_ERROR), str(Reason.NO_DATA), ""}
    assert {fault.reason for fault in FAULTS} == known
    assert len({fault.what for fault in FAULTS}) == len(FAULTS)


MATRIX = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [{"metric": {"code": "200"}, "values": [[100.0, "1"], [101.0, "2"]]}],
    },
}


def falsified(name: str) -> dict[str, Any]:
    answer = FALSIFICATIONS[name].told(MATRIX)
    document: dict[str, Any] = json.loads(json.dumps(answer))
    return document


def rows(document: dict[str, Any]) -> list[Any]:
    return [row.get("values", row.get("value")) for row in document["data"]["result"]]


@pytest.mark.parametrize(
    ("name", "true"),
    [
        ("nothing", lambda answer: answer == MATRIX),
        ("nan", lambda answer: rows(answer) == [[[100.0, "NaN"], [101.0, "NaN"]]]),
        ("empty", lambda answer: rows(answer) == [] and answer["data"]["resultType"] == "matrix"),
        ("vector", lambda answer: rows(answer) == [[101.0, "2"]] and answer["data"]["resultType"] == "vector"),
        ("in-part", lambda answer: answer["warnings"] and rows(answer) == rows(MATRIX)),
        ("clock-ahead", lambda answer: rows(answer) == [[[190.0, "1"], [191.0, "2"]]]),
        ("clock-behind", lambda answer: rows(answer) == [[[10.0, "1"], [11.0, "2"]]]),
    ],
)
def test_an_answer_is_falsified_in_its_one_way(name: str, true: Callable[[dict[str, Any]], bool]) -> None:
    before = json.dumps(MATRIX)
    assert true(falsified(name))
    assert json.dumps(MATRIX) == before


def test_who_asks_a_clock_that_is_wrong_is_answered_of_another_time() -> None:
    form = {"query": "up[60s]", "time": "200.000"}
    assert FALSIFICATIONS["clock-ahead"].question(form)["time"] == "110.000"
    assert FALSIFICATIONS["clock-behind"].question(form)["time"] == "290.000"
    assert FALSIFICATIONS["nothing"].question(form) == form
