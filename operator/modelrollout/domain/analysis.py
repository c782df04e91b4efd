"""Nouns of the analysis: what was asked for, what was measured, what was concluded.

Pure values: no clock, no cluster, no arithmetic beyond checks of their own fields. The formulas
live in `decide/`; every default is the one of docs' analysis reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple, assert_never

from modelrollout.domain.requiring import require as _require
from modelrollout.domain.safeguards import Guardrails, Overdispersion, PodSpread
from modelrollout.domain.signals import Buckets, Counts, Gauge, Score, Signal

ERRORS = "errors"
"""The metric that every preset has."""
REQUESTS = "requests"
LATENCY = "latency"
TARGETS = "targets"
"""Names of the queries of one poll: all requests, latency buckets, and the series that shows that a target was scraped
at all. Every other metric's query has the metric's name, and a part of it a name like `quality/bad`."""
BAD_PART, SUM_PART, VALUE_PART = "bad", "sum", "value"
"""Parts: bad ones that have a series of their own, the sum of scores, the value of a gauge."""
BAD = f"{REQUESTS}/{BAD_PART}"

DEFAULT_PROVIDER = "default"
"""The metrics provider that is asked where the spec names none."""
SCRAPE_LAG = 0.5
"""Seconds that a Prometheus which scrapes by itself is given before a grid time is asked for."""


class Mode(StrEnum):
    ENFORCE = "enforce"
    OBSERVE = "observe"
    """Judged, but steps go by time: what would have been done is only told."""
    NONE = "none"


class Source(StrEnum):
    GATEWAY = "gateway"
    SERVER = "server"


class Kind(StrEnum):
    RATIO = "ratio"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"
    """One value per evaluation: it can hold a rollout, and neither take it back nor prove anything."""


class OnInconclusive(StrEnum):
    ADVANCE = "advance"
    HOLD = "hold"
    ROLLBACK = "rollback"


class OnHoldTimeout(StrEnum):
    HOLD = "hold"
    ROLLBACK = "rollback"


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
class Margin:
    """What is tolerated: a candidate's rate up to `ratio` times stable's plus `absolute`."""

    ratio: float
    absolute: float

    def __post_init__(self) -> None:
        _require(1 <= self.ratio <= 100, "ratio", self.ratio, "a number from 1 to 100")
        _require(0 <= self.absolute < 1, "absolute", self.absolute, "a rate from 0 to below 1")


_MARGINS = {
    Kind.RATIO: (Margin(ratio=1.25, absolute=0.0002), Margin(ratio=1.5, absolute=0.001)),
    Kind.HISTOGRAM: (Margin(ratio=1.25, absolute=0.002), Margin(ratio=1.5, absolute=0.005)),
    Kind.GAUGE: (Margin(ratio=1, absolute=0), Margin(ratio=1.5, absolute=0)),  # it has a margin of its own
}
BUILT_IN = {
    "errors": Kind.RATIO,
    **dict.fromkeys(("latency", "first-token", "per-token", "end-to-end"), Kind.HISTOGRAM),
}
"""Metrics whose series a preset knows; `latency` stands for all that a preset counts latency by."""
TAKEN_NAMES = (*BUILT_IN, REQUESTS, TARGETS)
"""That no metric of the user's own may have: they name metrics and queries of ours."""
_ONE_OF_OURS = f"{', '.join(list(BUILT_IN)[:-1])} or {list(BUILT_IN)[-1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSettings:
    name: str
    kind: Kind
    regression: Margin
    non_inferiority: Margin
    weight: float | None = None
    """Share of the error budget alpha; None: `errors` 0.5, the others share the rest. A gauge has none."""
    required_for_advance: bool = True
    edges: tuple[float, ...] | None = None
    """Bucket bounds to test, in seconds; None: chosen from stable's first 1000 requests."""
    signal: Signal | None = None
    """The user's own series; None: those that the preset knows by the metric's name."""
    source: Source = Source.SERVER
    """Of the user's own series: told apart by the arms' pods, or by the gateway's label."""

    def __post_init__(self) -> None:
        if self.signal is None:
            _require(self.name in BUILT_IN, "name", self.name, _ONE_OF_OURS)
            _require(self.kind is BUILT_IN[self.name], "kind", self.kind, f"{BUILT_IN[self.name]} for {self.name}")
        else:
            _require(self.name not in TAKEN_NAMES, "name", self.name, "another name: it is taken")
            _require(self.kind is kind_of(self.signal), "kind", self.kind, str(kind_of(self.signal)))
        _require(self.weight is None or 0 < self.weight <= 1, "weight", self.weight, "a number above 0, at most 1")
        _require(self.weight is None or self.is_counted, "weight", self.weight, "no weight for a gauge")
        proof = self.non_inferiority
        _require(
            proof.ratio > 1 or proof.absolute > 0,
            "nonInferiority",
            "ratio 1, absolute 0",
            "a margin above it: equality can never be proven",
        )
        if self.edges is not None:
            _require(self.kind is Kind.HISTOGRAM, "edges", self.edges, "edges for histograms only")
            rising = all(a < b for a, b in pairwise(self.edges))
            ok = 0 < len(self.edges) <= 10 and rising and self.edges[0] > 0
            _require(ok, "edges", self.edges, "one to ten rising numbers of seconds, or auto")

    @property
    def is_counted(self) -> bool:
        """Whether it is tested by counts, and so shares in alpha."""
        return self.kind is not Kind.GAUGE

    @classmethod
    def of(
        cls,
        name: str,
        *,
        index: int = 0,
        weight: float | None = None,
        regression: tuple[float, float] | None = None,
        non_inferiority: tuple[float, float] | None = None,
        required_for_advance: bool = True,
        edges: tuple[float, ...] | None = None,
        signal: Signal | None = None,
        source: Source = Source.SERVER,
    ) -> "MetricSettings":
        """The metric with the margins of its kind where none are given; what is wrong is named by its full path."""
        here = f"analysis.metrics[{index}]"
        if signal is None:
            _require(name in BUILT_IN, f"{here}.name", name, _ONE_OF_OURS)
        kind = BUILT_IN[name] if signal is None else kind_of(signal)
        default_regression, default_proof = _MARGINS[kind]
        try:
            return cls(
                name=name,
                kind=kind,
                weight=weight,
                regression=_margin("regression", regression, default_regression),
                non_inferiority=_margin("nonInferiority", non_inferiority, default_proof),
                required_for_advance=required_for_advance,
                edges=edges,
                signal=signal,
                source=source,
            )
        except ValueError as error:
            raise ValueError(f"{here}.{error}") from error


