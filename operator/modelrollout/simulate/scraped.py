"""Counters, and what a Prometheus has of them: one sample of each series at each scrape, nothing in between.

As on a real target a series is born with its first request, counts only upwards, and each scrape takes all series of
a target at one instant.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

from modelrollout.decide.burn import SERVICE_FAST_LONG, SERVICE_FAST_SHORT, SERVICE_SLOW_LONG, SERVICE_SLOW_SHORT
from modelrollout.domain.metrics import LATENCY
from modelrollout.domain.polls import REQUESTS, TARGETS, Poll, Sample, Series
from modelrollout.domain.service_errors import ServiceWindows, WindowCount

GOOD_CODE, BAD_CODE = "200", "500"


@dataclass(slots=True)
class _Counter:
    """One series. `born`: the index of the scrape that saw it first."""

    value: float = 0
    born: int | None = None
    samples: list[Sample] = field(default_factory=list)


@dataclass(slots=True)
class _Counted:
    """What one target counts of one revision."""

    good: _Counter = field(default_factory=_Counter)
    bad: _Counter = field(default_factory=_Counter)
    buckets: list[_Counter] = field(default_factory=list)
    """One per bound, not cumulative until they are scraped."""
    beside: dict[str, _Counter] = field(default_factory=dict)
    """By the name of the query that reads it."""
    histograms: dict[str, list[_Counter]] = field(default_factory=dict)
    """As `buckets`, by the metric's name."""


@dataclass(slots=True)
class _Target:
    times: list[float] = field(default_factory=list)
    counted: dict[str, _Counted] = field(default_factory=dict)
    """By revision."""


