"""One measurement: what to ask for the two revisions seen, ask it, and let the answers join the evidence.

Never raises for what a provider does: a fault is an answer of its own, and evidence of nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from modelrollout import names
from modelrollout.decide.blocks import LEAST_LOOKBACK
from modelrollout.decide.evidence import measure_since
from modelrollout.decide.lookback import History, informed
from modelrollout.decide.preflight import LOOKED_AT, seen
from modelrollout.decide.recovery import absorbed
from modelrollout.decide.service_burn import looked
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.metrics import MetricSettings, Source
from modelrollout.domain.observed import Observed
from modelrollout.domain.parse import analysis_settings
from modelrollout.domain.plan import Measure
from modelrollout.domain.polls import REQUESTS, Arm, ArmPod, Arms, FaultKind, Poll, ProviderFault
from modelrollout.domain.preflight import Preflight
from modelrollout.domain.service_errors import ServiceErrors, ServiceWindows
from modelrollout.measure.instruments import Instruments
from modelrollout.measure.lookback import Asks, Span, look_back
from modelrollout.measure.lookback import Source as LookBackSource
from modelrollout.measure.providers import Providers
from modelrollout.measure.queries import MeasurePlan, described
from modelrollout.measure.series import SeriesPreset
from modelrollout.measure.service_errors import WholeService, service_errors

_NO_SERIES = ProviderFault(
    kind=FaultKind.REFUSED,
    message="The runtime has no series that can be compared. Set spec.analysis.mode to none, or source to gateway.",
    permanent=True,
)


class PrometheusProber:
    """Answers a `Measure` by the provider that the spec names."""

    def __init__(
        self, providers: Providers, instruments: Instruments, *, on_asked: Callable[[Poll], None] | None = None
    ) -> None:
        self._providers = providers
        self._instruments = instruments
        self._on_asked = on_asked

    async def measure(self, action: Measure, observed: Observed) -> Evidence:
        settings = analysis_settings(observed.intent.analysis)
        evidence = action.evidence
        arms = arms_of(observed, evidence, self._preset(settings, observed, evidence.stable))
        if action.preflight is not None:
            evidence = replace(evidence, preflight=await self._looked(action.preflight, evidence, observed, settings))
        answers = evidence.preflight is None or not evidence.preflight.faults
        if action.look_back is not None and answers:
            evidence = await self._informed(action.look_back, evidence, observed, settings)
        polls, service = await asyncio.gather(
            self._polls(action, observed, settings, arms), self._service(action, observed, settings)
        )
        evidence = replace(evidence, service=service)
        for poll in polls:
            if self._on_asked is not None:
                self._on_asked(poll)
            evidence = absorbed(evidence, settings, poll, arms)
        return evidence

    def _preset(self, settings: AnalysisSettings, observed: Observed, revision: str) -> SeriesPreset | None:
        snapshot = observed.snapshot(revision)
        return self._instruments.of(settings, "" if snapshot is None else snapshot.preset)

    def _asking(
        self, observed: Observed, settings: AnalysisSettings, arms: Arms, *, polls: tuple[float, ...], since: float
    ) -> tuple[Asks, MeasurePlan] | ProviderFault:
        """Whom to ask what, or why nobody can be."""
        provider = self._providers.named(settings.provider)
        preset = self._preset(settings, observed, arms.stable.revision)
        if isinstance(provider, ProviderFault) or preset is None:
            return provider if isinstance(provider, ProviderFault) else _NO_SERIES
        return provider, MeasurePlan(
            namespace=observed.key.namespace,
            preset=preset,
            arms=arms,
            polls=polls,
            since=since,
            metrics=settings.metrics,
            promql=self._instruments.promql,
        )

    async def _looked(self, at: float, evidence: Evidence, observed: Observed, settings: AnalysisSettings) -> Preflight:
        """Each query once, of stable."""
        seconds = LOOKED_AT.total_seconds()
        end = at - observed.lag_of(settings.provider)
        stable = _arm(observed, evidence.stable, self._preset(settings, observed, evidence.stable))
        arms = Arms(stable=stable, candidate=Arm(revision=""))
        asking = self._asking(observed, settings, arms, polls=(end,), since=end - seconds - LEAST_LOOKBACK)
        if isinstance(asking, ProviderFault):
            return Preflight(at=at, seconds=seconds, faults=(asking,))
        provider, plan = asking
        (poll,) = await provider.ask(plan)
        found = seen(poll, arms, settings, described(plan))
        return replace(found, at=at, instruments=_unlike(plan.preset, settings, observed, evidence))

    async def _informed(
        self, until: float, evidence: Evidence, observed: Observed, settings: AnalysisSettings
    ) -> Evidence:
        """With what stable's past says; where nothing can be asked, with that."""
        history = History(end=until)
        provider, workload = self._providers.named(settings.provider), observed.workload(evidence.stable)
        preset = self._preset(settings, observed, evidence.stable)
        if not isinstance(provider, ProviderFault) and preset is not None and workload is not None:
            start = until - settings.overdispersion.lookback.total_seconds()
            if workload.created is not None:
                start = max(start, workload.created.timestamp())
            server = self._preset(replace(settings, source=Source.SERVER), observed, evidence.stable)
            known = tuple(metric for metric in settings.metrics if metric.signal is None)
            history = await look_back(
                provider,
                Span(start=start, end=until),
                compared=_source(preset, observed, evidence.stable, settings.metrics),
                servers=None if server is None else _source(server, observed, evidence.stable, known),
            )
        return await asyncio.to_thread(informed, evidence, settings, history)

    async def _polls(
        self, action: Measure, observed: Observed, settings: AnalysisSettings, arms: Arms
    ) -> tuple[Poll, ...]:
        if not action.polls:
            return ()
        since = measure_since(action.evidence)
        asking = self._asking(observed, settings, arms, polls=action.polls, since=since)
        if isinstance(asking, ProviderFault):
            return tuple(Poll(at=at, answers={REQUESTS: asking}) for at in action.polls)
        provider, plan = asking
        return await provider.ask(plan)

    async def _service(self, action: Measure, observed: Observed, settings: AnalysisSettings) -> ServiceErrors | None:
        """Beside the polls, so that it delays none of them for long."""
        before, at = action.evidence.service, action.service_at
        if at is None:
            return before
        provider = self._providers.named(settings.provider)
        preset = self._preset(settings, observed, action.evidence.stable)
        answer: ServiceWindows | ProviderFault
        if isinstance(provider, ProviderFault) or preset is None:
            answer = provider if isinstance(provider, ProviderFault) else _NO_SERIES
        else:
            service = WholeService(key=observed.key, preset=preset)
            answer = await service_errors(provider, service, at - observed.lag_of(settings.provider))
        return looked(before, settings, at, answer)


