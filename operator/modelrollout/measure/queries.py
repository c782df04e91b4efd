"""The text of the queries, and what their answers say. Pure: no network, no clock.

Raw samples by range selector, one query per series for both arms. No user's text becomes a query: names and values are
ours or the cluster's, and every value is escaped. The namespace is forced: as a label, or inside the pattern of the
gateway's service.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, inf, isfinite
from typing import assert_never

from modelrollout.decide.histogram import numeric_le
from modelrollout.domain.metrics import Kind, MetricSettings, Source
from modelrollout.domain.polls import (
    BAD,
    BAD_PART,
    IN_FLIGHT,
    REQUESTS,
    SUM_PART,
    TARGETS,
    VALUE_PART,
    Arm,
    Arms,
    Sample,
    Series,
)
from modelrollout.domain.preflight import Absent
from modelrollout.domain.signals import Buckets, Counts, Expression, Gauge, Score, SeriesSelector, Signal
from modelrollout.measure import native
from modelrollout.measure.promql import Unsafe, confined
from modelrollout.measure.rows import Row
from modelrollout.measure.series import PODS, Place, SeriesPreset
from modelrollout.names import REVISION_LABEL

_META = frozenset("\\.+*?()|[]{}^$")
REVISION_SERIES_LABEL = "".join(letter if letter.isalnum() else "_" for letter in REVISION_LABEL)
"""How Prometheus spells the pods' revision label, where it is copied onto the series."""


UP = SeriesSelector(series=("up",))
"""What Prometheus says of each target of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurePlan:
    """What to ask: grid times in order, and from when on raw samples are needed for the first of them."""

    namespace: str
    preset: SeriesPreset
    arms: Arms
    polls: tuple[float, ...]
    since: float
    metrics: tuple[MetricSettings, ...]
    promql: bool = False
    """Whether the operator's administrator allows expressions of the user's own."""

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.polls, self.polls[1:], strict=False))
        if not self.polls or not rising or self.since >= self.polls[0]:
            raise ValueError("polls: write rising times, all after `since`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A range selector in the parts that several queries may have in common."""

    before: str
    """Series name and every forced matcher, up to the arms' values."""
    values: tuple[str, ...]
    """Patterns of `label`, already escaped; none where the series are asked for whole."""
    after: str
    label: str
    """By which its rows are told from those of others."""
    seconds: int

    @property
    def text(self) -> str:
        chosen = quoted("|".join(self.values)) if self.values else ""
        return f"{self.before}{chosen}{self.after}[{self.seconds}s]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question, with what is needed to read its answer."""

    name: str
    text: str
    at: float
    selector: Selector | None = None
    """What `text` was made of, where others may be asked together with it."""
    place: Place = PODS
    unit: float | None = None
    """Of a histogram's buckets: seconds per unit of their bounds."""
    series: tuple[str, ...] = ()
    """Their names, for people."""
    revision: str | None = None
    """Whose all rows are, where the query is of one arm only."""