class Scraped:
    """`bounds`: upper bounds of the latency buckets, without +Inf; None: no latency series.

    `beside`: queries that other counters answer; `histograms`: the same bounds of other metrics.
    """

    def __init__(
        self,
        bounds: Sequence[float] | None,
        *,
        beside: Sequence[str] = (),
        histograms: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self._bounds = None if bounds is None else (*bounds, inf)
        self._beside = tuple(beside)
        self._histograms = {name: (*rising, inf) for name, rising in (histograms or {}).items()}
        self._targets: dict[str, _Target] = {}

    def add(self, target: str, revision: str, *, good: int, bad: int, buckets: Sequence[int] = ()) -> None:
        """Requests that were answered; `buckets`: how many in each bucket alone, the one up to +Inf last."""
        counted = self._counted(target, revision)
        counted.good.value += good
        counted.bad.value += bad
        for counter, number in zip(counted.buckets, buckets, strict=bool(buckets)):
            counter.value += number

    def rise(self, target: str, revision: str, query: str, by: float) -> None:
        """A counter beside the requests."""
        self._counted(target, revision).beside[query].value += by

    def observe(self, target: str, revision: str, metric: str, buckets: Sequence[int]) -> None:
        """A histogram beside the requests; `buckets` as in `add`."""
        for counter, number in zip(self._counted(target, revision).histograms[metric], buckets, strict=True):
            counter.value += number

    def _counted(self, target: str, revision: str) -> _Counted:
        here = self._targets.setdefault(target, _Target())
        counted = here.counted.get(revision)
        if counted is None:
            counted = here.counted[revision] = _Counted(
                buckets=[_Counter() for _ in self._bounds or ()],
                beside={query: _Counter() for query in self._beside},
                histograms={name: [_Counter() for _ in bounds] for name, bounds in self._histograms.items()},
            )
        return counted

    def scrape(self, target: str, at: float) -> None:
        """Times rise; a target that never counted anything is scraped, too."""
        here = self._targets.setdefault(target, _Target())
        number = len(here.times)
        here.times.append(at)
        for counted in here.counted.values():
            for counter in (counted.good, counted.bad, *counted.beside.values()):
                if counter.value or counter.born is not None:
                    _keep(counter, number, at, counter.value)
            if counted.good.value or counted.bad.value:
                _keep_buckets(counted.buckets, number, at)
            for histogram in counted.histograms.values():
                if any(counter.value for counter in histogram):
                    _keep_buckets(histogram, number, at)

    def poll(self, at: float, since: float = -inf) -> Poll:
        """What a query at `at` answers, reaching back to `since`."""
        answers: dict[str, list[Series]] = {REQUESTS: [], TARGETS: []}
        if self._bounds is not None:
            answers[LATENCY] = []
        answers |= {name: [] for name in (*self._beside, *self._histograms)}
        for name, here in self._targets.items():
            first, end = bisect_left(here.times, since), bisect_right(here.times, at)
            witness = tuple(Sample(t, 1.0) for t in here.times[first:end])
            if witness:
                answers[TARGETS].append(Series(revision="", target=name, labels=(), samples=witness))
            for revision, counted in here.counted.items():
                place = _Place(revision=revision, target=name, first=first, end=end)
                for code, counter in ((GOOD_CODE, counted.good), (BAD_CODE, counted.bad)):
                    answers[REQUESTS] += place.series(counter, (("code", code),), bad=code == BAD_CODE)
                for bound, counter in zip(self._bounds or (), counted.buckets, strict=True):
                    answers[LATENCY] += place.series(counter, (("le", str(bound)),), le=bound)
                for query, counter in counted.beside.items():
                    answers[query] += place.series(counter, ())
                for metric, bounds in self._histograms.items():
                    for bound, counter in zip(bounds, counted.histograms[metric], strict=True):
                        answers[metric] += place.series(counter, (("le", str(bound)),), le=bound)
        return Poll(at=at, answers={query: tuple(series) for query, series in answers.items()})

    def service_windows(self, at: float) -> ServiceWindows:
        """All revisions together; what began less than six hours ago has shorter windows, as on a real one."""
        counters = [counted for here in self._targets.values() for counted in here.counted.values()]

        def over(seconds: float) -> WindowCount:
            bad = sum(_rise(each.bad, at - seconds, at) for each in counters)
            return WindowCount(bad=bad, total=bad + sum(_rise(each.good, at - seconds, at) for each in counters))

        return ServiceWindows(
            six_hours=over(SERVICE_SLOW_LONG),
            one_hour=over(SERVICE_FAST_LONG),
            thirty_minutes=over(SERVICE_SLOW_SHORT),
            five_minutes=over(SERVICE_FAST_SHORT),
        )


def _rise(counter: _Counter, since: float, until: float) -> float:
    """From the last sample at or before `since`, or from birth."""
    first = bisect_right(counter.samples, since, key=lambda sample: sample.t)
    end = bisect_right(counter.samples, until, key=lambda sample: sample.t)
    return (counter.samples[end - 1].v if end else 0.0) - (counter.samples[first - 1].v if first else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One revision at one target, and which of its scrapes are asked for."""

    revision: str
    target: str
    first: int
    end: int

    def series(
        self, counter: _Counter, labels: tuple[tuple[str, str], ...], *, bad: bool = False, le: float | None = None
    ) -> list[Series]:
        """The one series of this counter; none before it was born."""
        samples = _cut(counter, self.first, self.end)
        if not samples:
            return []
        return [Series(revision=self.revision, target=self.target, labels=labels, samples=samples, bad=bad, le=le)]


def _keep_buckets(counters: Sequence[_Counter], number: int, at: float) -> None:
    for counter, below in zip(counters, accumulate(each.value for each in counters), strict=True):
        _keep(counter, number, at, below)


def _keep(counter: _Counter, number: int, at: float, value: float) -> None:
    if counter.born is None:
        counter.born = number
    counter.samples.append(Sample(at, float(value)))


def _cut(counter: _Counter, first: int, end: int) -> tuple[Sample, ...]:
    if counter.born is None:
        return ()
    return tuple(counter.samples[max(first - counter.born, 0) : max(end - counter.born, 0)])
