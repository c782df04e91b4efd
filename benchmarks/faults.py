"""The ways in which a metrics provider fails, and what a rollout is to say of each while it lasts."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.false_prometheus import OFF
from benchmarks.provider import Provider

ERROR, NO_DATA = "ProviderError", "NoData"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    what: str
    happens: Callable[[Provider], None]
    reason: str = ""
    """Of condition AnalysisHealthy while it lasts; empty: none is wanted, the rollout goes on."""
    says: str = ""
    """Part of the condition's message."""

    @property
    def wanted(self) -> str:
        return f"holds, {self.reason}: “{self.says}”" if self.reason else "goes on"


STAND_IN = "stand-in: "
UNREACHABLE = "Prometheus `default` cannot be reached"
TOO_LATE = "Prometheus `default` does not answer in time"
NOTHING_FRESH = "No fresh requests"
FAULTS = (
    Fault(what="stopped", happens=Provider.stop, reason=ERROR, says=UNREACHABLE),
    Fault(
        what="toxiproxy: connections are reset",
        happens=lambda provider: provider.harm("reset_peer", timeout=0),
        reason=ERROR,
        says=UNREACHABLE,
    ),
    Fault(
        what="toxiproxy: answers are cut after 300 bytes",
        happens=lambda provider: provider.harm("limit_data", bytes=300),
        reason=ERROR,
        says=UNREACHABLE,
    ),
    Fault(
        what="toxiproxy: connections hang",
        happens=lambda provider: provider.harm("timeout", timeout=0),
        reason=ERROR,
        says=TOO_LATE,
    ),
    Fault(
        what="toxiproxy: answers after 12 s",
        happens=lambda provider: provider.harm("latency", latency=12_000),
        reason=ERROR,
        says=TOO_LATE,
    ),
    Fault(
        what="toxiproxy: answers after 2 s",
        happens=lambda provider: provider.harm("latency", latency=2_000),
    ),
    Fault(
        what=f"{STAND_IN}503",
        happens=lambda provider: provider.falsify("503"),
        reason=ERROR,
        says="Prometheus `default` answered 503",
    ),
    Fault(
        what=f"{STAND_IN}wrong type, a vector",
        happens=lambda provider: provider.falsify("vector"),
        reason=ERROR,
        says="Prometheus `default` answered with no matrix",
    ),
    Fault(
        what=f"{STAND_IN}a part of the answer, with a warning",
        happens=lambda provider: provider.falsify("in-part"),
        reason=ERROR,
        says="Prometheus `default` answered in part only",
    ),
    Fault(
        what=f"{STAND_IN}NaN for every value",
        happens=lambda provider: provider.falsify("nan"),
        reason=NO_DATA,
        says=NOTHING_FRESH,
    ),
    Fault(
        what=f"{STAND_IN}no series",
        happens=lambda provider: provider.falsify("empty"),
        reason=NO_DATA,
        says=NOTHING_FRESH,
    ),
    Fault(what="scrapes nothing any more", happens=Provider.scrape_nothing, reason=NO_DATA, says=NOTHING_FRESH),
    Fault(
        what=f"{STAND_IN}clock {OFF:g} s ahead",
        happens=lambda provider: provider.falsify("clock-ahead"),
        reason=NO_DATA,
        says=NOTHING_FRESH,
    ),
    Fault(
        what=f"{STAND_IN}clock {OFF:g} s behind",
        happens=lambda provider: provider.falsify("clock-behind"),
        reason=NO_DATA,
        says=NOTHING_FRESH,
    ),
)
