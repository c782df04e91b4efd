"""What a first look at the metrics saw of stable, before any user is sent to the candidate. Pure nouns."""

from dataclasses import dataclass

from modelrollout.domain.polls import ProviderFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A query whose series stable does not export."""

    metric: str
    series: str
    needs: str = ""
    """What has to be switched on for it, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBound:
    """An edge that the spec names and at which no bucket of stable's ends."""

    metric: str
    field: str
    edge: float
    nearest: tuple[float, ...]
    """Bounds that there are, in seconds: the one below and the one above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Each query, run once against stable; facts, not yet what follows from them."""

    at: float
    seconds: float
    """Length of the span that was looked at."""
    requests: float = 0.0
    bad: float = 0.0
    """Of stable in that span."""
    faults: tuple[ProviderFault, ...] = ()
    absent: tuple[Absent, ...] = ()
    uncounted: tuple[NoBound, ...] = ()
    unscraped: str = ""
    """What Prometheus does not scrape and should; empty: it scrapes something."""
    late: float = 0.0
    """Seconds by which the newest sample is older than it should be; 0: it is fresh."""
    instruments: str = ""
    """Why the two revisions are not measured alike; empty: they are."""
    needs: str = ""
    """What the series of all requests need, where that is known."""
