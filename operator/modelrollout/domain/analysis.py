"""How a rollout is analysed, as it was asked for. Pure values that check their own fields.

The formulas live in `decide/`; every default is the one of docs' analysis reference.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from modelrollout.domain.metrics import ERRORS, MetricSettings, Source
from modelrollout.domain.requiring import require as _require
from modelrollout.domain.safeguards import Guardrails, Limit, Overdispersion, PodSpread

DEFAULT_PROVIDER = "default"
"""The metrics provider that is asked where the spec names none."""
SCRAPE_LAG = 0.5
"""Seconds that a Prometheus which scrapes by itself is given before a grid time is asked for."""


class Mode(StrEnum):
    ENFORCE = "enforce"
    OBSERVE = "observe"
    """Judged, but steps go by time: what would have been done is only told."""
    NONE = "none"


class OnInconclusive(StrEnum):
    ADVANCE = "advance"
    HOLD = "hold"
    ROLLBACK = "rollback"


class OnHoldTimeout(StrEnum):
    HOLD = "hold"
    ROLLBACK = "rollback"


def _default_metrics() -> tuple[MetricSettings, ...]:
    return (MetricSettings.of("errors", index=0), MetricSettings.of("latency", index=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSettings:
    mode: Mode = Mode.ENFORCE
    source: Source = Source.GATEWAY
    series: str | None = None
    """Whose names the servers' series have; None: those of the runtime's preset."""
    provider: str = DEFAULT_PROVIDER
    """One of the operator's metrics providers, by name."""
    poll: timedelta | None = None
    """Seconds between looks; None: the scrape interval, seen from the data, from 1 to 60 s."""
    alpha: float = 0.01
    """Chance that a good candidate is rolled back, per rollout, however long."""
    beta: float = 0.05
    """Chance that a worse candidate is called not inferior, per rollout."""
    min_bad: int = 3
    """Bad requests of the candidate below which nothing is rolled back: guards against one poisoned request."""
    min_requests: int = 100
    min_duration: timedelta = timedelta(seconds=120)
    deadline: timedelta = timedelta(seconds=600)
    no_data_timeout: timedelta = timedelta(seconds=180)
    warmup: timedelta = timedelta(seconds=60)
    suspicious: float = 10
    """Evidence from which on nothing is advanced."""
    on_inconclusive: OnInconclusive = OnInconclusive.ADVANCE
    hold_timeout: timedelta = timedelta(minutes=30)
    on_hold_timeout: OnHoldTimeout = OnHoldTimeout.HOLD
    metrics: tuple[MetricSettings, ...] = field(default_factory=_default_metrics)
    guardrails: Guardrails = field(default_factory=Guardrails)
    overdispersion: Overdispersion = field(default_factory=Overdispersion)
    pod_spread: PodSpread = field(default_factory=PodSpread)

    def __post_init__(self) -> None:
        if self.poll is not None:
            good = timedelta(seconds=1) <= self.poll <= timedelta(seconds=60)
            _require(good, "analysis.poll", self.poll, "1s to 60s")
        _require(0 < self.alpha <= 0.2, "analysis.alpha", self.alpha, "a number above 0, at most 0.2")
        _require(0 < self.beta <= 0.5, "analysis.beta", self.beta, "a number above 0, at most 0.5")
        _require(self.min_bad >= 1, "analysis.minBad", self.min_bad, "1 or more")
        _require(self.min_requests >= 1, "analysis.minRequests", self.min_requests, "1 or more")
        _require(self.min_duration >= timedelta(0), "analysis.minDuration", self.min_duration, "0s or more")
        _require(
            self.deadline >= self.min_duration,
            "analysis.deadline",
            self.deadline,
            f"{self.min_duration} (minDuration) or more",
        )
        _require(self.no_data_timeout > timedelta(0), "analysis.noDataTimeout", self.no_data_timeout, "more than 0s")
        _require(self.warmup >= timedelta(0), "analysis.warmup", self.warmup, "0s or more")
        _require(
            1 < self.suspicious <= 1 / self.alpha, "analysis.suspicious", self.suspicious, "above 1, at most 1/alpha"
        )
        _require(self.hold_timeout > timedelta(0), "analysis.holdTimeout", self.hold_timeout, "more than 0s")
        names = [metric.name for metric in self.metrics]
        for index, name in enumerate(names):
            _require(name not in names[:index], f"analysis.metrics[{index}].name", name, "each metric once")
        if self.mode is not Mode.NONE:
            counted = any(metric.is_counted for metric in self.metrics)
            told = "gauges only" if names else "an empty list"
            _require(counted, "analysis.metrics", told, "at least one metric that is no gauge, or mode: none")

    def limits(self) -> tuple[Limit, ...]:
        """Rates that no candidate may have: of errors, then what each metric's slo leaves."""
        errors = Limit(metric=ERRORS, edge=None, rate=self.guardrails.error_rate_max)
        slow = (Limit(metric=m.name, edge=m.slo.within, rate=1 - m.slo.share) for m in self.metrics if m.slo)
        return errors, *slow

    def weights(self) -> tuple[float, ...]:
        """Shares of alpha, summing to 1, of the metrics that are counted, in their order."""
        counted = [metric for metric in self.metrics if metric.is_counted]
        names = [metric.name for metric in counted]
        others = len(names) - names.count("errors")

        def default(name: str) -> float:
            if "errors" not in names:
                return 1 / others
            return 0.5 if name == "errors" else 0.5 / others

        raw = [default(m.name) if m.weight is None else m.weight for m in counted]
        return tuple(weight / sum(raw) for weight in raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTiming:
    """How long the step lasts at least, and when it has to be decided."""

    min_duration: timedelta
    deadline: timedelta

    @classmethod
    def of(
        cls, settings: AnalysisSettings, *, min_duration: timedelta | None = None, deadline: timedelta | None = None
    ) -> "StepTiming":
        """The step's own values where it has them; a longer minimum pushes the deadline, never the other way round."""
        least = settings.min_duration if min_duration is None else min_duration
        return cls(min_duration=least, deadline=max(least, settings.deadline if deadline is None else deadline))
