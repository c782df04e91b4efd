"""Counters of stable's past as rises per span, and how the bad requests among them scatter. Pure.

These are estimates: unlike the tests they may lose a little at the ends of the span.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil, inf, log

from modelrollout.decide import gauges
from modelrollout.decide.dispersion import PodCount, PodCounts, dispersion, pod_spread
from modelrollout.decide.increments import cleaned, spacing
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Scatter
from modelrollout.domain.polls import Series
from modelrollout.domain.safeguards import Estimate
from modelrollout.domain.signals import Score

MOST_SPANS = 2160
"""Each is a scrape interval, or longer where the look-back would have more of them."""

Rises = Mapping[str, Sequence[float]]
"""How much a counter rose in each span, per target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Raw samples of stable, of one metric: all of them, the bad ones among them, sums of scores, buckets."""

    total: tuple[Series, ...] = ()
    bad: tuple[Series, ...] = ()
    sums: tuple[Series, ...] = ()
    buckets: tuple[Series, ...] = ()

    def every(self) -> tuple[Series, ...]:
        return (*self.total, *self.bad, *self.sums, *self.buckets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One metric's counters as rises per span."""

    seconds: float
    requests: Rises
    bad: Rises
    buckets: Mapping[float, Rises] = field(default_factory=dict)

    def profile(self) -> dict[float, float]:
        """Requests per bucket bound, of all targets together."""
        return {bound: total(rises) for bound, rises in self.buckets.items()}

    def together(self) -> "Past":
        """All targets as one: a gateway's instances are no pods of a revision."""
        return replace(
            self,
            requests=_as_one(self.requests),
            bad=_as_one(self.bad),
            buckets={bound: _as_one(rises) for bound, rises in self.buckets.items()},
        )

    def scatter(self, settings: AnalysisSettings) -> Scatter:
        """Of the bad ones."""
        return _scatter(self.requests, self.bad, settings)

    def slow_scatter(self, edge: float, settings: AnalysisSettings) -> Scatter:
        """Of requests slower than the edge, by the bucket bound nearest to it."""
        bounds = [bound for bound in self.buckets if 0 < bound < inf]
        if not bounds or inf not in self.buckets:
            return Scatter(phi=settings.overdispersion.unseen)
        every, fast = self.buckets[inf], self.buckets[min(bounds, key=lambda b: (abs(log(b / edge)), b))]
        slow = {
            target: [max(0.0, n - below) for n, below in zip(rises, fast[target], strict=True)]
            for target, rises in every.items()
            if target in fast
        }
        return _scatter(every, slow, settings)


def past(counters: Counters, end: float, *, score: Score | None = None) -> Past:
    """From the first sample to `end`, in spans of equal length. `score`: what the sums are sums of."""
    everything = counters.every()
    first: dict[str, float] = {}
    for series in everything:
        for sample in series.samples[:1]:
            first[series.target] = min(sample.t, first.get(series.target, inf))
    start = min(first.values(), default=end)
    interval = spacing(series.samples for series in everything) or 1.0
    spans = min(MOST_SPANS, max(1, ceil((end - start) / interval)))
    grid = _Grid(start=start, length=max(end - start, 1.0) / spans, spans=spans, first=first)
    bounds = {series.le for series in counters.buckets if series.le is not None}
    requests = grid.rises(counters.total)
    return Past(
        seconds=end - start,
        requests=requests,
        bad=grid.rises(counters.bad) if score is None else _losses(requests, grid.rises(counters.sums), score),
        buckets={bound: grid.rises(s for s in counters.buckets if s.le == bound) for bound in bounds},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    start: float
    length: float
    spans: int
    first: Mapping[str, float]
    """When each target was first seen: a series that is younger began at 0."""

    def rises(self, several: Iterable[Series]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for series in several:
            into = found.setdefault(series.target, [0.0] * self.spans)
            samples = cleaned(series.samples)
            if samples and samples[0].t > self.first[series.target]:
                into[self._span(samples[0].t)] += samples[0].v
            for before, after in pairwise(samples):
                into[self._span(after.t)] += after.v - before.v if after.v >= before.v else after.v
        return found

    def _span(self, t: float) -> int:
        return min(self.spans - 1, max(0, ceil((t - self.start) / self.length) - 1))


def _losses(counts: Rises, sums: Rises, score: Score) -> dict[str, list[float]]:
    """What is missing to the best score, as bad ones; what such scores cannot be is cut off."""
    return {
        target: [
            min(n, max(0.0, gauges.losses(n, s, low=score.low, high=score.high)))
            for n, s in zip(rises, sums[target], strict=True)
        ]
        for target, rises in counts.items()
        if target in sums
    }


def _scatter(requests: Rises, bad: Rises, settings: AnalysisSettings) -> Scatter:
    over, spread = settings.overdispersion, settings.pod_spread
    none = [0.0] * max((len(rises) for rises in requests.values()), default=0)
    totals = [PodCount(sum(bad.get(pod, none)), sum(rises)) for pod, rises in requests.items()]
    tau = pod_spread(totals, least_pods=spread.min_pods) if spread.mode is Estimate.AUTO else 0.0
    if over.mode is Estimate.NONE:
        return Scatter(phi=1.0, known=True, tau=tau)
    seen = dispersion(_polls(requests, bad, none), most=over.most, fallback=over.fallback)
    return Scatter(phi=seen.phi, known=seen.known, tau=tau)


def _polls(requests: Rises, bad: Rises, none: Sequence[float]) -> list[PodCounts]:
    pods = [(pod, bad.get(pod, none), rises) for pod, rises in requests.items()]
    return [{pod: PodCount(x[i], n[i]) for pod, x, n in pods if n[i] > 0} for i in range(len(none))]


def _as_one(rises: Rises) -> Rises:
    return {"": [sum(each) for each in zip(*rises.values(), strict=True)]} if rises else {}


def total(rises: Rises) -> float:
    """Of all targets, over all spans."""
    return sum(sum(each) for each in rises.values())
