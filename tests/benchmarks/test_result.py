"""Results as pages."""

from datetime import UTC, datetime

import pytest

from benchmarks.machine import changed_files
from benchmarks.result import Circumstances, Picture, Result, Spread, Table, Target, page

HERE = Circumstances(
    cores=2,
    processor="Some CPU",
    memory_gib=23.9,
    kernel="Linux 6.1",
    load_before=(1.0, 2.0, 3.0),
    commit="abc",
    changed=(),
    command="python -m benchmarks detection",
    began=datetime(2026, 11, 22, 3, 0, tzinfo=UTC),
    seconds=61.2,
)


def test_a_page_says_where_when_and_how_it_was_measured() -> None:
    told = page(Result(title="T", measured="M"), HERE)
    for fact in ("2 cores", "24 GiB", "Linux 6.1", "1.00 2.00 3.00", "`abc`", "2026-11-22 03:00 UTC, 61 s"):
        assert fact in told
    assert "`python -m benchmarks detection`" in told
    assert "uncommitted" not in told


def test_a_page_owns_up_to_changes_that_no_commit_has() -> None:
    changed = Circumstances(**{**{name: getattr(HERE, name) for name in HERE.__slots__}, "changed": ("operator/x",)})
    assert "`abc`, and uncommitted changes in operator/x" in page(Result(title="T", measured="M"), changed)


def test_a_missed_target_stands_out() -> None:
    missed, met = Target.at_most("seconds", 4, 4.5, " s"), Target.none("undone", 0, 10)
    result = Result(title="T", measured="M", targets=(missed, met))
    assert not result.met
    assert "| seconds | ≤ 4 s | 4.5 s | **no** |" in page(result, HERE)
    assert "| undone | none | 0 of 10 | yes |" in page(result, HERE)


def test_a_target_is_met_up_to_its_limit() -> None:
    assert Target.at_most("requests", 30, 30.0, "").met
    assert not Target.at_most("requests", 0, 0.1, "").met


def test_a_cell_cannot_break_the_table() -> None:
    table = Table(title="X", head=("a",), rows=(("one|two",),))
    assert "| one¦two |" in page(Result(title="T", measured="M", tables=(table,)), HERE)


def test_a_table_with_a_missing_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="every row needs 2 cells"):
        Table(title="X", head=("a", "b"), rows=(("1",),))


def test_a_picture_stands_on_the_page_with_what_it_shows() -> None:
    picture = Picture(name="alarms", caption="False alarms.", svg="<svg/>")
    told = page(Result(title="T", measured="M", pictures=(picture,)), HERE)
    assert "![False alarms.](alarms.svg)" in told


def test_a_spread_is_median_least_and_most() -> None:
    assert Spread.of([3, 1, 2, 10]).cells(1) == ("2.5", "1.0", "10.0")


def test_nothing_measured_is_an_error_and_no_zero() -> None:
    with pytest.raises(ValueError, match="nothing to summarise"):
        Spread.of([])


def test_what_benchmarks_write_is_no_change_of_what_was_measured() -> None:
    porcelain = " M operator/a.py\n?? benchmarks/results/detection.md\nR  demo/b.py -> demo/c.py\n"
    assert changed_files(porcelain) == ("demo/c.py", "operator/a.py")
    assert changed_files("?? benchmarks/load.py\n M benchmarks/audit.py\n") == ("benchmarks",)
