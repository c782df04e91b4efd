from math import nan

from modelrollout.decide.increments import cleaned, increase, spacing
from modelrollout.domain.polls import Sample


def samples(*rows: tuple[float, float]) -> tuple[Sample, ...]:
    return cleaned(Sample(t, v) for t, v in rows)


def test_a_restart_counts_what_came_after_it() -> None:
    assert increase(samples((0, 100), (15, 110), (30, 7), (45, 9)), 0, 45, first_is_zero=False) == 19


def test_a_base_before_the_span_outranks_a_birth_inside_it() -> None:
    assert increase(samples((10, 4), (45, 6)), 15, 45, first_is_zero=True) == 2


def test_samples_after_the_span_are_left_to_the_next_one() -> None:
    rows = samples((0, 1), (15, 3), (30, 8))
    assert increase(rows, 0, 15, first_is_zero=False) + increase(rows, 15, 30, first_is_zero=False) == 7


def test_what_is_not_a_number_and_what_comes_twice_is_left_out() -> None:
    assert samples((15, 3), (0, 1), (15, 3), (20, nan)) == (Sample(0, 1), Sample(15, 3))


def test_the_scrape_interval_is_the_median_spacing_whatever_was_missed() -> None:
    assert spacing([samples((0, 1), (5, 1), (10, 1), (20, 1))]) == 5
    assert spacing([samples((0, 1))]) is None
