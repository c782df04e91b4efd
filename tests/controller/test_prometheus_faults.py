"""What happens when Prometheus is stopped, slow, wrong, empty or late: the table of docs/guides/prometheus.md, row by row.

Whole walks against a real HTTP server, in simulated time. Each row: neither forward nor back, the message, and that it
goes on by itself once Prometheus is right again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.controller.rollout_world import Rollout, a_rollout, at_first_step
from tests.measure.http_server import matrix
from tests.repository.tree import ROOT

Change = Callable[[Rollout], None]


def server(**changes: object) -> Change:
    """The answer, whatever is asked."""

    def change(rollout: Rollout) -> None:
        for name, value in {"answer": None, **changes}.items():
            setattr(rollout.script, name, value)

    return change


def metrics(**changes: object) -> Change:
    """An answer that is one, with other samples in it."""

    def change(rollout: Rollout) -> None:
        for name, value in changes.items():
            setattr(rollout.metrics, name, value)

    return change


def stale(rollout: Rollout) -> None:
    rollout.metrics.until = rollout.now


def ahead(seconds: float) -> Change:
    def change(rollout: Rollout) -> None:
        rollout.metrics.skew = seconds
        rollout._tick()

    return change


def heal(rollout: Rollout) -> None:
    rollout.script.status, rollout.script.hang, rollout.script.dead = 200, 0.0, False
    rollout.script.answer = rollout.metrics.answer
    metrics(until=None, skew=0.0, value="")(rollout)
    rollout._tick()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    breaks: Change
    reason: str
    """Of the condition AnalysisHealthy, once it holds."""
    told: str
    """In the message of that condition."""
    settings: dict[str, object] = field(default_factory=dict)


ERROR, NO_DATA = "ProviderError", "NoData"
UNFRESH = "No fresh requests of the candidate are seen in the metrics."
ROWS = {
    "stopped": Row(breaks=server(dead=True), reason=ERROR, told="cannot be reached; check its address and network"),
    "slow": Row(
        breaks=server(hang=30.0),
        reason=ERROR,
        told="does not answer in time; look at its load",
        settings={"read_seconds": 0.5, "deadline_seconds": 1.0},
    ),
    "503": Row(breaks=server(status=503), reason=ERROR, told="answered 503; look at its log"),
    "429": Row(breaks=server(status=429), reason=ERROR, told="answered 429: too busy; look at its load and limits"),
    "401": Row(breaks=server(status=401), reason=ERROR, told="answered 401; check the operator's credentials"),
    "422": Row(breaks=server(status=422), reason=ERROR, told="refused the query (422); look at its limits"),
    "another server": Row(breaks=server(body=b"<html>"), reason=ERROR, told="gave an answer that is not Prometheus'"),
    "wrong type": Row(
        breaks=server(body=b'{"status":"success","data":{"resultType":"vector","result":[]}}'),
        reason=ERROR,
        told="answered with no matrix; report this",
    ),
    "partial": Row(
        breaks=server(body=matrix(warnings=["store 3 is down"])),
        reason=ERROR,
        told="answered in part only (warnings); look at its stores",
    ),
    "huge": Row(
        breaks=server(body=matrix(*(({"service": f"{i}"}, [[0, "1"]]) for i in range(2000)))),
        reason=ERROR,
        told="answered with more than 50000 bytes",
        settings={"most_bytes": 50_000},
    ),
    "clock ahead": Row(breaks=ahead(90.0), reason=ERROR, told="has a clock that differs from the operator's"),
    "clock behind": Row(breaks=ahead(-90.0), reason=ERROR, told="has a clock that differs from the operator's"),
    "NaN": Row(breaks=metrics(value="NaN"), reason=NO_DATA, told=UNFRESH),
    "empty": Row(breaks=server(body=matrix()), reason=NO_DATA, told=UNFRESH),
    "stale": Row(breaks=stale, reason=NO_DATA, told=UNFRESH),
}


@pytest.mark.parametrize("name", ROWS)
async def test_neither_forward_nor_back_and_on_by_itself_once_it_is_right_again(name: str) -> None:
    row = ROWS[name]
    with a_rollout(**row.settings) as rollout:
        candidate = await at_first_step(rollout)
        await rollout.pass_time(15.0)
        row.breaks(rollout)
        await rollout.until("Holding", seconds=100.0)
        status, reason, message = rollout.condition("AnalysisHealthy")
        assert (status, reason) == ("Unknown", row.reason)
        assert row.told in message
        assert rollout.condition("Stalled")[0] == "False"
        writes = rollout.status_writes()
        await rollout.pass_time(60.0)  # beyond the step's deadline
        assert (rollout.weight, rollout.status["rollout"]["candidate"]) == (20, candidate)
        assert rollout.decided() == ["Start", "Promote", "Start"]
        assert rollout.status_writes() - writes <= 2, "a checkpoint and no more: what is told does not change"
        heal(rollout)
        await rollout.until("Stable", seconds=300.0)
        assert rollout.status["rollout"]["stable"] == candidate


@pytest.mark.parametrize("name", [name for name in ROWS if name != "slow"])
async def test_a_bad_candidate_is_taken_back_when_it_can_be_seen_again_and_not_before(name: str) -> None:
    row = ROWS[name]
    with a_rollout(**row.settings) as rollout:
        candidate = await at_first_step(rollout, bad=0.0)
        row.breaks(rollout)
        rollout.gateway.bad[candidate] = 0.5
        await rollout.pass_time(70.0)
        assert (rollout.weight, rollout.status["rollout"]["candidate"]) == (20, candidate)
        heal(rollout)
        await rollout.until("RolledBack", seconds=60.0)
        assert rollout.status["rollout"]["aborted"]["reason"] == "Regressed"


async def test_samples_that_come_a_minute_late_are_waited_for_where_the_provider_has_that_lag() -> None:
    with a_rollout(lag=60.0) as rollout:
        rollout.metrics.late = 55.0
        candidate = await at_first_step(rollout)
        await rollout.until("Stable", seconds=600.0)
        assert rollout.status["rollout"]["stable"] == candidate
        assert rollout.decided().count("Advance") == 2


async def test_a_regression_in_samples_that_come_a_minute_late_is_found() -> None:
    with a_rollout(lag=60.0) as rollout:
        rollout.metrics.late = 55.0
        await at_first_step(rollout, bad=0.5)
        await rollout.until("RolledBack", seconds=100.0)


async def test_samples_that_come_later_than_the_lag_says_are_missing() -> None:
    with a_rollout() as rollout:
        rollout.metrics.late = 55.0
        await at_first_step(rollout)
        await rollout.until("Holding", seconds=100.0)
        assert rollout.condition("AnalysisHealthy")[1] == NO_DATA
        await rollout.pass_time(60.0)
        assert rollout.weight == 20


async def test_a_provider_that_nobody_knows_stops_a_rollout_before_it_begins_and_heals_by_itself() -> None:
    with a_rollout(name="mimir") as rollout:
        rollout.apply("1", provider="mimir")
        await rollout.until("Stable")
        rollout.apply("2", provider="mymir")
        await rollout.until("Degraded")
        assert rollout.condition("Stalled")[1] == "UnknownProvider"
        assert "has no metrics provider mymir. Write one of: mimir." in rollout.condition("Ready")[2]
        assert rollout.condition("Available")[0] == "True"
        await rollout.pass_time(60.0)
        assert rollout.script.asked == [] and rollout.decided() == ["Start", "Promote"]
        rollout.apply("2", provider="mimir")
        await rollout.until("Stable", seconds=300.0)
        assert rollout.decided().count("Advance") == 2


def test_each_row_of_the_guide_is_here() -> None:
    """The first column of its table, in its order; what stands in brackets there is for people."""
    guide = (Path(ROOT) / "docs" / "guides" / "prometheus.md").read_text(encoding="utf-8")
    table = guide.partition("## When Prometheus is not as it should be")[2].partition("\n*Walks*")[0]
    rows = [re.sub(r" \(.*\)", "", line.split("|")[1]).strip() for line in table.splitlines() if line.startswith("|")]
    assert rows[2:] == list(ROWS)
