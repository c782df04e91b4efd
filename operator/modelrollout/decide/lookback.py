"""What stable's past says before the rollout: how its bad requests scatter, which edges to test, how busy it was.

Asked for once and fixed before the first block, never from the candidate's data. What the past does not say keeps its
fallback. Pure.

The scatter is best seen of several pods side by side, so that of errors and latency comes from the servers' own
series, also where the gateway's are compared; a gateway's edge then takes the scatter of the servers' nearest one.
Where the servers' series are not known, the gateway's of all pods together are looked at over time. A metric of the
user's own is looked at where it is counted: by its pods, or at the gateway over time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf

from modelrollout.decide import histogram
from modelrollout.decide.growth import edges_from, fresh_tests
from modelrollout.decide.past import Counters, Past, past, total
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence, LimitEvidence, MetricEvidence, Scatter, StableBefore
from modelrollout.domain.metrics import Kind, MetricSettings, Source
from modelrollout.domain.polls import REQUESTS
from modelrollout.domain.signals import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The look-back's answer up to `end` (unix seconds), per metric; `requests` is that of errors."""

    end: float
    compared: Mapping[str, Counters] = field(default_factory=dict)
    """Of the source that the rollout is judged by, and of metrics of the user's own."""
    servers: Mapping[str, Counters] = field(default_factory=dict)
    """Of the servers, per pod; empty where their series are not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One metric's past: of what is compared, and where its scatter is seen best."""

    compared: Past
    scattering: Past


def informed(evidence: Evidence, settings: AnalysisSettings, history: History) -> Evidence:
    """The evidence with what the past says; as it was once a block was counted or the past was asked before."""
    if evidence.block_seq > 0 or evidence.before is not None:
        return evidence
    requests = _seen(REQUESTS, history, None)
    errors = requests.scattering.scatter(settings)
    seen = {wanted.name: _seen(wanted.name, history, wanted) for wanted in settings.metrics if wanted.is_counted}
    metrics = []
    for metric, wanted in zip(evidence.metrics, settings.metrics, strict=True):
        if not wanted.is_counted:
            metrics.append(metric)
        elif metric.kind is Kind.HISTOGRAM:
            metrics.append(_histogram(metric, wanted, seen[metric.name], settings, evidence.parts_started))
        else:
            own = errors if wanted.signal is None else seen[metric.name].scattering.scatter(settings)
            metrics.append(_scattered(metric, {None: own}))

    def beside(limit: LimitEvidence) -> Scatter:
        return errors if limit.edge is None else seen[limit.metric].scattering.slow_scatter(limit.edge, settings)

    return replace(
        evidence,
        metrics=tuple(metrics),
        limits=tuple(replace(each, scatter=beside(each)) for each in evidence.limits),
        before=StableBefore(
            requests=total(requests.compared.requests),
            bad=total(requests.compared.bad),
            seconds=round(requests.compared.seconds, 3),
        ),
    )


def _seen(name: str, history: History, wanted: MetricSettings | None) -> _Seen:
    """`wanted` None: of all requests."""
    signal = None if wanted is None else wanted.signal
    score = signal if isinstance(signal, Score) else None
    compared = past(history.compared.get(name, Counters()), history.end, score=score)
    if wanted is not None and signal is not None:
        return _Seen(compared=compared, scattering=compared if wanted.source is Source.SERVER else compared.together())
    of_servers = history.servers.get(name, Counters())
    side_by_side = past(of_servers, history.end) if of_servers.every() else compared.together()
    return _Seen(compared=compared, scattering=side_by_side)


def _histogram(
    metric: MetricEvidence, wanted: MetricSettings, seen: _Seen, settings: AnalysisSettings, parts: int
) -> MetricEvidence:
    """With edges from the past, where it has requests enough; else they come from the rollout's own first ones."""
    if metric.edges is None:
        profile = seen.compared.profile()
        if profile.get(inf, 0.0) < histogram.LEAST_REQUESTS:
            return metric
        chosen = replace(metric, edges=edges_from(profile, wanted), profile=(), edges_from_past=True)
        metric = replace(chosen, tests=fresh_tests(chosen, parts, Scatter()))
    return _scattered(metric, {t.edge: seen.scattering.slow_scatter(t.edge or 0.0, settings) for t in metric.tests})


def _scattered(metric: MetricEvidence, found: Mapping[float | None, Scatter]) -> MetricEvidence:
    return replace(metric, tests=tuple(replace(test, scatter=found[test.edge]) for test in metric.tests))
