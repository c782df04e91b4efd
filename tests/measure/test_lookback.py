"""Stable's past, asked for in pieces, and what is made of pieces that do not come."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest

from modelrollout.decide.past import Counters
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.metrics import LATENCY, MetricSettings
from modelrollout.domain.metrics import Source as Whose
from modelrollout.domain.polls import REQUESTS, Arm, ArmPod, FaultKind, Poll, ProviderFault, Sample, Series
from modelrollout.domain.signals import Buckets, Counts, Gauge, SeriesSelector
from modelrollout.measure import lookback
from modelrollout.measure.lookback import Source, Span, look_back
from modelrollout.measure.queries import MeasurePlan
from tests.measure.arms import OLD_PATTERN, preset

DOWN = ProviderFault(kind=FaultKind.TIMEOUT, message="Prometheus does not answer in time")
METRICS = AnalysisSettings().metrics
GATEWAY = Source(
    namespace="shop",
    preset=preset(Whose.GATEWAY, "traefik"),
    stable=Arm(revision="old", service=OLD_PATTERN),
    metrics=METRICS,
)
SERVERS = Source(
    namespace="shop",
    preset=preset(Whose.SERVER, "mlserver"),
    stable=Arm(revision="old", pods=(ArmPod(name="old-1", created_at=0),)),
    metrics=METRICS,
)


class Provider:
    """Counts one request a second, half of them bad, scraped every 100 s; silent before `since`."""

    def __init__(self, *, since: float = 0.0, hangs: bool = False) -> None:
        self.asked: list[MeasurePlan] = []
        self._since = since
        self._hangs = hangs

    async def ask(self, plan: MeasurePlan) -> tuple[Poll, ...]:
        self.asked.append(plan)
        (end,) = plan.polls
        if self._hangs and len(self.asked) > 1:
            await asyncio.Event().wait()
        if plan.since < self._since:
            return (Poll(at=end, answers={REQUESTS: DOWN, LATENCY: DOWN}),)
        times = [float(t) for t in range(0, 10000, 100) if plan.since - 1 <= t <= end]
        bad = Series(
            revision="old", target="t", labels=(("code", "500"),), samples=tuple(Sample(t, t) for t in times), bad=True
        )
        good = Series(revision="old", target="t", labels=(("code", "200"),), samples=tuple(Sample(t, t) for t in times))
        return (Poll(at=end, answers={REQUESTS: (good, bad), LATENCY: DOWN}),)


def times(counters: Mapping[str, Counters]) -> list[float]:
    return [sample.t for sample in counters[REQUESTS].total[0].samples]


def test_a_span_is_asked_for_in_pieces_of_half_an_hour_the_newest_first() -> None:
    pieces = Span(start=1000, end=6000).pieces()
    assert pieces == [Span(start=4200, end=6000), Span(start=2400, end=4200), Span(start=1000, end=2400)]
    assert Span(start=5, end=5).pieces() == []


async def test_the_pieces_are_joined_without_a_gap_and_no_sample_is_there_twice() -> None:
    provider = Provider()
    found = await look_back(provider, Span(start=1000, end=6000), compared=GATEWAY, servers=None)
    assert times(found.compared) == [float(t) for t in range(1000, 6001, 100)]
    assert [series.bad for series in found.compared[REQUESTS].bad] == [True]
    assert set(found.compared) == {REQUESTS}, "latency did not answer"
    assert found.servers == {}
    assert {plan.namespace for plan in provider.asked} == {"shop"}
    assert all(plan.polls[0] - plan.since <= 1800 for plan in provider.asked)


async def test_what_comes_before_a_piece_that_failed_is_not_asked_for() -> None:
    provider = Provider(since=2500)
    found = await look_back(provider, Span(start=0, end=6000), compared=GATEWAY, servers=None)
    assert times(found.compared)[0] == 4200
    assert len(provider.asked) == 2


async def test_the_servers_series_are_asked_for_beside_the_gateways() -> None:
    provider = Provider()
    found = await look_back(provider, Span(start=0, end=600), compared=GATEWAY, servers=SERVERS)
    assert [plan.preset.name for plan in provider.asked] == ["traefik", "mlserver"]
    assert found.servers[REQUESTS].total
    once = Provider()
    assert (await look_back(once, Span(start=0, end=600), compared=SERVERS, servers=SERVERS)).servers[REQUESTS].total
    assert len(once.asked) == 1


async def test_bounds_that_are_no_more_are_left_out() -> None:
    """They would count less than all requests do."""

    class Changed(Provider):
        async def ask(self, plan: MeasurePlan) -> tuple[Poll, ...]:
            (poll,) = await super().ask(plan)
            bounds = (0.25, inf) if len(self.asked) == 1 else (0.3, 0.25, inf)
            answer = poll.answers[REQUESTS]
            assert isinstance(answer, tuple)
            one = answer[0]
            latency = tuple(replace(one, le=bound) for bound in bounds)
            return (replace(poll, answers={**poll.answers, LATENCY: latency}),)

    found = await look_back(Changed(), Span(start=1000, end=6000), compared=GATEWAY, servers=None)
    assert {(each.le, len(each.samples)) for each in found.compared[LATENCY].buckets} == {(0.25, 51), (inf, 51)}


async def test_when_the_time_is_up_what_has_come_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookback, "LONGEST", lookback.LONGEST * 0.001)
    found = await look_back(Provider(hangs=True), Span(start=0, end=6000), compared=GATEWAY, servers=None)
    assert times(found.compared)[0] == 4200


class OfMany(Provider):
    """Answers for `quality` and `wait`, too; `wait` not before `silent`."""

    def __init__(self, *, silent: float = 0.0) -> None:
        super().__init__()
        self._silent = silent

    async def ask(self, plan: MeasurePlan) -> tuple[Poll, ...]:
        (poll,) = await super().ask(plan)
        total = poll.answers[REQUESTS]
        assert isinstance(total, tuple)
        wait = tuple(replace(each, bad=False, le=0.5) for each in total)
        answers = {"quality": total[:1], "quality/bad": total[1:], "wait": DOWN if plan.since < self._silent else wait}
        wanted = {metric.name for metric in plan.metrics}
        mine = {name: each for name, each in answers.items() if name.partition("/")[0] in wanted}
        return (replace(poll, answers={REQUESTS: total, **mine}),)


ANY = SeriesSelector(series=("any",))
OWN = (
    MetricSettings.of("quality", signal=Counts(total=ANY, bad=ANY)),
    MetricSettings.of("wait", signal=Buckets(buckets=ANY, unit=1.0)),
    MetricSettings.of("drift", signal=Gauge(gauge=ANY, margin=0.0, window=timedelta(minutes=5))),
)


async def test_metrics_of_ones_own_are_asked_for_in_the_same_pieces_and_gauges_are_not() -> None:
    provider = OfMany()
    source = replace(GATEWAY, metrics=OWN)
    found = await look_back(provider, Span(start=1000, end=6000), compared=source, servers=replace(SERVERS, metrics=()))
    assert {tuple(metric.name for metric in plan.metrics) for plan in provider.asked} == {
        ("errors", "quality", "wait"),
        ("errors",),
    }
    every = [float(t) for t in range(1000, 6001, 100)]
    quality = found.compared["quality"]
    assert [[s.t for s in series.samples] for series in (*quality.total, *quality.bad)] == [every, every]
    assert [series.le for series in found.compared["wait"].buckets] == [0.5, 0.5]
    assert set(found.servers) == {REQUESTS}


async def test_a_metric_whose_query_failed_is_not_asked_for_any_further_back() -> None:
    provider = OfMany(silent=2500)
    found = await look_back(provider, Span(start=0, end=6000), compared=replace(GATEWAY, metrics=OWN), servers=None)
    asked = [[metric.name for metric in plan.metrics] for plan in provider.asked]
    assert asked == [
        ["errors", "quality", "wait"],
        ["errors", "quality", "wait"],
        ["errors", "quality"],
        ["errors", "quality"],
    ]
    assert min(s.t for series in found.compared["wait"].buckets for s in series.samples) == 4200
    assert min(s.t for series in found.compared["quality"].bad for s in series.samples) < 4200
