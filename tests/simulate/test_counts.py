"""Counts and requests come to the same: the same samples, the same blocks, the same evidence."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import inf
from typing import NamedTuple

from modelrollout.decide.counted import Counted
from modelrollout.decide.evidence import absorb, begin, enter_step, measure_since, polls_due
from modelrollout.decide.growth import grown
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.metrics import LATENCY
from modelrollout.domain.polls import REQUESTS
from modelrollout.domain.tally import Tally
from modelrollout.simulate.scraped import Scraped
from tests.decide.simulated import ARMS, BOUNDS, TARGET, World
from tests.simulate.specs import QUICK

BEGUN = 65.0


class Request(NamedTuple):
    at: float
    revision: str
    bad: int
    buckets: tuple[int, ...]


class Noting(Scraped):
    """Writes down every request and scrape beside counting it."""

    def __init__(self, bounds: Sequence[float]) -> None:
        super().__init__(bounds)
        self.now: Callable[[], float] = lambda: 0.0
        self.requests: list[Request] = []
        self.scrapes: list[float] = []

    def add(self, target: str, revision: str, *, good: int, bad: int, buckets: Sequence[int] = ()) -> None:
        self.requests.append(Request(self.now(), revision, bad, tuple(buckets)))
        super().add(target, revision, good=good, bad=bad, buckets=buckets)

    def scrape(self, target: str, at: float) -> None:
        self.scrapes.append(at)
        super().scrape(target, at)

    def of(self, revision: str, after: float, until: float) -> tuple[int, int, list[int]]:
        """Requests, bad ones, and how many in each bucket."""
        mine = [each for each in self.requests if each.revision == revision and after < each.at <= until]
        return len(mine), sum(each.bad for each in mine), [sum(n) for n in zip(*(r.buckets for r in mine), strict=True)]

    def counted(self, start: float, end: float) -> Counted:
        """Of what a scrape showed at `end` and not yet at `start`."""
        low, high = (self.scrapes[bisect_right(self.scrapes, at) - 1] for at in (start, end))
        (nc, xc, canary), (ns, xs, stable) = self.of("new", low, high), self.of("old", low, high)
        return Counted(
            start=start,
            end=end,
            errors=Tally(x_canary=float(xc), n_canary=float(nc), x_stable=float(xs), n_stable=float(ns)),
            histograms={"latency": (_cumulative(canary), _cumulative(stable))},
            carried=(),
        )


def _cumulative(buckets: list[int]) -> dict[float, float]:
    return dict(zip((*BOUNDS, inf), map(float, accumulate(buckets)), strict=True))


def a_world(seed: int, rps: float, rate_new: float = 0.005) -> tuple[World, Noting]:
    world, noting = World(seed=seed, rps=rps, rate_new=rate_new, scrape=5.0), Noting(BOUNDS)
    noting.now = lambda: world._next
    world._scraped = noting
    return world, noting


def in_step() -> Evidence:
    evidence = begin(QUICK, stable="old", candidate="new", attempt="1", steps=3, at=BEGUN)
    return enter_step(evidence, QUICK, step=0, weight=20, at=BEGUN)


def test_counted_blocks_give_the_same_evidence_as_raw_samples() -> None:
    world, noting = a_world(seed=3, rps=60, rate_new=0.02)
    world.run_to(BEGUN)
    world.weight = 20
    from_samples = in_step()
    while world.now < 300:
        world.run_to(world.now + 0.5)
        for at in polls_due(from_samples, QUICK, world.now):
            from_samples = absorb(from_samples, QUICK, world.poll(at, measure_since(from_samples)), ARMS)
    from_counts = in_step()
    for block in from_samples.recent:
        from_counts = grown(from_counts, QUICK, noting.counted(block.start, block.end))
    assert from_samples.block_seq == len(from_samples.recent) == 15
    assert from_counts.metrics == from_samples.metrics
    assert from_counts.step_requests == from_samples.step_requests
    assert from_counts.regression == from_samples.regression
    assert from_counts.metrics[1].edges, "latency was compared, too"


def test_counts_between_scrapes_leave_the_samples_that_single_requests_leave() -> None:
    world, noting = a_world(seed=4, rps=40)
    world.run_to(63)
    counted, before = Scraped(BOUNDS), -inf
    for scrape in noting.scrapes:
        requests, bad, buckets = noting.of("old", before, scrape)
        counted.add(TARGET, "old", good=requests - bad, bad=bad, buckets=buckets)
        counted.scrape(TARGET, scrape)
        before = scrape
    from_requests, from_counts = world.poll(60.0), counted.poll(60.0)
    assert from_counts.answers == from_requests.answers
    assert from_counts.answers[LATENCY]


def samples_by_code(scraped: Scraped, at: float, since: float = -inf) -> dict[str, list[tuple[float, float]]]:
    answer = scraped.poll(at, since).answers[REQUESTS]
    assert isinstance(answer, tuple)
    return {dict(series.labels)["code"]: [(s.t, s.v) for s in series.samples] for series in answer}


def test_a_series_is_born_with_its_first_request() -> None:
    scraped = Scraped(None)
    scraped.scrape("gw", 0.0)
    scraped.add("gw", "new", good=3, bad=0)
    scraped.scrape("gw", 15.0)
    scraped.add("gw", "new", good=0, bad=1)
    scraped.scrape("gw", 30.0)
    assert samples_by_code(scraped, 30.0) == {"200": [(15.0, 3.0), (30.0, 3.0)], "500": [(30.0, 1.0)]}
    assert samples_by_code(scraped, 14.0) == {}
    assert LATENCY not in scraped.poll(30.0).answers


def test_a_query_sees_only_its_span() -> None:
    scraped = Scraped((0.1,))
    for number in range(10):
        scraped.add("gw", "old", good=1, bad=0, buckets=[1, 0])
        scraped.scrape("gw", float(number))
    assert [t for t, _ in samples_by_code(scraped, 7.5, since=5.0)["200"]] == [5.0, 6.0, 7.0]


def test_the_whole_service_is_every_revisions_rise_over_each_window() -> None:
    scraped = Scraped(None)
    for minute in range(120):
        scraped.add("gw", "old", good=90, bad=10 if minute >= 110 else 0)
        if minute >= 60:
            scraped.add("gw", "new", good=10, bad=0)
        scraped.scrape("gw", 60.0 * (minute + 1))
    windows = scraped.service_windows(7200.0)
    assert (windows.five_minutes.bad, windows.five_minutes.total) == (50, 5 * 110)
    assert (windows.thirty_minutes.bad, windows.thirty_minutes.total) == (100, 30 * 100 + 100)
    assert (windows.one_hour.bad, windows.one_hour.total) == (100, 60 * 100 + 100)
    assert (windows.six_hours.bad, windows.six_hours.total) == (100, 120 * 90 + 60 * 10 + 100), "all that there is"
