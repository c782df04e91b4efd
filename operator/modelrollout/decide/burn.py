"""How fast the error budget burns, and when that alone stops a rollout.

The multi-window rules of the SRE workbook with the numbers of section 5 of the analysis. Two windows must
burn at once: the long one shows that it matters, the short one that it still goes on. No error guarantee
comes with them; the sequential test against `errorRateMax` has one. Pure.

Burn 1 spends the budget of 30 days in 30 days: burn = bad rate / (1 - slo).

Worked examples: 30 bad of 2000 at 0.999 burn 15 times too fast. A canary at 10 % of the traffic that burns at
15 for 8 hours has spent 0.1 * 15 * 8 / 720 = 1.67 % of the budget.
"""

from dataclasses import dataclass

from modelrollout.domain.service_errors import ServiceWindows, WindowCount

MONTH = 30 * 86400.0
FAST, SLOW = 14.4, 6.0
LEAST_BAD = 10
MINUTE = 60.0
CANARY_LONG, CANARY_SHORT = 5 * MINUTE, MINUTE
SERVICE_FAST_LONG, SERVICE_FAST_SHORT = 60 * MINUTE, 5 * MINUTE
SERVICE_SLOW_LONG, SERVICE_SLOW_SHORT = 360 * MINUTE, 30 * MINUTE
_ROUNDING = 1 - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryWindows:
    """The canary alone; each window is cut at the step's start (`window_start`)."""

    five_minutes: WindowCount
    one_minute: WindowCount


@dataclass(frozen=True, slots=True, kw_only=True)
class Burning:
    """A rule that fired: the long window's burn, the limit it is held to, and both windows in seconds."""

    burn: float
    limit: float
    window: float
    short: float


def burn_rate(count: WindowCount, slo: float) -> float:
    """How many times faster than allowed; 0 without requests."""
    return count.bad / count.total / (1 - slo) if count.total > 0 else 0.0


def window_start(now: float, span: float, step_at: float) -> float:
    """From when a canary's window of `span` seconds counts: nothing before the step is blamed on it."""
    return max(now - span, step_at)


def service_burning(windows: ServiceWindows, slo: float) -> Burning | None:
    """Whether the service burns so fast that no rollout should begin, and a running one waits."""
    fast = Burning(
        burn=burn_rate(windows.one_hour, slo), limit=FAST, window=SERVICE_FAST_LONG, short=SERVICE_FAST_SHORT
    )
    slow = Burning(
        burn=burn_rate(windows.six_hours, slo), limit=SLOW, window=SERVICE_SLOW_LONG, short=SERVICE_SLOW_SHORT
    )
    return _lasting(fast, windows.five_minutes, slo) or _lasting(slow, windows.thirty_minutes, slo)


def canary_burning(
    windows: CanaryWindows, slo: float, *, limit: float = FAST, least_bad: float = LEAST_BAD
) -> Burning | None:
    """Whether the canary burns so fast that it is taken back (guardrail `burn`)."""
    if windows.five_minutes.bad < least_bad:
        return None
    burn = burn_rate(windows.five_minutes, slo)
    found = Burning(burn=burn, limit=limit, window=CANARY_LONG, short=CANARY_SHORT)
    return _lasting(found, windows.one_minute, slo)


def budget_share(*, weight: float, burn: float, seconds: float) -> float:
    """Share of the budget of 30 days that a canary with `weight` (0 to 1) of the traffic spends at this burn."""
    return weight * burn * seconds / MONTH


def _lasting(found: Burning, short: WindowCount, slo: float) -> Burning | None:
    """Where the short window burns as fast, too."""
    return found if min(found.burn, burn_rate(short, slo)) >= found.limit * _ROUNDING else None
