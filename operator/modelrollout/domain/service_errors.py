"""How the whole service answered: requests of all revisions, over the windows of its burn rules. Pure nouns."""

from dataclasses import dataclass

from modelrollout.domain.polls import ProviderFault


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCount:
    """Bad and all requests over one window of time that ends now."""

    bad: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceWindows:
    """All revisions together, over the windows of the two service-wide rules."""

    six_hours: WindowCount
    one_hour: WindowCount
    thirty_minutes: WindowCount
    five_minutes: WindowCount


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceErrors:
    """The last look at the whole service. Times are unix seconds."""

    asked_at: float
    seen_at: float | None = None
    """When it was last answered; the windows are of then."""
    windows: ServiceWindows | None = None
    burning_since: float | None = None
    """From which look on each answer has shown it burning."""
    fault: ProviderFault | None = None
    """Why the last look was not answered. Not stored: the next one comes within a minute."""
