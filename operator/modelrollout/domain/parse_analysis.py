"""`spec.analysis` as values, from the spec and from the text that was frozen when a rollout started. Pure."""

import json
import re
from datetime import timedelta
from typing import Any

from modelrollout.domain.analysis import (
    AnalysisSettings,
    Margin,
    MetricSettings,
    Mode,
    OnHoldTimeout,
    OnInconclusive,
    Source,
)
from modelrollout.domain.parse_fields import Field, Wrong
from modelrollout.domain.parse_safeguards import guardrails, overdispersion, pod_spread

_TIMES = {
    "poll": "poll",
    "minDuration": "min_duration",
    "deadline": "deadline",
    "noDataTimeout": "no_data_timeout",
    "warmup": "warmup",
    "holdTimeout": "hold_timeout",
}
_NUMBERS = {"alpha": "alpha", "beta": "beta", "suspicious": "suspicious"}
_COUNTS = {"minBad": 1_000_000, "minRequests": 100_000_000}
_MAX_METRICS = 2
_PROVIDER = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)


def analysis_settings(text: str | None) -> AnalysisSettings:
    """The settings that were frozen. Whoever may write status may write anything: unreadable text is none."""
    if text is None:
        return AnalysisSettings()
    try:
        return read_analysis(Field("spec.analysis", json.loads(text)))
    except (ValueError, RecursionError):
        return AnalysisSettings()


def read_analysis(field: Field) -> AnalysisSettings:
    """Wrong names the field. What is absent has its default, so an object that no API server filled in reads alike."""
    given: dict[str, Any] = {}
    for name, attribute in _TIMES.items():
        if field[name].given:
            given[attribute] = field[name].time()
    for name, attribute in _NUMBERS.items():
        if field[name].given:
            given[attribute] = field[name].number()
    if field["minBad"].given:
        given["min_bad"] = field["minBad"].whole(1, _COUNTS["minBad"])
    if field["minRequests"].given:
        given["min_requests"] = field["minRequests"].whole(1, _COUNTS["minRequests"])
    if field["mode"].given:
        given["mode"] = Mode(field["mode"].one_of(*Mode))
    if field["source"].given:
        given["source"] = Source(field["source"].one_of(*Source))
    if field["provider"].given:
        given["provider"] = field["provider"].matching(_PROVIDER, "write a name such as default")
    if field["onInconclusive"].given:
        given["on_inconclusive"] = OnInconclusive(field["onInconclusive"].one_of(*OnInconclusive))
    if field["onHoldTimeout"].given:
        given["on_hold_timeout"] = OnHoldTimeout(field["onHoldTimeout"].one_of(*OnHoldTimeout))
    if field["metrics"].given:
        if len(field["metrics"].elements()) > _MAX_METRICS:
            raise Wrong(f"{field['metrics'].path}: there are errors and latency, each once")
        given["metrics"] = tuple(_metric(each, index) for index, each in enumerate(field["metrics"].elements()))
    _in_order(field, given)
    try:
        given["guardrails"] = guardrails(field["guardrails"])
        given["overdispersion"] = overdispersion(field["overdispersion"])
        given["pod_spread"] = pod_spread(field["podSpread"])
        return AnalysisSettings(**given)
    except Wrong:
        raise
    except ValueError as error:
        raise Wrong(f"spec.{error}") from error


def _in_order(field: Field, given: dict[str, Any]) -> None:
    """Said here in the user's own words; the settings would say it in seconds."""
    default = AnalysisSettings()
    least: timedelta = given.get("min_duration", default.min_duration)
    deadline: timedelta = given.get("deadline", default.deadline)
    if least > deadline:
        longer = field["minDuration"].value or "2m"
        raise Wrong(f"{field.path}.minDuration: {longer} is longer than deadline {field['deadline'].value or '10m'}")


def _metric(field: Field, index: int) -> MetricSettings:
    name = field["name"].needed("write errors or latency").one_of("errors", "latency")
    default = MetricSettings.of(name)
    if field["kind"].given and field["kind"].one_of("ratio", "histogram") != default.kind:
        field["kind"].wrong(f"is not the kind of {name}; leave it out")
    edges = field["edges"]
    try:
        return MetricSettings.of(
            name,
            index=index,
            weight=field["weight"].number() if field["weight"].given else None,
            regression=_margin(field["regression"], default.regression),
            non_inferiority=_margin(field["nonInferiority"], default.non_inferiority),
            required_for_advance=field["requiredForAdvance"].yes(default=True),
            edges=tuple(each.number() for each in edges.elements()) if edges.given else None,
        )
    except Wrong:
        raise
    except ValueError as error:
        raise Wrong(f"spec.{error}") from error


def _margin(field: Field, default: Margin) -> tuple[float, float]:
    """A half that is absent keeps its default."""
    ratio, absolute = field["ratio"], field["absolute"]
    return (
        ratio.number() if ratio.given else default.ratio,
        absolute.number() if absolute.given else default.absolute,
    )
