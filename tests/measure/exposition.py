"""Scrapes as text, as a server would show them, and what Prometheus would answer from two of them.

Just enough of Prometheus for the queries of ours: one selector with a range, matchers ANDed and anchored.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from modelrollout.domain.polls import Sample
from modelrollout.measure.queries import Query
from modelrollout.measure.rows import Row

_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?')
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?(?:\{(.*)\})?\[(\d+)s\]")
_MATCHER = re.compile(r'([a-zA-Z_]\w*)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)",?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraped:
    """One target: what Prometheus adds to its series, and two scrapes of it."""

    labels: Mapping[str, str]
    before: str
    after: str


def series_of(target: Scraped, at: tuple[float, float]) -> Iterator[tuple[dict[str, str], tuple[Sample, ...]]]:
    """Each series with one sample per scrape that shows it."""
    found: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for moment, text in zip(at, (target.before, target.after), strict=True):
        for line in text.splitlines():
            read = _LINE.fullmatch(line.strip())
            if read is None:
                continue
            own = dict(_LABEL.findall(read[2] or ""))
            labels = {"__name__": read[1], **own, **target.labels}
            found.setdefault(tuple(sorted(labels.items())), []).append(Sample(moment, float(read[3])))
    for row, samples in found.items():
        yield dict(row), tuple(samples)


def answer(query: Query, targets: Iterable[Scraped], at: tuple[float, float]) -> list[Row]:
    """The rows of a matrix, as the adapter hands them on."""
    read = _SELECTOR.fullmatch(query.text)
    assert read is not None, query.text
    matchers = [(label, sign, _plain(value)) for label, sign, value in _MATCHER.findall(read[2] or "")]
    assert read[2] is None or "".join(f'{m[0]}{m[1]}"{m[2]}",' for m in _MATCHER.findall(read[2])) == f"{read[2]},"
    if read[1]:
        matchers.append(("__name__", "=", read[1]))
    rows = (row for target in targets for row in series_of(target, at))
    return [Row(labels, samples) for labels, samples in rows if all(_fits(labels, matcher) for matcher in matchers)]


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value)


def _fits(labels: Mapping[str, str], matcher: tuple[str, str, str]) -> bool:
    label, sign, wanted = matcher
    value = labels.get(label, "")
    same = re.fullmatch(wanted, value) is not None if sign.endswith("~") else value == wanted
    return same is not sign.startswith("!")
