"""What a closed block counts: the requests, latencies, ratios and values of both arms. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from modelrollout.decide import gauges, histogram
from modelrollout.decide.blocks import OpenBlock
from modelrollout.domain.metrics import Kind, MetricSettings
from modelrollout.domain.polls import Arm, Arms
from modelrollout.domain.signals import Score
from modelrollout.domain.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A closed block's numbers."""

    start: float
    end: float
    errors: Tally
    histograms: Mapping[str, tuple[Mapping[float, float], Mapping[float, float]]]
    """Cumulative buckets of canary and stable per histogram; here and below absent where they could not be read."""
    ratios: Mapping[str, Tally] = field(default_factory=dict)
    """Per ratio of the user's own."""
    values: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    """Of canary and stable per gauge."""
    carried: tuple[tuple[str, str, float], ...]
    share: float | None = None
    """The candidate's share that is expected; None: the step's weight."""
    pods: tuple[int, int] = (0, 0)
    """Ready pods of canary and stable at its end; zeros where they are not known."""

    in_flight: tuple[float | None, float | None] = (None, None)
    """Requests of canary and stable that were not answered at its end."""

    def slower(self, metric: str, edge: float) -> Tally:
        """A histogram's requests slower than the edge, as bad ones; none where it could not be read or has no such."""
        canary, stable = (
            histogram.slower_than(buckets, edge) or (0.0, 0.0) for buckets in self.histograms.get(metric, ({}, {}))
        )
        return Tally(x_canary=canary[0], n_canary=canary[1], x_stable=stable[0], n_stable=stable[1])


def counted(
    block: OpenBlock, arms: Arms, targets: frozenset[str] | None, answered: Iterable[MetricSettings]
) -> Counted:
    """The block with the counts of these targets only (None: of all), and of the metrics that were answered."""
    histograms: dict[str, tuple[Mapping[float, float], Mapping[float, float]]] = {}
    ratios: dict[str, Tally] = {}
    values: dict[str, tuple[float | None, float | None]] = {}
    for metric in answered:
        name = metric.name
        match metric.kind:
            case Kind.HISTOGRAM:
                histograms[name] = (
                    block.buckets(name, arms.candidate, targets),
                    block.buckets(name, arms.stable, targets),
                )
            case Kind.RATIO:
                ratios[name] = _ratio(block, arms, targets, metric)
            case Kind.GAUGE:
                values[name] = (block.value(name, arms.candidate, targets), block.value(name, arms.stable, targets))
            case _:
                assert_never(metric.kind)
    return Counted(
        start=block.start,
        end=block.end,
        errors=block.errors(arms, targets),
        histograms=histograms,
        ratios=ratios,
        values=values,
        carried=block.requests_by_target(),
        share=arms.share,
        pods=(_ready(arms.candidate), _ready(arms.stable)),
        in_flight=(block.in_flight(arms.candidate, targets), block.in_flight(arms.stable, targets)),
    )


def _ready(arm: Arm) -> int:
    return sum(pod.ready_at is not None and not pod.gone for pod in arm.pods)


def _ratio(block: OpenBlock, arms: Arms, targets: frozenset[str] | None, metric: MetricSettings) -> Tally:
    match metric.signal:
        case None:
            return block.errors(arms, targets)
        case Score(low=low, high=high):
            nc, canary = block.scores(metric.name, arms.candidate, targets)
            ns, stable = block.scores(metric.name, arms.stable, targets)
            return Tally(
                x_canary=gauges.losses(nc, canary, low=low, high=high),
                n_canary=nc,
                x_stable=gauges.losses(ns, stable, low=low, high=high),
                n_stable=ns,
            )
        case _:
            return block.tally(metric.name, arms, targets)
