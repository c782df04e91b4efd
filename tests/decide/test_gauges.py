from math import exp, inf, log, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.decide.gauges import least_samples, log_sign, losses, mean_index, no_window_yet, window_added


def after(*differences: float | None, margin: float = 0.1) -> float:
    products = no_window_yet()
    for difference in differences:
        products = window_added(products, difference, margin=margin)
    return log_sign(products)


def test_nothing_is_held_against_a_canary_before_the_first_window() -> None:
    assert after() == pytest.approx(0.0)


def test_five_worse_windows_in_a_row_are_suspicious_and_nine_are_beyond_a_hundred() -> None:
    assert exp(after(*[0.2] * 4)) < 10 < exp(after(*[0.2] * 5))
    assert after(*[0.2] * 9) == pytest.approx(4.897869, abs=1e-6)
    assert after(*[0.2] * 8) < log(100)


@pytest.mark.parametrize("missing", [None, nan])
def test_missing_windows_change_nothing(missing: float | None) -> None:
    assert after(0.2, missing, 0.2, missing) == after(0.2, 0.2)


def test_a_difference_at_the_margin_is_not_worse() -> None:
    assert after(0.1) == after(-5.0) < 0 < after(0.1000001)
    assert after(inf) == after(0.2)


def test_windows_that_alternate_lose_evidence() -> None:
    assert after(*[0.2, 0.0] * 20) < log(0.2)


def test_drift_needs_samples_before_it_says_anything() -> None:
    assert mean_index(10, 500, 2000) == pytest.approx(0.0225)
    assert least_samples(10, 0.2) == 900
    assert least_samples(10, 0.25) == 720
    assert mean_index(10, 900, 900) == pytest.approx(0.2 / 10)


def test_scores_become_losses() -> None:
    assert losses(3, 9, low=1, high=5) == 1.5
    assert losses(3, 15, low=1, high=5) == 0
    assert losses(3, 3, low=1, high=5) == 3
    assert losses(0, 0, low=0, high=1) == 0


@given(st.lists(st.floats(-3, 7), max_size=50))
def test_losses_lie_between_none_and_all_whatever_the_rounding(scores: list[float]) -> None:
    assert 0 <= losses(len(scores), sum(scores), low=-3, high=7) <= len(scores)


def test_scores_off_the_scale_stay_visible_as_impossible_counts() -> None:
    assert losses(10, 11, low=0, high=1) < 0
    assert losses(10, -1, low=0, high=1) > 10
