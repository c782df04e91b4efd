"""One measurement: what to ask for the two revisions seen, ask it, and let the answers join the evidence.

Never raises for what a provider does: a fault is an answer of its own, and evidence of nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from modelrollout import names
from modelrollout.decide.evidence import absorb, measure_since
from modelrollout.decide.lookback import History, informed
from modelrollout.domain.analysis import (
    LATENCY,
    REQUESTS,
    AnalysisSettings,
    Arm,
    ArmPod,
    Arms,
    FaultKind,
    Kind,
    Mode,
    Poll,
    ProviderFault,
    Source,
)
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.observed import Observed
from modelrollout.domain.parse import analysis_settings
from modelrollout.domain.plan import Measure
from modelrollout.measure.lookback import Source as LookBackSource
from modelrollout.measure.lookback import Span, look_back
from modelrollout.measure.providers import Providers
from modelrollout.measure.queries import MeasurePlan
from modelrollout.measure.series import SeriesPreset, series_for

GATEWAY = "traefik"
"""The gateway's series preset."""

_NO_SERIES = ProviderFault(
    kind=FaultKind.REFUSED,
    message="The runtime has no series that can be compared. Set spec.analysis.mode to none, or source to gateway.",
    permanent=True,
)


class PrometheusProber:
    """Answers a `Measure` by the provider that the spec names."""

    def __init__(self, providers: Providers, *, on_asked: Callable[[Poll], None] | None = None) -> None:
        self._providers = providers
        self._on_asked = on_asked

    async def measure(self, action: Measure, observed: Observed) -> Evidence:
        settings = analysis_settings(observed.intent.analysis)
        evidence = action.evidence
        arms = arms_of(observed, evidence, settings.source)
        if action.look_back is not None:
            evidence = await self._informed(action.look_back, evidence, observed, settings)
        if not action.polls:
            return evidence
        for poll in await self._polls(action, observed, settings, arms):
            if self._on_asked is not None:
                self._on_asked(poll)
            evidence = absorb(evidence, settings, poll, arms)
        return evidence

    async def _informed(
        self, until: float, evidence: Evidence, observed: Observed, settings: AnalysisSettings
    ) -> Evidence:
        """With what stable's past says; where nothing can be asked, with that."""
        history = History(end=until)
        preset, workload = preset_of(settings, observed, evidence.stable), observed.workload(evidence.stable)
        provider = self._providers.named(settings.provider)
        if not isinstance(provider, ProviderFault) and preset is not None and workload is not None:
            start = until - settings.overdispersion.lookback.total_seconds()
            if workload.created is not None:
                start = max(start, workload.created.timestamp())
            server = preset_of(replace(settings, source=Source.SERVER), observed, evidence.stable)
            history = await look_back(
                provider,
                Span(start=start, end=until),
                compared=_source(preset, observed, evidence),
                servers=None if server is None else _source(server, observed, evidence),
            )
        return await asyncio.to_thread(informed, evidence, settings, history)

    async def _polls(
        self, action: Measure, observed: Observed, settings: AnalysisSettings, arms: Arms
    ) -> tuple[Poll, ...]:
        preset = preset_of(settings, observed, action.evidence.stable)
        provider = self._providers.named(settings.provider)
        if isinstance(provider, ProviderFault) or preset is None:
            fault = provider if isinstance(provider, ProviderFault) else _NO_SERIES
            return tuple(Poll(at=at, answers={REQUESTS: fault, LATENCY: fault}) for at in action.polls)
        plan = MeasurePlan(
            namespace=observed.key.namespace,
            preset=preset,
            arms=arms,
            polls=action.polls,
            since=measure_since(action.evidence),
            latency=any(metric.kind is Kind.HISTOGRAM for metric in settings.metrics),
        )
        return await provider.ask(plan)


def _source(preset: SeriesPreset, observed: Observed, evidence: Evidence) -> LookBackSource:
    return LookBackSource(
        namespace=observed.key.namespace,
        preset=preset,
        stable=_arm(observed, evidence.stable, preset.source),
        latency=any(metric.kind is Kind.HISTOGRAM for metric in evidence.metrics),
    )


def preset_of(settings: AnalysisSettings, observed: Observed, revision: str) -> SeriesPreset | None:
    """Whose series tell the arms apart: the gateway's, or those of the runtime that serves."""
    if settings.source is Source.GATEWAY:
        return series_for(Source.GATEWAY, GATEWAY)
    snapshot = observed.snapshot(revision)
    return None if snapshot is None else series_for(Source.SERVER, snapshot.preset)


def no_metrics(desired: ModelDeployment) -> Remark | None:
    """Why a rollout of this spec could never be judged, or None: told before anything moves."""
    settings = desired.analysis
    if settings.mode is Mode.NONE or settings.source is Source.GATEWAY:
        return None
    if series_for(Source.SERVER, desired.preset) is not None:
        return None
    return Remark(
        reason=Reason.NO_METRICS,
        message=f"Runtime {desired.preset} has no series to compare revisions by. "
        "Set spec.analysis.mode to none, or use router gatewayAPI with spec.analysis.source gateway.",
    )


def arms_of(observed: Observed, evidence: Evidence, source: Source) -> Arms:
    real = dict(observed.route.share).get(evidence.candidate)
    return Arms(
        stable=_arm(observed, evidence.stable, source),
        candidate=_arm(observed, evidence.candidate, source),
        share=None if real is None else real / 100,
    )


def _arm(observed: Observed, revision: str, source: Source) -> Arm:
    workload = observed.workload(revision)
    pods = workload.pods if workload is not None else ()
    ready = [pod.ready_changed for pod in pods if pod.ready]
    service = ""
    if source is Source.GATEWAY:
        gateway = series_for(Source.GATEWAY, GATEWAY)
        assert gateway is not None
        name = names.workload_name(observed.key.name, revision)
        service = gateway.service_pattern(namespace=observed.key.namespace, route=observed.key.name, service=name)
    return Arm(
        revision=revision,
        service=service,
        pods=tuple(
            ArmPod(
                name=pod.name,
                created_at=pod.created.timestamp(),
                ready_at=_seconds(pod.ready_changed) if pod.ready else None,
                gone=pod.deleting,
            )
            for pod in pods
        ),
        ready_at=_seconds(min(ready)) if ready else None,
    )


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
