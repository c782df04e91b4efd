"""Past rollouts, judged again from the raw samples that a Prometheus still has of them.

Asked is by the operator's own prober: the same queries, with a time in the past. Needs no cluster; the pods of a
revision are those whose series carry its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil

from modelrollout import names
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.observed import Observed, Pod, Workload
from modelrollout.domain.polls import ProviderFault
from modelrollout.measure.instruments import Instruments
from modelrollout.measure.prober import PrometheusProber
from modelrollout.measure.prometheus import Prometheus
from modelrollout.measure.provider_settings import ProviderSettings
from modelrollout.measure.providers import Providers
from modelrollout.measure.queries import Query, literal, quoted
from modelrollout.simulate.retell import Ask, PastRollout, Retold, retell

BEFORE = 120.0
"""Seconds before a rollout in which its stable pods are looked for."""
BEHIND_TRAEFIK = Instruments()
GONE_AFTER = 60.0
"""Seconds without a sample after which a pod is taken to be gone."""


class NoAnswer(ValueError):  # noqa: N818 -- what Prometheus could not be asked for, told to whoever asked
    """Says what to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Life:
    """When a pod's series were there."""

    revision: str
    pod: str
    first: float
    ready: float | None
    """Since when it answered scrapes; None: never."""
    last: float


async def replay(
    desired: ModelDeployment,
    rollouts: Sequence[PastRollout],
    provider: ProviderSettings,
    instruments: Instruments = BEHIND_TRAEFIK,
) -> tuple[Retold, ...]:
    """Each rollout as the operator would have decided it with the settings of `desired`. NoAnswer without samples.

    `desired` is to be completed by the same instruments.
    """
    settings = replace(provider, name=desired.analysis.provider)
    providers = Providers((settings,), window=0.0)
    prometheus = Prometheus(settings)
    try:
        prober = PrometheusProber(providers, instruments)
        return tuple([await _replayed(desired, rollout, prober, prometheus) for rollout in rollouts])
    finally:
        prometheus.close()
        providers.close()


async def _replayed(
    desired: ModelDeployment, rollout: PastRollout, prober: PrometheusProber, prometheus: Prometheus
) -> Retold:
    lives = await _lives(desired, rollout, prometheus)
    telling = retell(desired, rollout)
    try:
        ask = next(telling)
        while True:
            observed = _with_pods(ask, lives)
            evidence = await prober.measure(ask.action, observed)
            for _, fault in evidence.faults:
                raise NoAnswer(fault.message)
            ask = telling.send(evidence)
    except StopIteration as end:
        told: Retold = end.value
        return told


def _with_pods(ask: Ask, lives: Sequence[_Life]) -> Observed:
    """The pods that were there at the poll."""
    at = ask.action.polls[-1]

    def workload(empty: Workload) -> Workload:
        pods = tuple(
            _pod(life, at)
            for life in lives
            if life.revision == empty.revision and life.first <= at <= life.last + GONE_AFTER
        )
        ready = sum(pod.ready for pod in pods)
        return replace(empty, replicas=len(pods), ready=ready, endpoints=ready, pods=pods)

    return replace(ask.observed, workloads=tuple(map(workload, ask.observed.workloads)))


def _pod(life: _Life, at: float) -> Pod:
    ready = life.ready is not None and life.ready <= at
    changed = life.ready if ready and life.ready is not None else life.first
    return Pod(name=life.pod, ready=ready, created=_moment(life.first), ready_changed=_moment(changed))


async def _lives(desired: ModelDeployment, rollout: PastRollout, prometheus: Prometheus) -> tuple[_Life, ...]:
    """The pods of both revisions, told by their names, as long as they were scraped.

    Behind a gateway, too: metrics of the user's own are counted by pods, and so is how stable's bad requests scatter.
    """
    found = []
    for revision in (rollout.stable, rollout.candidate):
        workload = names.workload_name(desired.key.name, revision)
        pattern = f"{literal(workload)}-[a-z0-9]+-[a-z0-9]+"
        span = ceil(rollout.ended - rollout.begun + BEFORE)
        text = f"up{{namespace={quoted(desired.key.namespace)},pod=~{quoted(pattern)}}}[{span}s]"
        answer = await prometheus.rows(Query(name="targets", text=text, at=rollout.ended))
        if isinstance(answer, ProviderFault):
            raise NoAnswer(answer.message)
        found += [
            _Life(
                revision=revision,
                pod=row.labels.get("pod", ""),
                first=row.samples[0].t,
                ready=next((sample.t for sample in row.samples if sample.v > 0), None),
                last=row.samples[-1].t,
            )
            for row in answer
            if row.samples
        ]
    return tuple(found)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
