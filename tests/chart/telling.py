"""What the operator exports, asked of the operator, and what an expression in PromQL names."""

import re
from collections.abc import Iterator
from datetime import timedelta

from prometheus_client import CollectorRegistry

from modelrollout.domain.conditions import ConditionStatus, ConditionType, Phase
from modelrollout.telemetry import Telemetry

OURS = re.compile(r"\b(?:modelrollout|controller_runtime|workqueue|rest_client|leader_election)_[a-z_]+\b")
MATCHERS = re.compile(r'\b(phase|type|status)=~?"([^"]+)"')
LEGAL: dict[str, set[str]] = {"phase": set(Phase), "type": set(ConditionType), "status": set(ConditionStatus)}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def exported() -> set[str]:
    """The name of every series the operator can have."""
    telemetry = Telemetry(CollectorRegistry())
    telemetry.watch_ages(lambda: {"ModelDeployment": timedelta(seconds=1)})
    return {family.name + suffix for family in telemetry.registry.collect() for suffix in SUFFIXES.get(family.type, ())}


def unknown(expression: str) -> Iterator[str]:
    """Series, phases, conditions and statuses that the operator has never heard of."""
    known = exported()
    yield from (name for name in OURS.findall(expression) if name not in known)
    for label, values in MATCHERS.findall(expression):
        yield from (f"{label}={value}" for value in values.split("|") if value not in LEGAL[label])
