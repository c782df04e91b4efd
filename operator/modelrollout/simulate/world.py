"""A cluster in which all goes well, for the operator's own rules to act in.

Pods get ready after their time, routes are accepted and in effect as soon as they are written, a person who is waited
for comes. What is decided, when and why is `decide.plan`'s alone: it is called here as the controller calls it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import assert_never

from modelrollout.decide.evidence import absorb, measure_since
from modelrollout.decide.lookback import informed
from modelrollout.decide.plan import plan
from modelrollout.decide.service_burn import looked
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import EMPTY
from modelrollout.domain.intent import Intent
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import ModelDeployment, RouterName
from modelrollout.domain.observed import Autoscaler, Observed, Pod, Workload
from modelrollout.domain.plan import (
    Action,
    ApplyWorkload,
    Checkpoint,
    DropRoute,
    ForgetSnapshot,
    Measure,
    Plan,
    PointService,
    Prune,
    ShiftTraffic,
    SnapshotRevision,
)
from modelrollout.domain.polls import Arm, ArmPod, Arms
from modelrollout.domain.preflight import Preflight
from modelrollout.domain.revision import Snapshot
from modelrollout.domain.traffic import RouteSeen
from modelrollout.simulate.before import history_of
from modelrollout.simulate.bucket_bounds import bounds_of
from modelrollout.simulate.own_metrics import gauges, own_metrics, without
from modelrollout.simulate.scenario import Scenario
from modelrollout.simulate.traffic import Share, Traffic

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
STABLE = "stable"
"""The revision that serves; no hash can be this word."""
HISTORY = 1800.0
"""Seconds of traffic before the rollout: enough of stable's past to look back at."""
GATEWAY = "gateway"
_LONG_AGO = EPOCH - timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _LivePod:
    name: str
    created: float
    ready: float


