"""Many rollouts together, and how they are told."""

import json
from datetime import timedelta

import pytest

from modelrollout.domain.model_deployment import Pause, RolloutPlan, Step
from modelrollout.domain.safeguards import Estimate, Overdispersion
from modelrollout.simulate.rollout import Ending
from modelrollout.simulate.scenario import Lognormal, Scenario, Version
from modelrollout.simulate.study import Runs, Spread, Study, simulate, study, upper_bound
from modelrollout.simulate.tables import Format, Page, Table
from modelrollout.simulate.told import told
from tests.simulate.specs import by_errors, deployment, scenario

HALF = Version(error_rate=0.5, latency=Lognormal())


@pytest.fixture(scope="module")
def found() -> Study:
    return study(by_errors(), scenario(0.5), worse=(HALF,), runs=5, seed=2)


def test_the_number_of_processes_changes_nothing() -> None:
    alone, together = (simulate(by_errors(), scenario(0.02), runs=4, seed=3, jobs=jobs) for jobs in (1, 2))
    assert alone == together
    assert len({run.seconds for run in alone}) > 1


def test_each_number_of_runs_begins_with_the_same_ones() -> None:
    assert simulate(by_errors(), scenario(), runs=1) == simulate(by_errors(), scenario(), runs=2)[:1]


@pytest.mark.parametrize("wrong", [{"runs": 0}, {"jobs": 0}])
def test_no_runs_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="write 1 or more"):
        simulate(by_errors(), scenario(), **wrong)


def test_healthy_rollouts_are_seldom_undone_and_bad_ones_always(found: Study) -> None:
    assert found.same.ended(Ending.PROMOTED) == 1
    (worse,) = found.worse
    assert worse.ended(Ending.ROLLED_BACK) == 1
    assert worse.reasons(Ending.ROLLED_BACK) == {"regression errors": 5}
    assert found.in_all is None, "the expected candidate fails, too"
    assert [step.weight for step in found.steps] == []


@pytest.mark.parametrize(
    ("base", "bad", "rps", "seconds"), [(0.01, 0.02, 100, 240), (0.001, 0.005, 100, 150), (0.001, 0.5, 1, 60)]
)
def test_times_to_rollback_are_those_of_the_analysis(base: float, bad: float, rps: float, seconds: float) -> None:
    """Measured with other code at 20 %, with independent requests and without waiting for scrapes."""
    long = RolloutPlan(steps=(Step(weight=20, min_duration=timedelta(hours=1)),))
    stable, candidate = (Version(error_rate=rate, latency=None) for rate in (base, bad))
    there = Scenario(requests_per_second=rps, stable=stable, candidate=candidate)
    independent = by_errors(rollout=long, overdispersion=Overdispersion(mode=Estimate.NONE))
    found = Runs(scenario=there, runs=simulate(independent, there, runs=240)).seconds_to_rollback
    assert found is not None
    assert seconds * 0.8 <= found.median <= seconds * 1.2 + 15


def test_a_candidate_like_stable_is_simulated_once() -> None:
    like = study(by_errors(), scenario(0.005), runs=2)
    assert like.expected is like.same
    assert [step.weight for step in like.steps] == [10, 30, 60, 100]


def test_the_middle_is_a_value_that_occurred() -> None:
    assert Spread.of([3, 1, 2, 4, 5, 6, 7, 8, 9, 10]) == Spread(median=5, p90=9)
    assert Spread.of([7]) == Spread(median=7, p90=7)
    assert Spread.of([]) is None


def test_none_of_many_bounds_the_rate_by_the_rule_of_three() -> None:
    assert upper_bound(0, 1000) == pytest.approx(0.003, abs=1e-5)
    assert upper_bound(5, 5) == pytest.approx(1)


def test_people_read_three_tables(found: Study) -> None:
    text = told(found).as_(Format.TEXT)
    assert text.startswith("sentiment: 10 %, 30 %, 60 %, at 100 requests a second\n")
    assert "How long (the candidate: errors 50 %)\n" in text
    assert "Of the 0 % that were promoted; 100 % rolled back (regression errors)." in text
    assert "rolled back                                  0     0 %" in text
    assert "promised is at most alpha = 1 %" in text
    line = next(line for line in text.splitlines() if line.startswith("  errors 50 % "))
    assert line.split()[3:] == ["100", "%", "0", "%", "0", "%", *line.split()[9:]]


def test_markdown_has_the_same_numbers(found: Study) -> None:
    page = told(found).as_(Format.MARKDOWN)
    assert "## What it catches\n\n| candidate | rolled back |" in page
    assert "| errors 50 % | 100 % | 0 % | 0 % |" in page


def test_machines_read_numbers(found: Study) -> None:
    document = json.loads(told(found).as_(Format.JSON))
    (row,) = document["whatItCatches"]
    assert (row["rolledBack"], row["candidate"]["errorRate"]) == (1, 0.5)
    assert 0 < row["secondsToRollback"]["median"] <= row["secondsToRollback"]["p90"]
    assert document["howOftenWrong"]["rolledBack"] == 0
    assert document["howOftenWrong"]["rolledBackBelow"] == pytest.approx(0.45, abs=0.01)
    assert document["scenario"]["requestsPerSecond"] == 100


def test_what_the_numbers_rest_on_is_said() -> None:
    ladder = RolloutPlan(steps=(Step(weight=20, pause=Pause()),))
    page = told(study(deployment(rollout=ladder), scenario(latency=None, approve_after=90.0), runs=1))
    assert page.remarks[1:] == (
        "A person lets 20 % pass 1m30s after being waited for.",
        "Without latency series latency is never proven, so the deadline decides each step.",
    )


def test_a_bar_in_a_cell_does_not_break_the_table() -> None:
    table = Table(title="t", head=("a",), rows=(("x|y",),))
    page = Page(title="p", tables=(table,), document={})
    assert page.as_(Format.MARKDOWN).endswith("| a |\n| --- |\n| x\\|y |\n")
