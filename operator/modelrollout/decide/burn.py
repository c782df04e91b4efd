"""How fast the error budget burns, and when that alone stops a rollout.

The multi-window rules of the SRE workbook with the numbers of section 5 of the analysis. Two windows must
burn at once: the long one shows that it matters, the short one that it still goes on. No error guarantee
comes with them; the sequential test against `errorRateMax` has one. Pure.

Burn 1 spends the budget of 30 days in 30 days: burn = bad rate / (1 - slo).

Worked examples: 30 bad of 2000 at 0.999 burn 15 times too fast. A canary at 10 % of the traffic that burns at
15 for 8 hours has spent 0.1 * 15 * 8 / 720 = 1.67 % of the budget.
"""

from dataclasses import dataclass

MONTH = 30 * 86400.0
FAST, SLOW = 14.4, 6.0
LEAST_BAD = 10
MINUTE = 60.0
CANARY_LONG, CANARY_SHORT = 5 * MINUTE, MINUTE
SERVICE_FAST_LONG, SERVICE_FAST_SHORT = 60 * MINUTE, 5 * MINUTE
SERVICE_SLOW_LONG, SERVICE_SLOW_SHORT = 360 * MINUTE, 30 * MINUTE
_ROUNDING = 1 - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCount:
    """Bad and all requests over one window of time that ends now."""

    bad: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceWindows:
    """Both arms together, over the windows of the two service-wide rules."""

    six_hours: WindowCount
    one_hour: WindowCount
    thirty_minutes: WindowCount
    five_minutes: WindowCount


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryWindows:
    """The canary alone; each window is cut at the step's start (`window_start`)."""

    five_minutes: WindowCount
    one_minute: WindowCount


@dataclass(frozen=True, slots=True, kw_only=True)
class Burning:
    """A rule that fired: the long window's burn, the limit it is held to, and that window in seconds."""

    burn: float
    limit: float
    window: float


def burn_rate(count: WindowCount, slo: float) -> float:
    """How many times faster than allowed; 0 without requests."""
    return count.bad / count.total / (1 - slo) if count.total > 0 else 0.0


def window_start(now: float, span: float, step_at: float) -> float:
    """From when a canary's window of `span` seconds counts: nothing before the step is blamed on it."""
    return max(now - span, step_at)


def service_burning(windows: ServiceWindows, slo: float, *, fast: float = FAST) -> Burning | None:
    """Whether the service burns so fast that no rollout should begin, and a running one waits."""
    return _burning(windows.one_hour, windows.five_minutes, slo, fast, SERVICE_FAST_LONG) or _burning(
        windows.six_hours, windows.thirty_minutes, slo, SLOW, SERVICE_SLOW_LONG
    )


def canary_burning(
    windows: CanaryWindows, slo: float, *, limit: float = FAST, least_bad: float = LEAST_BAD
) -> Burning | None:
    """Whether the canary burns so fast that it is taken back (guardrail `burn`)."""
    if windows.five_minutes.bad < least_bad:
        return None
    return _burning(windows.five_minutes, windows.one_minute, slo, limit, CANARY_LONG)


def budget_share(*, weight: float, burn: float, seconds: float) -> float:
    """Share of the budget of 30 days that a canary with `weight` (0 to 1) of the traffic spends at this burn."""
    return weight * burn * seconds / MONTH


def _burning(long: WindowCount, short: WindowCount, slo: float, limit: float, window: float) -> Burning | None:
    burn, now = burn_rate(long, slo), burn_rate(short, slo)
    return Burning(burn=burn, limit=limit, window=window) if min(burn, now) >= limit * _ROUNDING else None