class World:
    """One rollout of `desired` over a stable revision. `now` is in unix seconds."""

    def __init__(self, desired: ModelDeployment, scenario: Scenario, rng: Random) -> None:
        desired = without(desired, gauges(desired))
        self.now = EPOCH.timestamp()
        self.intent = Intent(stable=STABLE, since=_LONG_AGO, router=str(desired.traffic.router), attempt=1)
        self.evidence: Evidence | None = None
        self.command: str | None = None
        self.desired = desired
        self._scenario = scenario
        self._candidate = desired.revision
        self._by_replicas = desired.traffic.router is RouterName.REPLICA_RATIO
        self._saved: tuple[datetime, float | None] | None = None
        self._pods: dict[str, list[_LivePod]] = {STABLE: []}
        self._wanted: dict[str, tuple[int, int]] = {}
        self._route: Mapping[str, int] = {STABLE: 100}
        self._shifted = _LONG_AGO
        self._service: str | None = STABLE
        self._snapshots = (_snapshot(desired, STABLE, 1), _snapshot(desired, self._candidate, 2))
        self._scale(STABLE, scenario.pods or desired.scaling.floor, ready=self.now - 3600)
        self.traffic = Traffic(
            scenario,
            candidate=self._candidate,
            bounds=bounds_of(scenario, desired.analysis),
            own=own_metrics(desired, scenario),
            begin=self.now - HISTORY,
            rng=rng,
        )
        self.traffic.split(self.now - HISTORY, self._shares())

    @property
    def candidate_weight(self) -> int:
        """Per cent, as the route has it."""
        return self._route.get(self._candidate, 0)

    def walk(self) -> Plan:
        """Observe, decide, carry out; a new intent is read back at once."""
        decided = plan(self._observe(), _moment(self.now))
        for action in decided.actions:
            self._carry_out(action)
        if decided.intent is not None:
            self.intent = replace(decided.intent, analysis=None)  # the spec never changes here, so nothing is frozen
        return decided

    def next_event(self) -> float | None:
        """When a pod will next get ready."""
        return min((pod.ready for pods in self._pods.values() for pod in pods if pod.ready > self.now), default=None)

    def pass_to(self, at: float) -> None:
        """Time passes; whoever gets ready meanwhile takes its part of the traffic."""
        while (event := self.next_event()) is not None and event <= at:
            self.now = event
            self.traffic.split(event, self._shares())
        self.now = max(self.now, at)
        self.traffic.to(self.now)

    def _observe(self) -> Observed:
        return Observed(
            key=self.desired.key,
            uid=self.desired.uid,
            resource_version="1",
            generation=self.desired.generation,
            deleting=False,
            desired=self.desired,
            intent=self.intent,
            command=self.command,
            snapshots=self._snapshots,
            workloads=tuple(self._workload(revision) for revision in self._pods),
            route=RouteSeen(
                exists=True,
                weights=tuple(self._route.items()),
                share=self._real_share() if self._by_replicas else (),
                accepted=True,
                answered=True,
                resource_version="1",
                shifted_at=self._shifted,
            ),
            service_exists=True,
            service_points_at=self._service,
            evidence=self.evidence,
            checkpointed_at=self._saved[0] if self._saved else None,
            checkpoint_eval=self._saved[1] if self._saved else None,
        )

    def _workload(self, revision: str) -> Workload:
        pods = self._pods[revision]
        ready = self._ready(revision)
        least, most = self._wanted.get(revision, (len(pods), len(pods)))
        return Workload(
            revision=revision,
            replicas=len(pods),
            ready=ready,
            endpoints=ready,
            pods=tuple(_seen(pod, self.now) for pod in pods),
            autoscaler=Autoscaler(min_replicas=least, max_replicas=most, desired=len(pods)),
            created=_moment(pods[0].created) if pods else None,
            available_changed=_LONG_AGO,
        )

    def _ready(self, revision: str) -> int:
        return sum(pod.ready <= self.now for pod in self._pods.get(revision, ()))

    def _carry_out(self, action: Action) -> None:
        match action:
            case ApplyWorkload():
                self._wanted[action.revision] = (action.min_replicas, action.max_replicas)
                self._scale(action.revision, action.min_replicas, ready=self.now + self._scenario.ready_after)
            case ShiftTraffic():
                if action.routing.weights != self._route:
                    self._route = action.routing.weights
                    self._shifted = _moment(self.now)
                    self.traffic.split(self.now, self._shares())
            case PointService():
                self._service = action.revision
            case Measure():
                self.evidence = self._measured(action)
            case Checkpoint():
                self._saved = (_moment(self.now), action.evidence.last_eval)
            case Prune():
                self._pods.pop(action.revision, None)
            case SnapshotRevision() | DropRoute() | ForgetSnapshot():
                pass  # both revisions are on record, and there is one route
            case _:
                assert_never(action)

    def _scale(self, revision: str, wanted: int, *, ready: float) -> None:
        """Autoscalers find no more load than the least pods carry."""
        pods = self._pods.setdefault(revision, [])
        while len(pods) < wanted:
            pods.append(
                _LivePod(name=f"{revision}-{len(pods)}", created=ready - self._scenario.ready_after, ready=ready)
            )
        if len(pods) > wanted and self.intent.candidate is None:
            del pods[wanted:]

    def _measured(self, action: Measure) -> Evidence:
        evidence, settings = action.evidence, self.desired.analysis
        if action.preflight is not None:
            nothing_in_the_way = Preflight(at=action.preflight, seconds=1.0)
            evidence = replace(evidence, preflight=nothing_in_the_way)
        if action.look_back is not None:
            past = self.traffic.poll(action.look_back, action.look_back - HISTORY)
            evidence = informed(evidence, settings, history_of(past, STABLE, settings.source))
        if action.service_at is not None:
            windows = self.traffic.service_windows(action.service_at)
            evidence = replace(evidence, service=looked(evidence.service, settings, action.service_at, windows))
        for at in action.polls:
            poll = self.traffic.poll(at, measure_since(evidence))
            evidence = absorb(evidence, settings, poll, self._arms(settings))
        return evidence

    def _arms(self, settings: AnalysisSettings) -> Arms:
        real = dict(self._real_share()).get(self._candidate) if self._by_replicas else None
        return Arms(
            stable=self._arm(STABLE, settings.source),
            candidate=self._arm(self._candidate, settings.source),
            share=None if real is None else real / 100,
        )

    def _arm(self, revision: str, source: Source) -> Arm:
        pods = self._pods.get(revision, [])
        ready = [pod.ready for pod in pods if pod.ready <= self.now]
        return Arm(
            revision=revision,
            service=f"{revision}@{GATEWAY}" if source is Source.GATEWAY else "",
            pods=tuple(
                ArmPod(name=pod.name, created_at=pod.created, ready_at=pod.ready if pod.ready <= self.now else None)
                for pod in pods
            ),
            ready_at=min(ready, default=None),
        )

    def _shares(self) -> tuple[Share, ...]:
        """Who gets which part of the requests now, and who counts them."""
        ready = {
            revision: tuple(pod.name for pod in pods if pod.ready <= self.now) for revision, pods in self._pods.items()
        }
        taking = {revision: weight for revision, weight in self._route.items() if weight and ready.get(revision)}
        if self._by_replicas:
            taking = {revision: len(ready[revision]) for revision in taking}
        total = sum(taking.values())
        at_gateway = self.desired.analysis.source is Source.GATEWAY
        return tuple(
            Share(revision=revision, part=amount / total, targets=(GATEWAY,) if at_gateway else ready[revision])
            for revision, amount in taking.items()
        )

    def _real_share(self) -> tuple[tuple[str, int], ...]:
        """Whole per cents, as the router reads them off the ready endpoints."""
        parts = {share.revision: share.part for share in self._shares()}
        candidate = round(100 * parts.get(self._candidate, 0.0))
        if self._candidate not in parts:
            return ((STABLE, 100),)
        return ((self._candidate, candidate), (STABLE, 100 - candidate))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _seen(pod: _LivePod, now: float) -> Pod:
    ready = pod.ready <= now
    changed = _moment(pod.ready if ready else pod.created)
    return Pod(name=pod.name, ready=ready, created=_moment(pod.created), ready_changed=changed)


def _snapshot(desired: ModelDeployment, revision: str, number: int) -> Snapshot:
    return Snapshot(
        revision=revision,
        number=number,
        version=desired.version,
        preset=desired.preset,
        template_version=1,
        pod_template=EMPTY,
        ready_timeout=desired.ready_timeout,
        model=desired.model,
        runtime=desired.runtime,
    )
