"""What a metric is and what is tolerated of it. Pure; every default is the one of docs' analysis reference."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import assert_never

from modelrollout.domain.polls import REQUESTS, TARGETS
from modelrollout.domain.requiring import require as _require
from modelrollout.domain.signals import Buckets, Counts, Gauge, Score, Signal

ERRORS = "errors"
"""The metric that every preset has."""
LATENCY = "latency"


class Source(StrEnum):
    GATEWAY = "gateway"
    SERVER = "server"


class Kind(StrEnum):
    RATIO = "ratio"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"
    """One value per evaluation: it can hold a rollout, and neither take it back nor prove anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """What is tolerated: a candidate's rate up to `ratio` times stable's plus `absolute`."""

    ratio: float
    absolute: float

    def __post_init__(self) -> None:
        _require(1 <= self.ratio <= 100, "ratio", self.ratio, "a number from 1 to 100")
        _require(0 <= self.absolute < 1, "absolute", self.absolute, "a rate from 0 to below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySlo:
    """What users were promised of a histogram: `share` of the requests within so many seconds."""

    within: float
    """A bound of the histogram's buckets."""
    share: float

    def __post_init__(self) -> None:
        _require(0 < self.within <= 86400, "slo.within", self.within, "a number of seconds above 0, at most 86400")
        _require(0.5 < self.share <= 0.99999, "slo.share", self.share, "a share above 0.5, at most 0.99999")


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
    slo: LatencySlo | None = None
    """Of a histogram: a candidate that is proven to break it is taken back, unless stable does, too."""
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
        if self.slo is not None:
            wish = "an slo for histograms only; the limit of errors is guardrails.errorRateMax"
            _require(self.kind is Kind.HISTOGRAM, "slo", f"{self.slo.share:g} within {self.slo.within:g} s", wish)

    @property
    def is_counted(self) -> bool:
        """Whether it is tested by counts, and so shares in alpha."""
        return self.kind is not Kind.GAUGE

    @property
    def bounds(self) -> tuple[float, ...]:
        """Bucket bounds that the spec names, in seconds: the edges and that of the slo."""
        promised = () if self.slo is None else (self.slo.within,)
        return tuple(sorted({*(self.edges or ()), *promised}))

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
        slo: tuple[float, float] | None = None,
        signal: Signal | None = None,
        source: Source = Source.SERVER,
    ) -> "MetricSettings":
        """The metric with the margins of its kind where none are given; what is wrong is named by its full path.

        `slo`: seconds, and the share of the requests within them.
        """
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
                slo=None if slo is None else LatencySlo(within=slo[0], share=slo[1]),
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
