"""How the whole service answered: one query for all revisions of a ModelDeployment, and what its answer says.

Counted by Prometheus itself, with `increase()`: six hours of raw samples would be too many to fetch every minute. It
extrapolates, and it misses the first value of a new series; a rule that has no bound on its errors can live with
that, and no test reads it. An HA pair counts everything twice here, which leaves the rate as it is.

The text is ours alone, with the same forced matchers as every other query. One query brings all windows: the rows are
told apart by a label that it adds, and bad ones are told by us, since a preset's patterns may be more than PromQL's.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from modelrollout import names
from modelrollout.decide.burn import SERVICE_FAST_LONG, SERVICE_FAST_SHORT, SERVICE_SLOW_LONG, SERVICE_SLOW_SHORT
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import Key
from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.domain.revision import NAME_PATTERN
from modelrollout.domain.service_errors import ServiceWindows, WindowCount
from modelrollout.domain.signals import SeriesSelector
from modelrollout.measure.asking import AnswersQueries
from modelrollout.measure.queries import Query, literal, quoted
from modelrollout.measure.rows import Rows
from modelrollout.measure.series import SeriesPreset

LONGEST = 3.0
"""Seconds after which the look is given up: the polls of the comparison come in the same measurement."""
PART = "modelrollout_part"
"""Label that the query adds: what a row counts, and over how many seconds."""
_ANY = "REVISION"
"""Stands for a revision while a pattern is made; no object's name has capitals."""
_WINDOWS = tuple(map(round, (SERVICE_SLOW_LONG, SERVICE_FAST_LONG, SERVICE_SLOW_SHORT, SERVICE_FAST_SHORT)))
_TOO_LATE = ProviderFault(kind=FaultKind.TIMEOUT, message=f"Prometheus did not count them within {LONGEST:g} s.")
_NO_ERRORS = ProviderFault(kind=FaultKind.REFUSED, message="The series that are read count no errors.", permanent=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeService:
    """Whom to ask for, by which series."""

    key: Key
    preset: SeriesPreset

    def counters(self) -> Iterator[tuple[str, SeriesSelector, bool]]:
        """Series one by one, with a name for each and whether all of it is bad: `increase` drops the series' names."""
        for series in self.preset.requests.series:
            yield series, SeriesSelector(series=(series,), matchers=self.preset.requests.matchers), False
        for series in self.preset.errors.series if self.preset.errors is not None else ():
            assert self.preset.errors is not None
            yield f"bad {series}", SeriesSelector(series=(series,), matchers=self.preset.errors.matchers), True

    def pattern(self) -> str:
        """Of the label that tells revisions apart: every revision's, also of those that are gone."""
        workload = names.workload_name(self.key.name, _ANY)
        if self.preset.place.source is Source.GATEWAY:
            own = self.preset.service_pattern(namespace=self.key.namespace, route=self.key.name, service=workload)
        else:
            own = f"{literal(workload)}-[a-z0-9]+-[a-z0-9]+"
        return own.replace(_ANY, NAME_PATTERN)


async def service_errors(provider: AnswersQueries, service: WholeService, at: float) -> ServiceWindows | ProviderFault:
    """All revisions' requests up to `at` (unix seconds). Never raises for what the provider does."""
    if not service.preset.counts_errors:
        return _NO_ERRORS
    try:
        async with asyncio.timeout(LONGEST):
            answer = await provider.rows(service_query(service, at))
    except TimeoutError:
        return _TOO_LATE
    return answer if isinstance(answer, ProviderFault) else read_windows(service, answer)


def service_query(service: WholeService, at: float) -> Query:
    """As a subquery of one step, since answers are read as samples over time."""
    parts = (_part(service, name, wanted, window) for name, wanted, _ in service.counters() for window in _WINDOWS)
    return Query(name="service", text=f"({' or '.join(parts)})[1s:1s]", at=at)


def read_windows(service: WholeService, rows: Rows) -> ServiceWindows:
    """Where there is no row there was no request."""
    bad, total = dict.fromkeys(_WINDOWS, 0.0), dict.fromkeys(_WINDOWS, 0.0)
    all_bad = {name: fails for name, _, fails in service.counters()}
    for row in rows:
        name, _, seconds = row.labels.get(PART, "").partition("/")
        count = row.samples[-1].v if row.samples else 0.0
        if name not in all_bad or seconds not in map(str, _WINDOWS) or not isfinite(count):
            continue
        if not all_bad[name]:
            total[int(seconds)] += count
        if all_bad[name] or service.preset.is_bad({**row.labels, "__name__": name}):
            bad[int(seconds)] += count
    six_hours, one_hour, thirty_minutes, five_minutes = (WindowCount(bad=bad[w], total=total[w]) for w in _WINDOWS)
    return ServiceWindows(
        six_hours=six_hours, one_hour=one_hour, thirty_minutes=thirty_minutes, five_minutes=five_minutes
    )


def _part(service: WholeService, name: str, wanted: SeriesSelector, window: int) -> str:
    place = service.preset.place
    matchers = [f"{place.namespace}={quoted(service.key.namespace)}"] if place.namespace else []
    matchers.append(f"{place.arm}=~{quoted(service.pattern())}")
    matchers += [f"{label}{sign}{quoted(value)}" for label, sign, value in wanted.matchers]
    kept = sorted({label for alternative in service.preset.bad for label, _ in alternative} - {"__name__"})
    by = f" by ({', '.join(kept)})" if kept else ""
    counted = f"sum{by} (increase({wanted.series[0]}{{{','.join(matchers)}}}[{window}s]))"
    return f'label_replace({counted}, "{PART}", {quoted(f"{name}/{window}")}, "", "")'