def _unlike(preset: SeriesPreset, settings: AnalysisSettings, observed: Observed, evidence: Evidence) -> str:
    """Why the revisions' own series are not of one instrument; empty: they are, or the gateway measures both."""
    runtimes = {each.preset for each in map(observed.snapshot, (evidence.stable, evidence.candidate)) if each}
    if preset.place.source is Source.GATEWAY or settings.series is not None or len(runtimes) < 2:
        return ""
    return (
        f"Stable and candidate run on {' and '.join(sorted(runtimes))}, whose series count different things. Use "
        "router gatewayAPI with spec.analysis.source gateway, or set spec.analysis.mode to none for this version."
    )


def _source(
    preset: SeriesPreset, observed: Observed, stable: str, metrics: tuple[MetricSettings, ...]
) -> LookBackSource:
    arm = _arm(observed, stable, preset)
    return LookBackSource(namespace=observed.key.namespace, preset=preset, stable=arm, metrics=metrics)


def arms_of(observed: Observed, evidence: Evidence, preset: SeriesPreset | None) -> Arms:
    """Both revisions, as that preset's series name them."""
    real = dict(observed.route.share).get(evidence.candidate)
    return Arms(
        stable=_arm(observed, evidence.stable, preset),
        candidate=_arm(observed, evidence.candidate, preset),
        share=None if real is None else real / 100,
    )


def _arm(observed: Observed, revision: str, preset: SeriesPreset | None) -> Arm:
    workload = observed.workload(revision)
    pods = workload.pods if workload is not None else ()
    ready = [pod.ready_changed for pod in pods if pod.ready]
    service = ""
    if preset is not None and preset.place.source is Source.GATEWAY:
        name = names.workload_name(observed.key.name, revision)
        service = preset.service_pattern(namespace=observed.key.namespace, route=observed.key.name, service=name)
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
