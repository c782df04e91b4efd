"""Asks for stable's past, once a rollout: raw samples in pieces of half an hour, the newest first.

Piece by piece, so that one answer stays small and what came before the time is up can be used. Never raises for what
a provider does: what it does not answer is not known, and evidence of nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from modelrollout.decide.lookback import Counters, History
from modelrollout.domain.metrics import LATENCY, MetricSettings
from modelrollout.domain.polls import BAD, REQUESTS, Arm, Arms, Poll, Sample, Series
from modelrollout.measure.queries import MeasurePlan
from modelrollout.measure.series import SeriesPreset

PIECE = 1800.0
_METRICS = (MetricSettings.of("errors"), MetricSettings.of("latency"))
LONGEST = timedelta(seconds=10)
"""For all pieces together: the first polls of the rollout come behind them."""


class Asks(Protocol):
    async def ask(self, plan: MeasurePlan) -> tuple[Poll, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is asked for, in unix seconds."""

    start: float
    end: float

    def pieces(self) -> list["Span"]:
        """Newest first."""
        found, end = [], self.end
        while end > self.start:
            found.append(Span(start=max(self.start, end - PIECE), end=end))
            end -= PIECE
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One preset's series of the stable revision."""

    namespace: str
    preset: SeriesPreset
    stable: Arm
    latency: bool
    """Whether latency is compared at all."""


async def look_back(prometheus: Asks, span: Span, *, compared: Source, servers: Source | None) -> History:
    """`servers` None: their series are not known. Where both are one source it is asked once."""
    same = servers == compared
    asked = [compared] if servers is None or same else [compared, servers]
    answers: list[list[Poll]] = [[] for _ in asked]
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST.total_seconds()):
            await asyncio.gather(
                *(_ask(prometheus, span, source, into) for source, into in zip(asked, answers, strict=True))
            )
    first, last = _counters(answers[0]), _counters(answers[-1])
    return History(end=span.end, compared=first, servers=Counters() if servers is None else last)


async def _ask(prometheus: Asks, span: Span, source: Source, into: list[Poll]) -> None:
    """Until a piece fails: samples must be without a gap."""
    for piece in span.pieces():
        (poll,) = await prometheus.ask(
            MeasurePlan(
                namespace=source.namespace,
                preset=source.preset,
                arms=Arms(stable=source.stable, candidate=Arm(revision="")),
                polls=(piece.end,),
                since=piece.start,
                metrics=_METRICS if source.latency else _METRICS[:1],
            )
        )
        if not isinstance(poll.answers.get(REQUESTS), tuple):
            return
        into.append(poll)


def _counters(polls: Sequence[Poll]) -> Counters:
    """`polls`: the newest first. A bound that is no more, because another histogram is scraped, is left out."""
    requests: list[Series] = []
    bad: list[Series] = []
    latency: list[Series] = []
    for poll in polls:
        for name, into in ((REQUESTS, requests), (BAD, bad), (LATENCY, latency)):
            answer = poll.answers.get(name)
            into.extend(answer if isinstance(answer, tuple) else ())
    known = (answer for poll in polls if isinstance(answer := poll.answers.get(LATENCY), tuple) and answer)
    bounds = {series.le for series in next(known, ())}
    return Counters(
        requests=_joined(requests),
        bad=_joined((*(series for series in requests if series.bad), *bad)),
        latency=_joined(series for series in latency if series.le in bounds),
    )


def _joined(pieces: Iterable[Series]) -> tuple[Series, ...]:
    """One series each, in order of time; where pieces overlap a sample is there once."""
    found: dict[tuple[str, tuple[tuple[str, str], ...], float | None], Series] = {}
    samples: dict[tuple[str, tuple[tuple[str, str], ...], float | None], dict[float, Sample]] = defaultdict(dict)
    for series in pieces:
        key = (series.target, series.labels, series.le)
        found.setdefault(key, series)
        samples[key].update((sample.t, sample) for sample in series.samples)
    return tuple(
        replace(series, samples=tuple(samples[key][t] for t in sorted(samples[key]))) for key, series in found.items()
    )
