"""Stable's past, asked for in pieces, and what is made of pieces that do not come."""

import asyncio
from dataclasses import replace
from math import inf

import pytest

from modelrollout.decide.lookback import Counters
from modelrollout.domain.metrics import LATENCY
from modelrollout.domain.metrics import Source as Whose
from modelrollout.domain.polls import REQUESTS, Arm, ArmPod, FaultKind, Poll, ProviderFault, Sample, Series
from modelrollout.measure import lookback
from modelrollout.measure.lookback import Source, Span, look_back
from modelrollout.measure.queries import MeasurePlan
from tests.measure.arms import OLD_PATTERN, preset

DOWN = ProviderFault(kind=FaultKind.TIMEOUT, message="Prometheus does not answer in time")
GATEWAY = Source(
    namespace="shop",
    preset=preset(Whose.GATEWAY, "traefik"),
    stable=Arm(revision="old", service=OLD_PATTERN),
    latency=True,
)
SERVERS = Source(
    namespace="shop",
    preset=preset(Whose.SERVER, "mlserver"),
    stable=Arm(revision="old", pods=(ArmPod(name="old-1", created_at=0),)),
    latency=True,
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


def times(counters: Counters) -> list[float]:
    return [sample.t for sample in counters.requests[0].samples]


def test_a_span_is_asked_for_in_pieces_of_half_an_hour_the_newest_first() -> None:
    pieces = Span(start=1000, end=6000).pieces()
    assert pieces == [Span(start=4200, end=6000), Span(start=2400, end=4200), Span(start=1000, end=2400)]
    assert Span(start=5, end=5).pieces() == []


async def test_the_pieces_are_joined_without_a_gap_and_no_sample_is_there_twice() -> None:
    provider = Provider()
    found = await look_back(provider, Span(start=1000, end=6000), compared=GATEWAY, servers=None)
    assert times(found.compared) == [float(t) for t in range(1000, 6001, 100)]
    assert [series.bad for series in found.compared.bad] == [True]
    assert found.compared.latency == ()
    assert found.servers == Counters()
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
    assert found.servers.requests
    once = Provider()
    assert (await look_back(once, Span(start=0, end=600), compared=SERVERS, servers=SERVERS)).servers.requests
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
    assert {(each.le, len(each.samples)) for each in found.compared.latency} == {(0.25, 51), (inf, 51)}


async def test_when_the_time_is_up_what_has_come_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookback, "LONGEST", lookback.LONGEST * 0.001)
    found = await look_back(Provider(hangs=True), Span(start=0, end=6000), compared=GATEWAY, servers=None)
    assert times(found.compared)[0] == 4200
