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
class Query:
    name: str
    text: str
    at: float


def quoted(value: str) -> str:
    """A PromQL string: nothing in it can end it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def one_of(values: Iterable[str]) -> str:
    """A PromQL string that matches exactly these values (matchers are anchored)."""
    return quoted("|".join("".join(f"\\{c}" if c in _META else c for c in value) for value in values))


def queries(plan: MeasurePlan) -> tuple[Query, ...]:
    """One per series name, at the last poll, reaching back to `since`; none where neither arm has anything yet."""
    preset, at = plan.preset, plan.polls[-1]
    values = _arm_values(plan)
    if not values:
        return ()
    span = f"[{ceil(at - plan.since) + 1}s]"
    chosen_arms = quoted("|".join(values)) if preset.source is Source.GATEWAY else one_of(values)
    arms = f"{preset.arm}=~{chosen_arms}"
    forced = f"namespace={quoted(plan.namespace)}," if preset.source is Source.SERVER else ""
    chosen = "".join(f",{label}{sign}{quoted(value)}" for label, sign, value in preset.matchers)
    texts = {REQUESTS: f"{preset.requests}{{{forced}{arms}{chosen}}}{span}"}
    if plan.latency and preset.latency is not None:
        texts[LATENCY] = f"{preset.latency}{{{forced}{arms}{chosen}}}{span}"
    texts[TARGETS] = f"{preset.targets}{{{forced}{arms}}}{span}" if forced else f"{preset.targets}{span}"
    return tuple(Query(name=name, text=text, at=at) for name, text in texts.items())


def _arm_values(plan: MeasurePlan) -> tuple[str, ...]:
    both = (plan.arms.stable, plan.arms.candidate)
    if plan.preset.source is Source.GATEWAY:
        return tuple(arm.service for arm in both if arm.service)
    return tuple(pod.name for arm in both for pod in arm.pods)


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
