"""The tables of the specification in their short form, and what they are made of."""

from importlib import import_module
from math import inf

import numpy as np
import pytest

from benchmarks.__main__ import TABLES
from benchmarks.agreement import Cell, Comparison, Row, within_bound
from benchmarks.latency_table import BOUNDS
from benchmarks.pictures import Curve, Panel, curves
from benchmarks.result import Result
from benchmarks.traffic import Traffic, batches, blocks, share_slower
from benchmarks.vectorised import Block
from benchmarks.watchers import EveryMinute, first_seconds


@pytest.mark.parametrize("name", TABLES)
def test_the_short_form_agrees_with_the_specification(name: str) -> None:
    module = import_module(f"benchmarks.{name}")
    result: Result = module.measure(module.QUICK)
    assert [target for target in result.targets if not target.met] == []


def a_block(bad: float, total: float) -> Block:
    each = (np.array([bad]), np.array([total]), np.array([0.0]), np.array([100.0]))
    return Block(x_canary=each[0], n_canary=each[1], x_stable=each[2], n_stable=each[3])


def minutes(failures: int, counts: list[tuple[float, float]]) -> list[bool]:
    """What the rule says after each minute, all of whose requests came in its first block."""
    rule, said = EveryMinute(failures, 1), []
    for bad, total in counts:
        for block in (a_block(bad, total), *[a_block(0, 0)] * 3):
            spoke = rule.after(block)
        said.append(bool(spoke[0]))
    return said


def test_a_rival_counts_failed_minutes_and_never_forgets_them() -> None:
    assert minutes(2, [(2, 100), (0, 100), (0, 100), (2, 100)]) == [False, False, False, True]


def test_99_per_cent_of_success_are_enough_for_a_rival_and_no_request_is_not() -> None:
    assert minutes(1, [(1, 100), (1, 99)]) == [False, True]
    assert minutes(1, [(0, 0)]) == [True]


class Third:
    """Speaks up at its third block, in every other run."""

    def __init__(self) -> None:
        self.seen = 0

    def after(self, block: Block) -> np.ndarray:
        self.seen += 1
        every_other: np.ndarray = np.arange(block.x_canary.size) % 2 == 0
        return every_other & (self.seen == 3)


def test_the_first_time_counts_and_silence_is_infinite() -> None:
    drawn = blocks(np.random.default_rng(1), [Traffic(rps=1, weight=0.5, stable=0, canary=0)], 4, 10)
    late = Third()
    found = first_seconds(drawn, {"third": Third(), "late": late}, {"late": 2})
    assert list(found["third"]) == [45, inf, 45, inf]
    assert not np.isfinite(found["late"]).any()
    assert late.seen == 2


def test_traffic_has_the_means_that_were_asked_for() -> None:
    cells = [Traffic(rps=10, weight=0.2, stable=0.01, canary=0.5), Traffic(rps=100, weight=0.5, stable=0, canary=1)]
    drawn = list(blocks(np.random.default_rng(1), cells, 50, 100))
    means = {
        name: np.mean([getattr(block, name) for block in drawn], axis=0).reshape(2, 50).mean(axis=1)
        for name in ("x_canary", "n_canary", "x_stable", "n_stable")
    }
    assert means["n_canary"] == pytest.approx([30, 750], rel=0.02)
    assert means["x_canary"] == pytest.approx([15, 750], rel=0.02)
    assert means["n_stable"] == pytest.approx([120, 750], rel=0.02)
    assert means["x_stable"] == pytest.approx([1.2, 0], rel=0.05)


def test_batches_make_up_all_runs() -> None:
    assert batches(24, 50) == [20, 20, 10]
    assert batches(1000, 3) == [1, 1, 1]


def test_simulated_answers_have_the_specified_percentile() -> None:
    assert share_slower(0.1) == pytest.approx(0.5)
    assert share_slower(0.404) == pytest.approx(0.01, rel=0.01)
    assert share_slower(0.2, slowdown=2) == pytest.approx(0.5)
    assert (share_slower(0), share_slower(BOUNDS[-1])) == (1, 0)


def seconds(*some: float) -> np.ndarray:
    return np.array(some)


def test_medians_agree_within_a_fifth_or_one_block() -> None:
    for wanted, median, agrees in (
        ("30", 45.0, True),
        ("30", 46.0, False),
        ("1000", 1200, True),
        ("1000", 1201, False),
    ):
        assert Cell.of_seconds(wanted, seconds(*[median] * 9), runs=9).agrees is agrees


def test_a_smaller_sample_may_be_off_by_its_own_error() -> None:
    spread = seconds(*range(0, 2000, 100))
    assert not Cell.of_seconds("600", spread, runs=20).agrees
    assert Cell.of_seconds("600", spread, runs=1000).agrees
    assert not Cell.of_seconds("150", spread, runs=1000).agrees


def test_a_share_agrees_within_three_errors_of_two_samples() -> None:
    found = seconds(*[60] * 40, *[inf] * 60)
    assert Cell.of_seconds("(42%)", found, runs=1000) == Cell(wanted="(42%)", found="(40%)", agrees=True)
    assert not Cell.of_seconds("(10%)", found, runs=1000).agrees
    assert not Cell.of_seconds("-", found, runs=1000).agrees
    assert not Cell.of_seconds("60", found, runs=100).agrees
    assert Cell.of_seconds("> 14400", found, runs=1000).agrees


def test_what_came_nearly_never_is_a_dash() -> None:
    assert Cell.of_seconds("-", seconds(*[inf] * 1000), runs=1000).found == "-"
    assert Cell.of_seconds("-", seconds(15, *[inf] * 999), runs=1000) == Cell(wanted="-", found="-", agrees=True)


def test_false_alarms_stay_within_their_bound_and_three_errors() -> None:
    assert within_bound(0.023, 0.01, 500)
    assert not within_bound(0.024, 0.01, 500)
    assert not Cell.of_bounded(0, np.array([True] * 3 + [False] * 97), 0.0).agrees


def test_a_row_names_what_is_off_and_the_target_is_missed() -> None:
    cells = (Cell(wanted="15", found="15", agrees=True), Cell(wanted="30", found="90", agrees=False))
    compared = Comparison(title="engine", labels=("rps",), rows=[Row(labels=("10",), cells=cells)])
    assert compared.table().rows == (("10", "15 / 30", "15 / 90", "**no**: 90"),)
    assert (compared.target().measured, compared.target().met) == ("1 of 2", False)


def test_a_picture_is_the_same_bytes_again_and_knows_gaps() -> None:
    def drawn(*y: float) -> str:
        panel = Panel(title="a", curves=(Curve(label="engine", x=(1, 10, 100), y=y),), limit=1)
        return curves("a", "b", [panel], x="x", y="y", linear_to=1).svg

    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    assert drawn(1, inf, 3) != drawn(1, 2, 3)
    assert "engine" in drawn(1, 2, 3)
