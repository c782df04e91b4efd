"""What was concluded: an action, a verdict for each metric, and the figures they rest on. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from modelrollout.domain.tally import Tally


class Verdict(StrEnum):
    """What is known about one metric; the topmost of all metrics is the rollout's."""

    FAIL = "Fail"
    PROVIDER_ERROR = "ProviderError"
    NO_DATA = "NoData"
    LOW_SAMPLE = "LowSample"
    PASS = "Pass"  # noqa: S105 -- a verdict, not a password


class Action(StrEnum):
    CONTINUE = "Continue"
    ADVANCE = "Advance"
    HOLD = "Hold"
    ROLLBACK = "Rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricVerdict:
    metric: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The numbers a decision rests on; rates of the whole rollout up to the last closed block."""

    metric: str
    edge: float | None
    value: float | None
    stable_value: float | None
    threshold: float | None
    """The tolerated rate: margin ratio times stable's rate plus the absolute margin."""
    counts: Tally
    span: float
    log_evidence: float
    log_limit: float
    query: str
    interval: tuple[float, float] | None = None
    """Where the ratio of the true rates lies, with 95 % confidence over all looks; of the whole rollout only."""

    @property
    def test(self) -> str:
        """`errors`, `latency@0.25`."""
        return self.metric if self.edge is None else f"{self.metric}@{self.edge:g}"

    @property
    def samples(self) -> int:
        return round(self.counts.n_canary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    action: Action
    reason: str
    verdict: Verdict
    verdicts: tuple[MetricVerdict, ...]
    culprit: str
    """The metric that speaks loudest against the candidate; empty before the first block."""
    cause: str = ""
    """More about the reason: `providerError` or `metricMissing` behind noData."""
    figures: Figures | None = None
    hold_since: float | None = None
    flags: tuple[str, ...] = ()
    sentence: str = ""
    observed: bool = False
    """By `mode: observe`: nobody acts on it."""
