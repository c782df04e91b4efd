"""Kubernetes quantities."""

import pytest

from modelrollout.render.quantities import amount, same


@pytest.mark.parametrize(
    ("one", "other"),
    [("1000m", "1"), ("1Gi", "1073741824"), ("1e3", "1k"), (1, "1"), ("0.5", "500m"), (".5", "500m"), ("1E", "1000P"), ("12e6", "12M"), ("100n", "0.1u"), ("+1", "1")],
)  # fmt: skip
def test_equal_amounts_are_the_same(one: str | int, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(("one", "other"), [("1Gi", "1G"), ("1m", "1M"), ("1", "2"), ("1", "x"), ("x", "y"), ("", "0")])
def test_others_are_not(one: str, other: str) -> None:
    assert not same(one, other)


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1GiB", "0x10", "1e9999", "NaN", "1_0"])
def test_what_is_no_quantity(text: str) -> None:
    assert amount(text) is None
