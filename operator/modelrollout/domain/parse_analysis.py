"""`spec.analysis` as values, from the spec and from the text that was frozen when a rollout started. Pure."""

import json
import re
from datetime import timedelta
from typing import Any

from modelrollout.domain.analysis import AnalysisSettings, Mode, OnHoldTimeout, OnInconclusive
from modelrollout.domain.metrics import Source
from modelrollout.domain.parse_fields import Field, Wrong
from modelrollout.domain.parse_metrics import read_metrics
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
    if field["series"].given:
        given["series"] = field["series"].text()
    if field["provider"].given:
        given["provider"] = field["provider"].matching(_PROVIDER, "write a name such as default")
    if field["onInconclusive"].given:
        given["on_inconclusive"] = OnInconclusive(field["onInconclusive"].one_of(*OnInconclusive))
    if field["onHoldTimeout"].given:
        given["on_hold_timeout"] = OnHoldTimeout(field["onHoldTimeout"].one_of(*OnHoldTimeout))
    if field["metrics"].given:
        given["metrics"] = read_metrics(field["metrics"])
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
