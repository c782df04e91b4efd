import pytest

from modelrollout.decide.burn import (
    Burning,
    CanaryWindows,
    budget_share,
    burn_rate,
    canary_burning,
    service_burning,
    window_start,
)
from modelrollout.domain.service_errors import ServiceWindows, WindowCount

SLO = 0.999
QUIET = WindowCount(bad=0, total=100_000)


def at(burn: float, total: float = 100_000) -> WindowCount:
    return WindowCount(bad=burn * 0.001 * total, total=total)


def figures(found: Burning | None) -> tuple[float, float, float] | None:
    return None if found is None else (round(found.burn, 9), found.limit, found.window)


def service(**windows: WindowCount) -> ServiceWindows:
    named = dict.fromkeys(("six_hours", "one_hour", "thirty_minutes", "five_minutes"), QUIET)
    return ServiceWindows(**{**named, **windows})


def test_burn_is_the_bad_rate_in_units_of_the_allowed_one() -> None:
    assert burn_rate(WindowCount(bad=30, total=2000), SLO) == pytest.approx(15)
    assert burn_rate(WindowCount(bad=0, total=0), SLO) == 0


def test_a_fast_burn_needs_the_hour_and_the_last_five_minutes() -> None:
    assert figures(service_burning(service(one_hour=at(20), five_minutes=at(20)), SLO)) == (20.0, 14.4, 3600)
    assert service_burning(service(one_hour=at(20)), SLO) is None
    assert service_burning(service(five_minutes=at(20)), SLO) is None
    assert service_burning(service(one_hour=at(14), five_minutes=at(20)), SLO) is None


def test_a_slow_burn_needs_six_hours_and_the_last_half_hour() -> None:
    slow = service_burning(service(six_hours=at(7), thirty_minutes=at(8)), SLO)
    assert slow is not None
    assert (slow.limit, slow.window) == (6, 21600)
    assert service_burning(service(six_hours=at(5.9), thirty_minutes=at(8)), SLO) is None
    assert service_burning(service(six_hours=at(7), five_minutes=at(20)), SLO) is None


def test_the_fast_rule_is_named_where_both_fire() -> None:
    found = service_burning(ServiceWindows(**dict.fromkeys(ServiceWindows.__slots__, at(30))), SLO)
    assert found is not None
    assert found.limit == 14.4


def test_a_limit_is_reached_at_the_limit() -> None:
    """0.0144 / (1 - 0.999) is a little below 14.4 in floats."""
    exactly = WindowCount(bad=1440, total=100_000)
    assert service_burning(service(one_hour=exactly, five_minutes=exactly), SLO) is not None


def test_a_canary_burns_with_ten_bad_requests_in_both_windows() -> None:
    both = CanaryWindows(five_minutes=WindowCount(bad=10, total=500), one_minute=WindowCount(bad=2, total=100))
    assert figures(canary_burning(both, SLO)) == (20.0, 14.4, 300)
    assert canary_burning(both, SLO, limit=25) is None
    nine = CanaryWindows(five_minutes=WindowCount(bad=9, total=9), one_minute=WindowCount(bad=9, total=9))
    assert canary_burning(nine, SLO) is None
    assert canary_burning(nine, SLO, least_bad=9) is not None
    over = CanaryWindows(five_minutes=WindowCount(bad=50, total=500), one_minute=QUIET)
    assert canary_burning(over, SLO) is None


def test_a_canary_without_requests_in_the_last_minute_does_not_burn() -> None:
    gone = CanaryWindows(five_minutes=WindowCount(bad=50, total=500), one_minute=WindowCount(bad=0, total=0))
    assert canary_burning(gone, SLO) is None


def test_a_canarys_windows_begin_no_earlier_than_its_step() -> None:
    assert window_start(1000, 300, step_at=0) == 700
    assert window_start(1000, 300, step_at=900) == 900


def test_the_share_of_a_months_budget_that_a_canary_spends() -> None:
    assert budget_share(weight=0.1, burn=15, seconds=8 * 3600) == pytest.approx(0.016667, abs=1e-6)
    assert budget_share(weight=1.0, burn=1, seconds=30 * 86400) == pytest.approx(1.0)
