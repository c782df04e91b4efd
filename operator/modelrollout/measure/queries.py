"""The text of the queries, and what their answers say. Pure: no network, no clock.

Raw samples by range selector, one query per series for both arms. No user's text becomes a query:
names and values are ours or the cluster's, and every value is escaped. The namespace is forced: in
a server's series as a label, in a gateway's inside the pattern of the service label.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, inf, isfinite

from modelrollout.decide.histogram import numeric_le
from modelrollout.domain.analysis import LATENCY, REQUESTS, TARGETS, Arm, Arms, Sample, Series, Source
from modelrollout.measure.series import SeriesPreset
from modelrollout.names import REVISION_LABEL

_META = frozenset("\\.+*?()|[]{}^$")
REVISION_SERIES_LABEL = "".join(letter if letter.isalnum() else "_" for letter in REVISION_LABEL)
"""How Prometheus spells the pods' revision label, where it is copied onto the series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurePlan:
    """What to ask: grid times in order, and from when on raw samples are needed for the first of them."""

    namespace: str
    preset: SeriesPreset
    arms: Arms
    polls: tuple[float, ...]
    since: float
    latency: bool = True

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
    name: str
    text: str
    at: float
    selector: Selector | None = None
    """What `text` was made of, where others may be asked together with it."""


def quoted(value: str) -> str:
    """A PromQL string: nothing in it can end it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def literal(value: str) -> str:
    """A pattern that matches exactly this value (matchers are anchored)."""
    return "".join(f"\\{c}" if c in _META else c for c in value)


def queries(plan: MeasurePlan) -> tuple[Query, ...]:
    """One per series name, at the last poll, reaching back to `since`; none where neither arm has anything yet."""
    preset, at = plan.preset, plan.polls[-1]
    values = _arm_values(plan)
    if not values:
        return ()
    seconds = ceil(at - plan.since) + 1
    forced = f"namespace={quoted(plan.namespace)}," if preset.source is Source.SERVER else ""
    chosen = "".join(f",{label}{sign}{quoted(value)}" for label, sign, value in preset.matchers)

    def arms(series: str, matchers: str) -> Selector:
        before = f"{series}{{{forced}{preset.arm}=~"
        return Selector(before=before, values=values, after=f"{matchers}}}", label=preset.arm, seconds=seconds)

    asked = {REQUESTS: arms(preset.requests, chosen)}
    if plan.latency and preset.latency is not None:
        asked[LATENCY] = arms(preset.latency, chosen)
    whole = Selector(before=preset.targets, values=(), after="", label=preset.arm, seconds=seconds)
    asked[TARGETS] = arms(preset.targets, "") if forced else whole
    return tuple(Query(name=name, text=each.text, at=at, selector=each) for name, each in asked.items())


def _arm_values(plan: MeasurePlan) -> tuple[str, ...]:
    both = (plan.arms.stable, plan.arms.candidate)
    if plan.preset.source is Source.GATEWAY:
        return tuple(arm.service for arm in both if arm.service)
    return tuple(literal(pod.name) for arm in both for pod in arm.pods)


def read_series(
    name: str, result: Iterable[tuple[Mapping[str, str], tuple[Sample, ...]]], plan: MeasurePlan
) -> tuple[Series, ...]:
    """Whose series these are, and what they count; series of nobody we asked for are left out."""
    read = (_one(name, labels, samples, plan) for labels, samples in result)
    return tuple(series for series in read if series is not None)


def _one(name: str, labels: Mapping[str, str], samples: tuple[Sample, ...], plan: MeasurePlan) -> Series | None:
    preset = plan.preset
    good = tuple(sample for sample in samples if isfinite(sample.v))
    target = "/".join(labels.get(label, "") for label in preset.target)
    revision = "" if name == TARGETS else _revision(labels, plan)
    if revision is None or not good:
        return None
    le = numeric_le(labels.get("le", "")) if name == LATENCY else None
    if name == LATENCY and le is None:
        return None
    return Series(
        revision=revision,
        target=target,
        labels=tuple(sorted(labels.items())),
        samples=good,
        bad=name == REQUESTS and preset.is_bad(labels),
        le=le if le is None or le == inf else le * preset.unit,
    )


def _revision(labels: Mapping[str, str], plan: MeasurePlan) -> str | None:
    value = labels.get(plan.preset.arm, "")
    for arm in (plan.arms.stable, plan.arms.candidate):
        if _belongs(value, labels, arm, plan.preset.source):
            return arm.revision
    return None


def _belongs(value: str, labels: Mapping[str, str], arm: Arm, source: Source) -> bool:
    if source is Source.GATEWAY:
        return bool(arm.service) and re.fullmatch(arm.service, value) is not None
    if any(pod.name == value for pod in arm.pods):
        return labels.get(REVISION_SERIES_LABEL, arm.revision) == arm.revision
    return False
