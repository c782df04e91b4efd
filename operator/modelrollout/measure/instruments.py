"""Which series measure a ModelDeployment, what they cannot tell, and what `latency` means there. Pure.

The administrator says which gateway stands in front; the runtime's series follow from its preset.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelrollout.domain.analysis import AnalysisSettings, Mode
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.metrics import Kind, Source
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.parse import analysis_settings
from modelrollout.domain.signals import Expression, Gauge
from modelrollout.measure.promql import Unsafe, confined
from modelrollout.measure.series import SeriesPreset, presets, series_for

_INSTEAD = "set spec.analysis.mode to none, or use router gatewayAPI with spec.analysis.source gateway"

DEFAULT_GATEWAY = "traefik"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    gateway: str = DEFAULT_GATEWAY
    """The gateway's series preset, from the operator's settings."""
    promql: bool = False
    """Whether the operator's settings allow gauges by an expression."""

    def of(self, settings: AnalysisSettings, runtime: str) -> SeriesPreset | None:
        """The gateway's series, or those of the runtime that serves; None: it has none."""
        if settings.source is Source.GATEWAY:
            return series_for(Source.GATEWAY, self.gateway)
        return series_for(Source.SERVER, settings.series or runtime)

    def refusal(self, desired: ModelDeployment) -> Remark | None:
        """Why a rollout of this spec could never be judged, or None: told before anything moves."""
        if desired.analysis.mode is Mode.NONE:
            return None
        preset = self.of(desired.analysis, desired.preset)
        told = self._without_series(desired) if preset is None else _untold(desired.analysis, preset)
        told = told or self._unsafe(desired)
        return Remark(reason=Reason.NO_METRICS, message=told) if told else None

    def _without_series(self, desired: ModelDeployment) -> str:
        named, known = desired.analysis.series, ", ".join(_of_servers())
        if named is not None:
            return f"spec.analysis.series: {named} is not known here. Use one of {known}."
        return (
            f"Runtime {desired.preset} has no series to compare revisions by. Name those that its server exports in "
            f"spec.analysis.series ({known}), {_INSTEAD}."
        )

    def _unsafe(self, desired: ModelDeployment) -> str:
        """What is wrong with an expression; empty: nothing, or there is none."""
        for metric in desired.analysis.metrics:
            if not isinstance(metric.signal, Gauge) or not isinstance(metric.signal.gauge, Expression):
                continue
            where = f"spec.analysis.metrics: gauge.promql of {metric.name}"
            if not self.promql:
                return (
                    f"{where} is not allowed by this operator. Name the series instead, or ask its administrator to "
                    "set MODELROLLOUT_ALLOW_PROMQL."
                )
            try:
                confined(metric.signal.gauge.text, namespace=desired.key.namespace, arm='pod=~"x"')
            except Unsafe as unsafe:
                return f"{where} cannot be used: {unsafe}."
        return ""

    def completed(self, desired: ModelDeployment) -> ModelDeployment:
        """The same with `latency` spelt out as what its series count latency by. It is frozen so with the rollout."""
        preset = self.of(desired.analysis, desired.preset)
        if preset is None or desired.analysis.mode is Mode.NONE:
            return desired
        parts = tuple(part.name for part in preset.latency)
        document = dict(Fragment(desired.analysis_text).mapping)
        spelt = _spelt_out(document.get("metrics"), parts)
        if spelt is None:
            return desired
        text = Fragment.of(document | {"metrics": spelt}).text
        return replace(desired, analysis=analysis_settings(text), analysis_text=text)


def gateways() -> tuple[str, ...]:
    """Those whose series are known."""
    return tuple(name for name, preset in presets().items() if preset.place.source is Source.GATEWAY)


def _of_servers() -> tuple[str, ...]:
    return tuple(name for name, preset in presets().items() if preset.place.source is Source.SERVER)


def _untold(settings: AnalysisSettings, preset: SeriesPreset) -> str:
    """What of the settings these series cannot tell; empty: nothing."""
    if preset.impossible:
        return f"{preset.impossible} Set spec.analysis.source to server, or spec.analysis.mode to none."
    parts = [part.name for part in preset.latency]
    for metric in settings.metrics:
        if metric.signal is not None:
            if metric.source is Source.GATEWAY and settings.source is not Source.GATEWAY:
                return f"spec.analysis.metrics: {metric.name} is of source gateway, the analysis is not. Write server."
            continue
        if metric.name == "errors" and not preset.counts_errors:
            return (
                f"spec.analysis.metrics: {preset.name} counts no errors. Leave errors out of the list, or {_INSTEAD}."
            )
        if metric.name == "latency" and len(parts) > 1:
            return (
                f"spec.analysis.metrics: edges and slo of latency: {preset.name} counts it by {' and '.join(parts)}. "
                "List these, each with its own."
            )
        if metric.kind is Kind.HISTOGRAM and metric.name not in parts:
            counted = f"; it counts {' and '.join(parts)}" if parts else ""
            return f"spec.analysis.metrics: {preset.name} does not count {metric.name}{counted}. Leave it out."
    return ""


def _spelt_out(metrics: list[Mapping[str, Any]] | None, parts: tuple[str, ...]) -> list[Mapping[str, Any]] | None:
    """The list with `latency` replaced by its parts; None where there is nothing to replace.

    Without a list of the user's own, what the series do not count is left out; its own list is taken at its word.
    """
    if metrics is None:
        wanted: list[Mapping[str, Any]] = [{"name": "errors"}, *({"name": part} for part in parts)]
        return None if parts == ("latency",) else wanted
    given = {metric["name"] for metric in metrics}
    latency = next((metric for metric in metrics if metric["name"] == "latency"), None)
    if latency is None or latency.keys() & {"edges", "slo"} or len(parts) < 2:
        return None
    added = [part for part in parts if part not in given]
    share = {"weight": latency["weight"] / len(added)} if "weight" in latency and added else {}
    spelt: list[Mapping[str, Any]] = []
    for metric in metrics:
        if metric is latency:
            spelt += [{**latency, **share, "name": part} for part in added]
        else:
            spelt.append(metric)
    return spelt