def quoted(value: str) -> str:
    """A PromQL string: nothing in it can end it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def literal(value: str) -> str:
    """A pattern that matches exactly this value (matchers are anchored)."""
    return "".join(f"\\{c}" if c in _META else c for c in value)


def queries(plan: MeasurePlan) -> tuple[Query, ...]:
    """One per metric and part of it, at the last poll, reaching back to `since`; none where neither arm has anything.

    Where only a metric of the user's own is counted by pods, the pods' targets are asked for beside the gateway's.
    """
    preset = plan.preset
    asked = list(_asked(REQUESTS, preset.requests, plan, preset.place))
    if not asked:
        return ()
    if preset.errors is not None and any(metric.name == "errors" for metric in plan.metrics):
        asked += _asked(BAD, preset.errors, plan, preset.place)
    parts = {part.name: part for part in preset.latency}
    for metric in plan.metrics:
        if metric.signal is not None:
            asked += _own(metric, metric.signal, plan)
        elif metric.kind is Kind.HISTOGRAM and metric.name in parts:
            part = parts[metric.name]
            asked += _asked(metric.name, part.buckets, plan, preset.place, unit=part.unit)
    timed = any(metric.kind is Kind.HISTOGRAM for metric in plan.metrics)
    if preset.in_flight is not None and timed and plan.arms.candidate.revision:
        asked += _asked(IN_FLIGHT, preset.in_flight, plan, preset.place)
    if preset.targets is not None:
        asked += _asked(TARGETS, preset.targets, plan, preset.place)
    if any(query.place == PODS for query in asked) and preset.place.source is Source.GATEWAY:
        asked += _asked(f"{TARGETS}/pods", UP, plan, PODS)
    return tuple(asked)


def described(plan: MeasurePlan) -> dict[str, Absent]:
    """Per query what it asks for, in words."""
    parts = {part.name: part.needs for part in plan.preset.latency}
    return {
        query.name: Absent(
            metric=query.name.partition("/")[0],
            series=" and ".join(query.series),
            needs=parts.get(query.name) or (plan.preset.needs if query.place == plan.preset.place else ""),
        )
        for query in queries(plan)
    }


def _own(metric: MetricSettings, signal: Signal, plan: MeasurePlan) -> Iterator[Query]:
    place = PODS if metric.source is Source.SERVER else plan.preset.place
    match signal:
        case Counts(total=total, bad=bad):
            yield from _asked(metric.name, total, plan, place)
            yield from _asked(f"{metric.name}/{BAD_PART}", bad, plan, place)
        case Score(counts=counts, sums=sums):
            yield from _asked(metric.name, counts, plan, place)
            yield from _asked(f"{metric.name}/{SUM_PART}", sums, plan, place)
        case Buckets(buckets=buckets, unit=unit):
            yield from _asked(metric.name, buckets, plan, place, unit=unit)
        case Gauge(gauge=gauge):
            if isinstance(gauge, Expression):
                yield from _expressed(metric, gauge, plan)
            else:
                yield from _asked(f"{metric.name}/{VALUE_PART}", gauge, plan, place)
        case _:
            assert_never(signal)


def _expressed(metric: MetricSettings, expression: Expression, plan: MeasurePlan) -> Iterator[Query]:
    """One query per arm, over its pods only; none where the administrator does not allow it."""
    for arm in (plan.arms.stable, plan.arms.candidate) if plan.promql else ():
        pods = quoted("|".join(literal(pod.name) for pod in arm.pods))
        if not arm.pods:
            continue
        try:
            text = confined(expression.text, namespace=plan.namespace, arm=f"{PODS.arm}=~{pods}")
        except Unsafe:
            continue  # told before the rollout began
        yield Query(
            name=f"{metric.name}/{VALUE_PART}/{arm.revision}",
            text=f"({text})[1s:1s]",
            at=plan.polls[-1],
            revision=arm.revision,
            series=("gauge.promql",),
        )


def _asked(
    name: str, wanted: SeriesSelector, plan: MeasurePlan, place: Place, *, unit: float | None = None
) -> Iterator[Query]:
    """Nothing where no arm has anything in that place yet. A gateway's targets are asked for whole."""
    values = tuple(_arm_values(plan, place))
    if values:
        whole = name == TARGETS and place.source is Source.GATEWAY
        yield _query(name, wanted, plan, place, () if whole else values, unit=unit)