def default_margins(kind: Kind) -> tuple[Margin, Margin]:
    """Of regression and of non-inferiority."""
    return _MARGINS[kind]


def kind_of(signal: Signal) -> Kind:
    match signal:
        case Counts() | Score():
            return Kind.RATIO
        case Buckets():
            return Kind.HISTOGRAM
        case Gauge():
            return Kind.GAUGE
        case _:
            assert_never(signal)


def _margin(path: str, given: tuple[float, float] | None, default: Margin) -> Margin:
    if given is None:
        return default
    try:
        return Margin(ratio=given[0], absolute=given[1])
    except ValueError as error:
        raise ValueError(f"{path}.{error}") from error


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


class Sample(NamedTuple):
    """One scraped value; a tuple and no dataclass because a poll holds thousands."""

    t: float
    v: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One counter as it was scraped, already told whose it is."""

    revision: str
    """The arm; empty for the series that only shows that `target` was scraped."""
    target: str
    """What was scraped: a pod, or an instance of the gateway."""
    labels: tuple[tuple[str, str], ...]
    samples: tuple[Sample, ...]
    bad: bool = False
    le: float | None = None


class FaultKind(StrEnum):
    UNREACHABLE = "unreachable"
    DENIED = "denied"
    """Credentials or certificates are missing, or not accepted."""
    TIMEOUT = "timeout"
    REFUSED = "refused"
    SERVER_ERROR = "serverError"
    NOT_PROMETHEUS = "notPrometheus"
    WRONG_TYPE = "wrongType"
    PARTIAL = "partial"
    TOO_LARGE = "tooLarge"
    CLOCK = "clock"
    """Its clock is not ours, so that its samples are not of the span that was asked for."""
    AMBIGUOUS = "ambiguous"
    """Two scrapes bring the same counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFault:
    """The metrics provider gave no answer that can be used. Never evidence, neither way."""

    kind: FaultKind
    message: str
    permanent: bool = False
    """Asking again will not help until somebody changes something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One look at the metrics provider, at a time of the grid."""

    at: float
    answers: Mapping[str, tuple[Series, ...] | ProviderFault]
    queries: Mapping[str, str] = field(default_factory=dict)
    """The text that was asked, per name, for the reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPod:
    name: str
    created_at: float
    ready_at: float | None = None
    gone: bool = False
    """Terminated: what it scraped counts, nothing more is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of the comparison, and how its series are recognised."""

    revision: str
    service: str = ""
    """Pattern of the gateway's service label, made of our names; empty where the servers' own series are read."""
    pods: tuple[ArmPod, ...] = ()
    ready_at: float | None = None
    """Since when it is Ready as a whole; latency counts from `warmup` after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    stable: Arm
    candidate: Arm
    share: float | None = None
    """The candidate's share that the router really gives, 0 to 1, where it cannot give the weight; None: the weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Bad and total requests of both arms over the same span."""

    x_canary: float = 0.0
    n_canary: float = 0.0
    x_stable: float = 0.0
    n_stable: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            x_canary=self.x_canary + other.x_canary,
            n_canary=self.n_canary + other.n_canary,
            x_stable=self.x_stable + other.x_stable,
            n_stable=self.n_stable + other.n_stable,
        )

    def is_sound(self) -> bool:
        """Whether no arm has more bad requests than requests."""
        return 0 <= self.x_canary <= self.n_canary and 0 <= self.x_stable <= self.n_stable


NO_REQUESTS = Tally()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A closed span of time in which both arms were counted."""

    seq: int
    start: float
    end: float
    weight: int
    errors: Tally


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
