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

from modelrollout.decide.lookback import History
from modelrollout.decide.past import Counters
from modelrollout.domain.metrics import ERRORS, MetricSettings
from modelrollout.domain.polls import BAD_PART, REQUESTS, SUM_PART, Arm, Arms, Poll, Sample, Series
from modelrollout.measure.queries import MeasurePlan
from modelrollout.measure.series import SeriesPreset

PIECE = 1800.0
_ERRORS = MetricSettings.of(ERRORS)
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
    """Series of the stable revision: one preset's, and of the user's own metrics."""

    namespace: str
    preset: SeriesPreset
    stable: Arm
    metrics: tuple[MetricSettings, ...]
    """That are asked for beside errors; a gauge has no past to count."""


async def look_back(prometheus: Asks, span: Span, *, compared: Source, servers: Source | None) -> History:
    """`servers` None: their series are not known. Where both are one preset it is asked once, for all of `compared`."""
    same = servers is not None and servers.preset == compared.preset
    asked = [compared] if servers is None or same else [compared, servers]
    answers: list[list[Poll]] = [[] for _ in asked]
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST.total_seconds()):
            await asyncio.gather(
                *(_ask(prometheus, span, source, into) for source, into in zip(asked, answers, strict=True))
            )
    first, last = _counters(answers[0]), _counters(answers[-1])
    return History(end=span.end, compared=first, servers={} if servers is None else last)


async def _ask(prometheus: Asks, span: Span, source: Source, into: list[Poll]) -> None:
    """Samples must be without a gap: until a piece fails, and each metric until one of its own queries does."""
    wanted = tuple(metric for metric in source.metrics if metric.is_counted and metric.name != ERRORS)
    for piece in span.pieces():
        (poll,) = await prometheus.ask(
            MeasurePlan(
                namespace=source.namespace,
                preset=source.preset,
                arms=Arms(stable=source.stable, candidate=Arm(revision="")),
                polls=(piece.end,),
                since=piece.start,
                metrics=(_ERRORS, *wanted),
            )
        )
        failed = {name.partition("/")[0] for name, answer in poll.answers.items() if not isinstance(answer, tuple)}
        if REQUESTS in failed or REQUESTS not in poll.answers:
            return
        wanted = tuple(metric for metric in wanted if metric.name not in failed)
        kept = {REQUESTS, *(metric.name for metric in wanted)}
        into.append(replace(poll, answers={n: a for n, a in poll.answers.items() if n.partition("/")[0] in kept}))


def _counters(polls: Sequence[Poll]) -> dict[str, Counters]:
    """Per metric; `requests` is that of errors. `polls`: the newest first."""
    names = dict.fromkeys(name.partition("/")[0] for poll in polls for name in poll.answers)
    found = {}
    for name in names:
        every = _answered(polls, name)
        whole = _joined(each for each in every if each.le is None)
        found[name] = Counters(
            total=whole,
            bad=_joined((*(each for each in whole if each.bad), *_answered(polls, f"{name}/{BAD_PART}"))),
            sums=_joined(_answered(polls, f"{name}/{SUM_PART}")),
            buckets=_joined(_with_bounds_of_the_newest(polls, name)),
        )
    return found


def _answered(polls: Sequence[Poll], name: str) -> list[Series]:
    answers = [poll.answers.get(name) for poll in polls]
    return [series for answer in answers if isinstance(answer, tuple) for series in answer]


def _with_bounds_of_the_newest(polls: Sequence[Poll], name: str) -> list[Series]:
    """Without the bounds that are no more, because another histogram is scraped."""
    newest = next((found for poll in polls if (found := _answered([poll], name))), [])
    bounds = {series.le for series in newest}
    return [series for series in _answered(polls, name) if series.le is not None and series.le in bounds]


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
