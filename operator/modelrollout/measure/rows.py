"""What a provider answers, read from its JSON and not yet told whose it is. Pure: no network, no clock.

A native histogram arrives as its buckets that are not empty, at a resolution that may change from scrape to scrape. It
is kept by whole powers of two: those are bounds at every resolution that halves or divides them.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import frexp, inf, isfinite, isnan, ldexp, log2
from typing import Any, NamedTuple

from modelrollout.domain.polls import Sample

FINEST = 8
"""Each power of two has at most 2^8 buckets."""


class NativeSample(NamedTuple):
    """A native histogram at one scrape."""

    t: float
    total: float
    """Of all observations."""
    buckets: tuple[tuple[float, float, float], ...] = ()
    """(lower bound, upper bound, observations above lower and up to upper), in the unit of the series."""


class Row(NamedTuple):
    """One series: its labels, its values, and its native histograms where it has any."""

    labels: Mapping[str, str]
    samples: tuple[Sample, ...] = ()
    histograms: tuple[NativeSample, ...] = ()


Rows = tuple[Row, ...]


class Unreadable(Exception):  # noqa: N818 -- what an answer is, as Unusable is
    """Native histograms that are not of the shape that Prometheus documents."""


def row_of(entry: Any) -> Row:
    """One element of a matrix. KeyError, TypeError, ValueError, AttributeError, ArithmeticError: it is none.

    "NaN" and "+Inf" arrive as text and are dropped later, as no finite numbers.
    """
    labels, natives = dict(entry["metric"]), entry.get("histograms")
    values = entry["values"] if natives is None else entry.get("values", ())
    samples = tuple(Sample(float(t), float(v)) for t, v in values)
    return Row(labels, samples, () if natives is None else _natives(natives))


def _natives(entries: Any) -> tuple[NativeSample, ...]:
    try:
        read = [_native(float(t), told) for t, told in entries]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Unreadable from error
    return tuple(sample for sample in read if sample is not None)


def _native(t: float, told: Any) -> NativeSample | None:
    """None where a count is no number: nothing is known of that scrape."""
    count, cells = float(told["count"]), dict[tuple[float, float], float]()
    for _, lower, upper, number in told.get("buckets", ()):
        cell = _by_powers_of_two(lower, upper)
        cells[cell] = cells.get(cell, 0.0) + float(number)
    if not isfinite(t) or any(not isfinite(each) or each < 0 for each in (count, *cells.values())):
        return None
    return NativeSample(t, count, tuple((*bounds, number) for bounds, number in cells.items()))


@lru_cache(maxsize=8192)  # the same bounds come with every scrape of every series
def _by_powers_of_two(lower_text: str, upper_text: str) -> tuple[float, float]:
    """The bucket, or the powers of two around it where it is a part of what lies between them."""
    lower, upper = float(lower_text), float(upper_text)
    if isnan(lower) or isnan(upper) or lower > upper:
        raise ValueError
    if not 0 < lower < upper < inf:
        return lower, upper
    mantissa, exponent = frexp(upper)
    below = ldexp(0.5, exponent - 1 if mantissa == 0.5 else exponent)
    return (below, 2 * below) if _is_exponential(lower, upper) and lower >= below else (lower, upper)


def _is_exponential(lower: float, upper: float) -> bool:
    """Whether both are among the bounds of a resolution that has more than one bucket to a power of two."""
    parts = 1 / log2(upper / lower)
    top = log2(upper) * parts
    fits = abs(parts - round(parts)) < 1e-6 * parts and abs(top - round(top)) < 1e-4
    return fits and round(parts) in {2**schema for schema in range(1, FINEST + 1)}
