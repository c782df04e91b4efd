"""From the raw samples of a poll to the counts of both arms over one span.

The rule that closes a block looks only at request counts and at completeness, never at bad events:
otherwise the guarantee of the tests would be lost. Missing data is never a success and never a
failure: an absent bad series beside a rising total is x = 0, an absent arm is n = 0. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from modelrollout.decide.increments import cleaned, increase
from modelrollout.domain.polls import (
    BAD_PART,
    IN_FLIGHT,
    REQUESTS,
    SUM_PART,
    TARGETS,
    VALUE_PART,
    Arm,
    Arms,
    Poll,
    Sample,
    Series,
)
from modelrollout.domain.tally import Tally

LEAST_PER_ARM = 5
MOST_SECONDS = 60.0
COMPLETE_SHARE = 0.9
FRESH_INTERVALS = 1.5
LEAST_LOOKBACK = 60.0


@dataclass(slots=True, kw_only=True)
class TargetCount:
    """What one pod or gateway instance counted of one metric for one arm. Mutable while it is being counted."""

    n: float = 0.0
    x: float = 0.0
    scores: float = 0.0
    """Sum of the scores of `n` answers."""
    value: float | None = None
    """Of a gauge, at the end; of requests in flight the sum over its series."""
    exports: bool = False
    """The total's series is there, whether or not it rose."""
    buckets: dict[float, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBlock:
    """A span as it is known at one poll."""

    start: float
    end: float
    metrics: Mapping[str, Mapping[tuple[str, str], TargetCount]]
    """Per metric, `requests` being what all of them are requests of, by (revision, target)."""
    fresh: frozenset[str]
    """Targets with a sample close before the end."""
    warm: frozenset[tuple[str, str]]
    """Those whose latency counts: Ready for longer than the warmup when the block began."""
    scrapes: Mapping[str, int]
    """Scrapes of each target inside the block."""

    @property
    def age(self) -> float:
        return self.end - self.start

    @property
    def counts(self) -> Mapping[tuple[str, str], TargetCount]:
        """Of all requests."""
        return self.metrics.get(REQUESTS, {})

    def errors(self, arms: Arms, targets: frozenset[str] | None = None) -> Tally:
        """Requests and errors of both arms, of these targets only where given."""
        return self.tally(REQUESTS, arms, targets)

    def tally(self, metric: str, arms: Arms, targets: frozenset[str] | None) -> Tally:
        """A ratio's counts of both arms, of these targets only where given."""
        nc, xc = self._sum(metric, arms.candidate, targets)
        ns, xs = self._sum(metric, arms.stable, targets)
        return Tally(x_canary=xc, n_canary=nc, x_stable=xs, n_stable=ns)

    def scores(self, metric: str, arm: Arm, targets: frozenset[str] | None) -> tuple[float, float]:
        """How many answers of an arm were scored, and the sum of their scores."""
        mine = self._of(metric, arm, targets)
        return sum(c.n for c in mine), sum(c.scores for c in mine)

    def value(self, metric: str, arm: Arm, targets: frozenset[str] | None) -> float | None:
        """A gauge's mean over an arm's targets; None where none shows it."""
        values = [c.value for c in self._of(metric, arm, targets) if c.value is not None]
        return sum(values) / len(values) if values else None

    def in_flight(self, arm: Arm, targets: frozenset[str] | None) -> float | None:
        """Requests of an arm that are not answered yet, at the end; None where no target shows any."""
        values = [c.value for c in self._of(IN_FLIGHT, arm, targets) if c.value is not None]
        return sum(values) if values else None

    def _sum(self, metric: str, arm: Arm, targets: frozenset[str] | None) -> tuple[float, float]:
        mine = self._of(metric, arm, targets)
        return sum(c.n for c in mine), sum(c.x for c in mine)

    def _of(self, metric: str, arm: Arm, targets: frozenset[str] | None) -> list[TargetCount]:
        counts = self.metrics.get(metric, {}).items()
        return [c for (rev, t), c in counts if rev == arm.revision and (targets is None or t in targets)]

    def buckets(self, metric: str, arm: Arm, targets: frozenset[str] | None) -> dict[float, float]:
        """Cumulative counts of a histogram of an arm's warm targets, per bound."""
        total: dict[float, float] = {}
        for (revision, target), count in self.metrics.get(metric, {}).items():
            mine = revision == arm.revision and (revision, target) in self.warm
            if mine and (targets is None or target in targets):
                for bound, rise in count.buckets.items():
                    total[bound] = total.get(bound, 0.0) + rise
        return total

    def requests_by_target(self) -> tuple[tuple[str, str, float], ...]:
        return tuple((rev, target, c.n) for (rev, target), c in sorted(self.counts.items()) if c.n > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """Whether a block ends at this poll, and with whose counts (None: everybody's)."""

    closes: bool
    targets: frozenset[str] | None = None


def lookback(scrape_interval: float) -> float:
    """How far before a block its samples are read: enough for the base of every series."""
    return max(LEAST_LOOKBACK, 2 * scrape_interval)


def read_block(poll: Poll, arms: Arms, *, start: float, scrape_interval: float, warmup: float) -> OpenBlock:
    """Count (start, poll.at] from raw samples; the same samples give the same counts, however often."""
    since, end = start - lookback(scrape_interval), poll.at
    answers = {name: _trimmed(answer, since, end) for name, answer in poll.answers.items() if isinstance(answer, tuple)}
    seen = _scrape_times(answers.values())
    oldest_fresh = end - FRESH_INTERVALS * scrape_interval
    metrics: dict[str, dict[tuple[str, str], TargetCount]] = {}
    newborn = {pod.name for arm in (arms.stable, arms.candidate) for pod in arm.pods if pod.created_at > start}
    for name in sorted(answers):
        metric, part, *_ = (*name.split("/"), "")
        for series, samples in answers[name] if metric != TARGETS else ():
            count = metrics.setdefault(metric, {}).setdefault((series.revision, series.target), TargetCount())
            if metric == IN_FLIGHT and samples[-1].t >= oldest_fresh:
                count.value = (count.value or 0.0) + samples[-1].v
            if metric == IN_FLIGHT:
                continue
            if part == VALUE_PART:
                count.value = samples[-1].v if samples[-1].t >= oldest_fresh else count.value
                continue
            born_inside = series.target in newborn or any(t <= start for t in seen.get(series.target, ()))
            _add(count, part, series, increase(samples, start, end, first_is_zero=born_inside))
    return OpenBlock(
        start=start,
        end=end,
        metrics=metrics,
        fresh=frozenset(target for target, times in seen.items() if max(times) >= oldest_fresh),
        warm=_warm({each for counts in metrics.values() for each in counts}, arms, start - warmup),
        scrapes={target: sum(1 for t in times if t > start) for target, times in seen.items()},
    )


def _add(count: TargetCount, part: str, series: Series, rise: float) -> None:
    """`part` of the metric's query: empty for all of it, else what these series count of it."""
    if series.le is not None:
        count.buckets[series.le] = count.buckets.get(series.le, 0.0) + rise
        return
    if not part:
        count.exports = True
        count.n += rise
    if part == SUM_PART:
        count.scores += rise
    if part == BAD_PART or series.bad:
        count.x += rise


def _trimmed(answer: Iterable[Series], since: float, end: float) -> list[tuple[Series, tuple[Sample, ...]]]:
    kept = ((series, cleaned(series.samples, since=since, until=end)) for series in answer)
    return [(series, samples) for series, samples in kept if samples]


def _scrape_times(answers: Iterable[list[tuple[Series, tuple[Sample, ...]]]]) -> dict[str, set[float]]:
    """When each target was scraped with success: any sample says so, but `up` 0 says the opposite."""
    times: dict[str, set[float]] = {}
    for answer in answers:
        for series, samples in answer:
            good = {s.t for s in samples if series.revision or s.v > 0}
            if good:
                times.setdefault(series.target, set()).update(good)
    return times


def _warm(counts: Iterable[tuple[str, str]], arms: Arms, ready_before: float) -> frozenset[tuple[str, str]]:
    ready: set[tuple[str, str]] = set()
    for arm in (arms.stable, arms.candidate):
        pods = {pod.name: pod.ready_at for pod in arm.pods}
        for revision, target in counts:
            if revision == arm.revision:
                at = arm.ready_at if arm.service else pods.get(target, arm.ready_at)
                if at is None or at <= ready_before:
                    ready.add((revision, target))
    return frozenset(ready)


def closing(block: OpenBlock, arms: Arms, carried: Iterable[tuple[str, str, float]], *, alone: bool = False) -> Closing:
    """Close when both arms are complete and counted, or at the greatest age with the complete targets only.

    `carried`: requests per (revision, target) of the last block. A pod that is gone has said all it will.
    `alone`: stable gets no requests, and none are waited for.
    """
    gone = {pod.name for arm in (arms.stable, arms.candidate) for pod in arm.pods if pod.gone}
    expected = tuple(carried) or block.requests_by_target()
    complete = all(_is_complete(block, arm, expected, gone) for arm in (arms.stable, arms.candidate))
    if complete:
        tally = block.errors(arms)
        counted = tally.n_canary if alone else min(tally.n_canary, tally.n_stable)
        if counted >= LEAST_PER_ARM or block.age >= MOST_SECONDS:
            return Closing(closes=True)
    elif block.age >= MOST_SECONDS:
        return Closing(closes=True, targets=block.fresh | gone)
    return Closing(closes=False)


def _is_complete(block: OpenBlock, arm: Arm, expected: Iterable[tuple[str, str, float]], gone: set[str]) -> bool:
    listed = {pod.name for pod in arm.pods}
    mine = [
        (target, n)
        for revision, target, n in expected
        if revision == arm.revision and target not in gone and (not listed or target in listed)
    ]
    total = sum(n for _, n in mine)
    return sum(n for target, n in mine if target in block.fresh) >= COMPLETE_SHARE * total


def ready_scrapes_without_series(block: OpenBlock, arms: Arms) -> int:
    """Scrapes of ready pods in a block in which neither arm exports the total: a wrong metric or selector.

    Of the gateway it cannot be told from an arm without requests: its series are born with the first one.
    """
    if arms.stable.service or arms.candidate.service or any(count.exports for count in block.counts.values()):
        return 0
    ready = [pod.name for arm in (arms.stable, arms.candidate) for pod in arm.pods if pod.ready_at is not None]
    return min((block.scrapes.get(name, 0) for name in ready), default=0)
