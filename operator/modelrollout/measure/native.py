"""Native histograms as the buckets that a classic one would have: one counter for each power of two, and one for all.

Powers of two are bounds at every resolution from one bucket per power of two on, so they survive its changes. What is
counted from them (increments, restarts, series that were just born) is counted as from classic buckets. Pure.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from math import ceil, floor, log2

from modelrollout.domain.polls import Sample
from modelrollout.measure.rows import NativeSample, Row

SHORTEST, LONGEST = 1e-4, 1e4
"""Seconds between which a request's time is worth an edge."""
_JUST_BEFORE = 0.0005
"""Seconds; Prometheus tells scrapes apart by whole milliseconds."""
_SAME = 1e-9
"""By which share of all observations a sum of fractions may be off."""

Cells = tuple[float, ...]
"""Observations up to each edge from the one before, the last those above all edges."""


def both_names(series: Iterable[str]) -> tuple[str, ...]:
    """Of classic buckets and of the native histogram: there is no telling which is scraped."""
    return tuple(dict.fromkeys(name for each in series for name in (each, each.removesuffix("_bucket"))))


def bounds(unit: float, named: Iterable[float]) -> tuple[float, ...]:
    """Powers of two and the edges that were named in seconds, as bounds of a histogram of that unit."""
    first, last = ceil(log2(SHORTEST / unit)), floor(log2(LONGEST / unit))
    wanted = (float(f"{edge / unit:.12g}") for edge in named)
    return tuple(sorted({*(2.0**power for power in range(first, last + 1)), *wanted}))


def as_buckets(rows: Iterable[Row], edges: Sequence[float]) -> Iterator[Row]:
    """The buckets of one histogram of one arm, classic or native, each request once.

    Of both, those are read that have been there longer, so that no counter begins in the middle of a rollout because
    somebody changed what is scraped; where both have, the classic ones. `edges` rise, in the unit of the histogram;
    one that lies inside of any bucket is left out for the whole arm, since nothing counts up to it.
    """
    rows = tuple(rows)
    classic = [row for row in rows if row.samples and "le" in row.labels]
    native = [row for row in rows if row.histograms and "le" not in row.labels]
    if native and (not classic or _seen_since(native) < min(s.t for row in classic for s in row.samples)):
        known = _resolved(native, edges)
        for row in native:
            yield from _expanded(row, known)
    else:
        yield from classic


def _seen_since(native: Iterable[Row]) -> float:
    return min(sample.t for row in native for sample in row.histograms)


def _resolved(native: Iterable[Row], edges: Sequence[float]) -> list[float]:
    found = {(lower, upper) for row in native for each in row.histograms for lower, upper, _ in each.buckets}
    return [edge for edge in edges if not any(lower < edge < upper for lower, upper in found)]


def _expanded(row: Row, edges: Sequence[float]) -> Iterator[Row]:
    """A restart is shown to all edges alike by a sample of 0: alone, an edge that did not fall would not notice."""
    times = {each.t: each for each in row.histograms}
    scrapes = [(t, _cells(times[t], edges)) for t in sorted(times)]
    restarts = [after[0] for before, after in pairwise(scrapes) if _restarted(before[1], after[1])]
    columns = zip(*(tuple(accumulate(cells)) for _, cells in scrapes), strict=True)
    for le, column in zip((*map(repr, edges), "+Inf"), columns, strict=True):
        counted = [Sample(t, number) for (t, _), number in zip(scrapes, column, strict=True)]
        fallen = [Sample(t - _JUST_BEFORE, 0.0) for t in restarts]
        yield Row({**row.labels, "le": le}, tuple(sorted(counted + fallen)))


def _cells(sample: NativeSample, edges: Sequence[float]) -> Cells:
    """Negative and zero observations are below every edge; what is not in any bucket (NaN) is above."""
    cells = [0.0] * (len(edges) + 1)
    for _, upper, number in sample.buckets:
        cells[bisect_left(edges, upper)] += number
    cells[-1] = sample.total - sum(cells[:-1])
    return tuple(cells)


def _restarted(before: Cells, after: Cells) -> bool:
    """Counters never fall but in a restart."""
    most = max(1.0, sum(before), sum(after)) * _SAME
    return any(late < early - most for early, late in zip(before, after, strict=True))