def _query(
    name: str,
    wanted: SeriesSelector,
    plan: MeasurePlan,
    place: Place,
    values: tuple[str, ...],
    *,
    unit: float | None,
) -> Query:
    """`values`: the arms', already patterns; none asks for the series wherever they are."""
    asked = wanted.series if unit is None else native.both_names(wanted.series)
    several = len(asked) > 1
    names = f"__name__=~{quoted('|'.join(map(literal, asked)))}" if several else ""
    forced = f"{place.namespace}={quoted(plan.namespace)}" if values and place.namespace else ""
    arms = f"{place.arm}=~" if values else ""
    own = "".join(f",{label}{sign}{quoted(value)}" for label, sign, value in wanted.matchers)
    inside = ",".join(each for each in (names, forced, arms) if each)
    bare = "" if several else wanted.series[0]
    braced = bool(inside or own)
    selector = Selector(
        before=f"{bare}{{{inside}" if braced else bare,
        values=values,
        after=f"{own if inside else own.removeprefix(',')}}}" if braced else "",
        label=place.arm,
        seconds=ceil(plan.polls[-1] - plan.since) + 1,
    )
    return Query(
        name=name,
        text=selector.text,
        at=plan.polls[-1],
        selector=selector,
        place=place,
        unit=unit,
        series=wanted.series,
    )


def _arm_values(plan: MeasurePlan, place: Place) -> Iterator[str]:
    for arm in (plan.arms.stable, plan.arms.candidate):
        if place.source is Source.SERVER:
            yield from (literal(pod.name) for pod in arm.pods)
        elif arm.service:
            yield arm.service


def read_series(query: Query, result: Iterable[Row], plan: MeasurePlan) -> tuple[Series, ...]:
    """Whose series these are, and what they count; series of nobody we asked for are left out."""
    rows = result if query.unit is None else _buckets(query, query.unit, result, plan)
    read = (_one(query, row.labels, row.samples, plan) for row in rows)
    return tuple(series for series in read if series is not None)


def _buckets(query: Query, unit: float, result: Iterable[Row], plan: MeasurePlan) -> Iterator[Row]:
    """What one arm's histograms are made of never depends on the other arm's."""
    arms: defaultdict[str, list[Row]] = defaultdict(list)
    for row in result:
        revision = _revision(query.place, row.labels, plan)
        if revision is not None:
            arms[revision].append(row)
    edges = native.bounds(unit, (bound for m in plan.metrics if m.name == query.name for bound in m.bounds))
    for rows in arms.values():
        yield from native.as_buckets(rows, edges)


def _one(query: Query, labels: Mapping[str, str], samples: tuple[Sample, ...], plan: MeasurePlan) -> Series | None:
    good = tuple(sample for sample in samples if isfinite(sample.v))
    target = "/".join(labels.get(label, "") for label in query.place.target)
    if query.revision is not None:
        revision: str | None = query.revision
        target = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    else:
        revision = "" if query.name.partition("/")[0] == TARGETS else _revision(query.place, labels, plan)
    le = None if query.unit is None else numeric_le(labels.get("le", ""))
    if revision is None or not good or (query.unit is not None and le is None):
        return None
    return Series(
        revision=revision,
        target=target,
        labels=tuple(sorted(labels.items())),
        samples=good,
        bad=query.name == REQUESTS and plan.preset.is_bad(labels),
        le=le if le is None or query.unit is None or le == inf else le * query.unit,
    )


def _revision(place: Place, labels: Mapping[str, str], plan: MeasurePlan) -> str | None:
    """The arm's revision, None for series of nobody we asked for: the answer is not believed to keep to the query."""
    if place.namespace is not None and labels.get(place.namespace, plan.namespace) != plan.namespace:
        return None
    value = labels.get(place.arm, "")
    for arm in (plan.arms.stable, plan.arms.candidate):
        if _belongs(value, labels, arm, place.source):
            return arm.revision
    return None


def _belongs(value: str, labels: Mapping[str, str], arm: Arm, source: Source) -> bool:
    if source is Source.GATEWAY:
        return bool(arm.service) and re.fullmatch(arm.service, value) is not None
    if any(pod.name == value for pod in arm.pods):
        return labels.get(REVISION_SERIES_LABEL, arm.revision) == arm.revision
    return False
