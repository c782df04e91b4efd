"""Limits that hold whatever stable does, and what is assumed of requests that fail together. Pure values."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from modelrollout.domain.requiring import require


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrails:
    error_rate_max: float = 0.05
    """A candidate whose error rate is proven to be above it is taken back, unless stable's is, too."""
    alpha_slo: float = 0.01
    """Chance that a candidate within `error_rate_max` and every metric's slo is taken back for one, per rollout."""

    slo: float | None = None
    """Share of requests that has to be answered well. None: there is no error budget."""
    burn: float = 14.4
    """A candidate that spends the budget so many times faster than allowed is taken back."""
    max_budget_share: float = 0.02
    """A candidate that has spent that much of a month's budget goes no further."""

    def __post_init__(self) -> None:
        _inside(0 < self.error_rate_max < 0.5, "errorRateMax", self.error_rate_max, "a rate above 0 and below 0.5")
        _inside(0 < self.alpha_slo <= 0.2, "alphaSlo", self.alpha_slo, "a number above 0, at most 0.2")
        if self.slo is not None:
            _inside(0.5 <= self.slo <= 0.99999, "slo", self.slo, "a share from 0.5 to 0.99999")
            _inside(
                self.burn * (1 - self.slo) < 1, "burn", self.burn, f"less than {1 / (1 - self.slo):.4g}, which is all"
            )
        _inside(1 <= self.burn <= 100_000, "burn", self.burn, "a number from 1 to 100000")
        share = self.max_budget_share
        _inside(0 < share <= 1, "maxBudgetShare", share, "a share above 0, at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rate of bad requests that no candidate may have, whatever stable does."""

    metric: str
    edge: float | None
    """Of a histogram: its requests slower than that are the bad ones."""
    rate: float


class Estimate(StrEnum):
    AUTO = "auto"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdispersion:
    """Bad requests that come in bursts: how phi, their variance over their mean, is found."""

    mode: Estimate = Estimate.AUTO
    """none: requests are taken as independent, phi is 1."""
    lookback: timedelta = timedelta(hours=3)
    """How much of stable's past is looked at, once, before the first weight."""
    most: float = 10
    fallback: float = 2
    """Phi where nothing can be seen: one stable pod, no history, or no series of the servers."""

    def __post_init__(self) -> None:
        here = "analysis.overdispersion"
        good = timedelta(minutes=5) <= self.lookback <= timedelta(hours=24)
        require(good, f"{here}.lookback", self.lookback, "5m to 24h")
        require(1 <= self.most <= 100, f"{here}.max", self.most, "a number from 1 to 100")
        require(1 <= self.fallback <= self.most, f"{here}.fallback", self.fallback, "a number from 1 to max")

    @property
    def unseen(self) -> float:
        """Phi while nothing has been seen."""
        return self.fallback if self.mode is Estimate.AUTO else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpread:
    """Pods of one revision that differ for good: how far the margin of regression is widened for it."""

    mode: Estimate = Estimate.AUTO
    z: float = 2
    """Standard deviations of the pods' difference that are tolerated."""
    max_factor: float = 3
    """The margin's ratio is at most multiplied by it."""
    min_pods: int = 5
    """Stable pods below which nothing is estimated."""

    def __post_init__(self) -> None:
        here = "analysis.podSpread"
        require(0 <= self.z <= 10, f"{here}.z", self.z, "a number from 0 to 10")
        require(1 <= self.max_factor <= 100, f"{here}.maxFactor", self.max_factor, "a number from 1 to 100")
        require(3 <= self.min_pods <= 1000, f"{here}.minPods", self.min_pods, "a number from 3 to 1000")


def _inside(ok: bool, name: str, value: float, wish: str) -> None:
    require(ok, f"analysis.guardrails.{name}", value, wish)
