"""Specs and scenarios that state only what matters to a test."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.durations import duration_text
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.metrics import MetricSettings, Source
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.parse import analysis_settings
from modelrollout.simulate.scenario import Lognormal, Scenario, Version
from tests.builders import a_spec

QUICK = AnalysisSettings(
    min_duration=timedelta(seconds=60), deadline=timedelta(minutes=3), warmup=timedelta(0), poll=timedelta(seconds=15)
)
ERRORS = (MetricSettings.of("errors"),)


def deployment(**changes: Any) -> ModelDeployment:
    """Steps of 10, 30 and 60 % by the gateway, 30 s of bake; `changes` are of the analysis where it has such a field."""
    analysis = {name: value for name, value in changes.items() if hasattr(QUICK, name)}
    others = {name: value for name, value in changes.items() if name not in analysis}
    settings = replace(QUICK, **analysis)
    return a_spec("2", analysis=settings, analysis_text=_text(settings), **others)


def _text(settings: AnalysisSettings) -> str:
    """As a user would have written it."""
    times = {
        "minDuration": settings.min_duration,
        "deadline": settings.deadline,
        "holdTimeout": settings.hold_timeout,
        "warmup": settings.warmup,
    }
    words = {
        "mode": settings.mode,
        "source": settings.source,
        "onInconclusive": settings.on_inconclusive,
        "onHoldTimeout": settings.on_hold_timeout,
    }
    document: dict[str, Any] = {name: duration_text(length) for name, length in times.items()}
    document |= {name: str(word) for name, word in words.items()}
    document["metrics"] = [{"name": metric.name} for metric in settings.metrics]
    document["overdispersion"] = {"mode": str(settings.overdispersion.mode)}
    if settings.guardrails.slo is not None:
        document["guardrails"] = {"slo": settings.guardrails.slo}
    if settings.poll is not None:
        document["poll"] = duration_text(settings.poll)
    assert analysis_settings(Fragment.of(document).text) == settings, "write the other fields, too"
    return Fragment.of(document).text


def by_errors(**changes: Any) -> ModelDeployment:
    """Quick to simulate: errors alone are compared."""
    return deployment(metrics=ERRORS, **changes)


def scenario(rate: float | None = None, *, rps: float = 100.0, **changes: Any) -> Scenario:
    """Stable fails 0.5 %; the candidate `rate`, or likewise."""
    latency: Lognormal | None = changes.pop("latency", Lognormal())
    stable = Version(error_rate=0.005, latency=latency)
    candidate = None if rate is None else Version(error_rate=rate, latency=latency)
    return Scenario(requests_per_second=rps, stable=stable, candidate=candidate, **changes)


__all__ = ["ERRORS", "QUICK", "Source", "by_errors", "deployment", "scenario"]
