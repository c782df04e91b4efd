"""Users and both versions' answers, drawn as counts between scrapes and handed to the counters.

Requests come independently at a constant rate (Poisson), each goes to the candidate with its share, fails with its
version's rate and takes as long as its version takes. Drawn are the counts of a span, never single requests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from random import Random

from modelrollout.domain.polls import Poll
from modelrollout.domain.service_errors import ServiceWindows
from modelrollout.simulate.chance import binomial, poisson, shared_out
from modelrollout.simulate.own_metrics import Drawn, OwnMetric, bucket_shares
from modelrollout.simulate.scenario import Scenario, Version
from modelrollout.simulate.scraped import Scraped


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One revision's part of the requests, 0 to 1, over targets that count alike."""

    revision: str
    part: float
    targets: tuple[str, ...]


@dataclass(slots=True)
class Answered:
    """What users got from the candidate."""

    requests: int = 0
    bad: int = 0
    first_bad: float | None = None
    """When it failed for the first time since it turned."""


class Traffic:
    """From `begin` on, in seconds; nothing is counted before."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        candidate: str,
        bounds: tuple[float, ...] | None,
        own: Sequence[OwnMetric] = (),
        begin: float,
        rng: Random,
    ) -> None:
        self._own = Drawn(own, (scenario.stable, scenario.tested), rng)
        self.scraped = Scraped(bounds, beside=self._own.queries, histograms=self._own.histograms)
        self.answered = Answered()
        self.turns_at = inf
        self._scenario = scenario
        self._candidate = candidate
        self._rng = rng
        self._drawn = begin
        self._next_scrape = begin + rng.random() * scenario.scrape
        self._shares: tuple[Share, ...] = ()
        self._buckets: Mapping[Version, list[float]] = {
            version: bucket_shares(version.latency, bounds) for version in {scenario.stable, scenario.tested}
        }

    def to(self, at: float) -> None:
        """Everything up to `at` that a scrape has seen; what came since the last scrape is drawn with the next."""
        while self._next_scrape <= at:
            self._draw(self._next_scrape)
            for target in dict.fromkeys(target for share in self._shares for target in share.targets):
                self.scraped.scrape(target, self._next_scrape)
            self._next_scrape += self._scenario.scrape

    def split(self, at: float, shares: tuple[Share, ...]) -> None:
        """From now on requests go this way."""
        if shares == self._shares:
            return
        self.to(at)
        self._draw(at)
        self._shares = shares
        if self.turns_at == inf and any(each.part > 0 and each.revision == self._candidate for each in shares):
            self.turns_at = at + self._scenario.good_for

    def poll(self, at: float, since: float) -> Poll:
        self.to(at)
        return self.scraped.poll(at, since)

    def service_windows(self, at: float) -> ServiceWindows:
        self.to(at)
        return self.scraped.service_windows(at)

    def _draw(self, until: float) -> None:
        if self._drawn < self.turns_at < until:
            self._draw_span(self._drawn, self.turns_at)
            self._drawn = self.turns_at
        if until > self._drawn:
            self._draw_span(self._drawn, until)
            self._drawn = until

    def _draw_span(self, begin: float, end: float) -> None:
        for share in self._shares:
            turned = share.revision == self._candidate and begin >= self.turns_at
            version = self._scenario.tested if turned else self._scenario.stable
            for target in share.targets:
                mean = self._scenario.requests_per_second * share.part * (end - begin) / len(share.targets)
                requests = poisson(self._rng, mean)
                bad = binomial(self._rng, requests, version.error_rate)
                chances = self._buckets[version]
                buckets = shared_out(self._rng, requests, chances) if chances else []
                self.scraped.add(target, share.revision, good=requests - bad, bad=bad, buckets=buckets)
                self._own.draw(self.scraped, (target, share.revision), version, requests)
                if share.revision == self._candidate:
                    self._note(begin, end, requests, bad)

    def _note(self, begin: float, end: float, requests: int, bad: int) -> None:
        answered = self.answered
        answered.requests += requests
        answered.bad += bad
        if bad and begin >= self.turns_at:
            # The earliest of `bad` moments, each anywhere in the span.
            earliest = begin + (end - begin) * (1 - self._rng.random() ** (1 / bad))
            answered.first_bad = earliest if answered.first_bad is None else min(answered.first_bad, earliest)
