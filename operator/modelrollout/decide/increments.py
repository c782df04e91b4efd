"""How much a counter rose in a span, from its raw samples.

Exact by intent: neither `increase()` nor `rate()`, which extrapolate and lose what happened
between windows and in a new series' first value. Pure.

Worked example: (0,100) (15,110) (30,7) (45,9) over (0,45]: 10, then a restart: 7, then 2 = 19.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import inf, isfinite
from operator import lt
from statistics import median

from modelrollout.domain.polls import Sample


def cleaned(samples: Iterable[Sample], *, since: float = -inf, until: float = inf) -> tuple[Sample, ...]:
    """Those of the span, sorted, one per timestamp, without what is not a number."""
    kept = tuple(sample for sample in samples if since <= sample[0] <= until and isfinite(sample[1]))
    times = [sample[0] for sample in kept]
    if all(map(lt, times, times[1:])):
        return kept  # as Prometheus sends them
    by_time = {sample.t: sample for sample in kept}
    return tuple(by_time[t] for t in sorted(by_time))


def increase(samples: Sequence[Sample], start: float, end: float, *, first_is_zero: bool) -> float:
    """Rise over (start, end]; the base is the last sample at or before `start`.

    `samples` are `cleaned`. Without a base the first value counts only where the series is known to
    have been born inside the span; otherwise it is itself the base.
    """
    total = 0.0
    previous: float | None = 0.0 if first_is_zero else None
    for t, value in samples:
        if t > end:
            break
        if t > start and previous is not None:
            total += value - previous if value >= previous else value
        previous = value
    return total


def spacing(series: Iterable[Sequence[Sample]]) -> float | None:
    """The scrape interval seen in the data: the median distance of neighbouring samples, to 0.1 s."""
    gaps = [b.t - a.t for samples in series for a, b in pairwise(samples)]
    return max(0.1, round(median(gaps), 1)) if gaps else None
