"""What stable's past says before the rollout: how its bad requests scatter, which edges to test, how busy it was.

Asked for once and fixed before the first block, never from the candidate's data. These are estimates: unlike the
tests they may lose a little at the ends of the span. What the past does not say keeps its fallback. Pure.

The scatter is best seen of several pods side by side, so it comes from the servers' own series, also where the
gateway's are compared; a gateway's edge then takes the scatter of the servers' nearest one. Where the servers' series
are not known, the gateway's of all pods together are looked at over time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, inf, log

from modelrollout.decide import histogram
from modelrollout.decide.dispersion import PodCount, PodCounts, dispersion, pod_spread
from modelrollout.decide.growth import fresh_tests
from modelrollout.decide.increments import cleaned, spacing
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence, MetricEvidence, Scatter, StableBefore
from modelrollout.domain.metrics import ERRORS, LATENCY
from modelrollout.domain.polls import Series
from modelrollout.domain.safeguards import Estimate

MOST_SPANS = 2160
"""Each is a scrape interval, or longer where the look-back would have more of them."""

Rises = Mapping[str, Sequence[float]]
"""How much a counter rose in each span, per target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Raw samples of stable: all requests, the bad ones among them, latency buckets."""

    requests: tuple[Series, ...] = ()
    bad: tuple[Series, ...] = ()
    latency: tuple[Series, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The look-back's answer, up to `end` (unix seconds)."""

    end: float
    compared: Counters = Counters()
    """Of the source that the rollout is judged by."""
    servers: Counters = Counters()
    """Of the servers, per pod; empty where their series are not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Counters as rises per span."""

    seconds: float
    requests: Rises
    bad: Rises
    buckets: Mapping[float, Rises]

    def profile(self) -> dict[float, float]:
        """Requests per bucket bound, of all targets together."""
        return {bound: _total(rises) for bound, rises in self.buckets.items()}

    def together(self) -> "Past":
        """All targets as one: a gateway's instances are no pods of a revision."""
        return replace(
            self,
            requests=_as_one(self.requests),
            bad=_as_one(self.bad),
            buckets={bound: _as_one(rises) for bound, rises in self.buckets.items()},
        )

    def scatter(self, settings: AnalysisSettings) -> Scatter:
        """Of errors."""
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


def informed(evidence: Evidence, settings: AnalysisSettings, history: History) -> Evidence:
    """The evidence with what the past says; as it was once a block was counted or the past was asked before."""
    if evidence.block_seq > 0 or evidence.before is not None:
        return evidence
    compared, servers = past(history.compared, history.end), past(history.servers, history.end)
    scattering = servers if servers.requests else compared.together()
    errors = scattering.scatter(settings)
    told = {
        ERRORS: lambda metric: _scattered(metric, {None: errors}),
        LATENCY: lambda metric: _histogram(metric, compared, scattering, settings, evidence.parts_started),
    }
    return replace(
        evidence,
        metrics=tuple(told[m.name](m) if m.name in told else m for m in evidence.metrics),
        limit=replace(evidence.limit, phi=errors.phi),
        before=StableBefore(
            requests=_total(compared.requests), bad=_total(compared.bad), seconds=round(compared.seconds, 3)
        ),
    )


def past(counters: Counters, end: float) -> Past:
    """From the first sample to `end`, in spans of equal length."""
    everything = (*counters.requests, *counters.bad, *counters.latency)
    first: dict[str, float] = {}
    for series in everything:
        for sample in series.samples[:1]:
            first[series.target] = min(sample.t, first.get(series.target, inf))
    start = min(first.values(), default=end)
    interval = spacing(series.samples for series in everything) or 1.0
    spans = min(MOST_SPANS, max(1, ceil((end - start) / interval)))
    grid = _Grid(start=start, length=max(end - start, 1.0) / spans, spans=spans, first=first)
    bounds = {series.le for series in counters.latency if series.le is not None}
    return Past(
        seconds=end - start,
        requests=grid.rises(counters.requests),
        bad=grid.rises(counters.bad),
        buckets={bound: grid.rises(s for s in counters.latency if s.le == bound) for bound in bounds},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    start: float
    length: float
    spans: int
    first: Mapping[str, float]
    """When each target was first seen: a series that is younger began at 0."""

    def rises(self, several: Iterable[Series]) -> dict[str, list[float]]:
        total: dict[str, list[float]] = {}
        for series in several:
            into = total.setdefault(series.target, [0.0] * self.spans)
            samples = cleaned(series.samples)
            if samples and samples[0].t > self.first[series.target]:
                into[self._span(samples[0].t)] += samples[0].v
            for before, after in pairwise(samples):
                into[self._span(after.t)] += after.v - before.v if after.v >= before.v else after.v
        return total

    def _span(self, t: float) -> int:
        return min(self.spans - 1, max(0, ceil((t - self.start) / self.length) - 1))


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


def _total(rises: Rises) -> float:
    return sum(sum(each) for each in rises.values())


def _histogram(
    metric: MetricEvidence, compared: Past, scattering: Past, settings: AnalysisSettings, parts: int
) -> MetricEvidence:
    """With edges from the past, where it has requests enough; else they come from the rollout's own first ones."""
    if metric.edges is None:
        profile = compared.profile()
        if profile.get(inf, 0.0) < histogram.LEAST_REQUESTS:
            return metric
        chosen = replace(metric, edges=histogram.choose_edges(histogram.exceedances(profile)), profile=())
        metric = replace(chosen, tests=fresh_tests(chosen, parts, Scatter()))
    return _scattered(metric, {t.edge: scattering.slow_scatter(t.edge or 0.0, settings) for t in metric.tests})


def _scattered(metric: MetricEvidence, found: Mapping[float | None, Scatter]) -> MetricEvidence:
    return replace(metric, tests=tuple(replace(test, scatter=found[test.edge]) for test in metric.tests))
