"""A small world for the planner: an API server with preconditions, controllers, pods, a gateway and users' luck.

Not a stand-in for Kubernetes: it knows only what the invariants speak of. Every write passes through `_write`,
where the process may be killed just before or just after it, and where the invariants are checked.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from modelrollout.decide.plan import plan
from modelrollout.decide.recovery import checked
from modelrollout.decide.report import status_of
from modelrollout.decide.service_burn import looked as looked_at_service
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.evidence import Evidence, RegressionFound, StableBefore
from modelrollout.domain.fragment import EMPTY, Fragment
from modelrollout.domain.intent import Intent
from modelrollout.domain.intent_document import intent_from
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.observed import Autoscaler, Observed, Pod, Workload
from modelrollout.domain.parse import analysis_settings
from modelrollout.domain.plan import (
    Action,
    ApplyWorkload,
    Checkpoint,
    DropRoute,
    ForgetSnapshot,
    Measure,
    Outcome,
    Plan,
    PointService,
    Prune,
    ShiftTraffic,
    SnapshotRevision,
)
from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.domain.preflight import Preflight
from modelrollout.domain.revision import Snapshot
from modelrollout.domain.service_errors import ServiceWindows, WindowCount
from modelrollout.domain.tally import Tally
from modelrollout.domain.traffic import RouteSeen, Routing
from tests.builders import KEY, a_snapshot
from tests.crds import schema
from tests.crds.schema import problems

STATUS = schema.root()["properties"]["status"]
START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DOWN = ProviderFault(kind=FaultKind.UNREACHABLE, message="Prometheus cannot be reached.")
POD_READY_AFTER = timedelta(seconds=4)


class Killed(Exception):  # noqa: N818 -- an event of the world
    """The process died at this write."""


class Stale(Exception):  # noqa: N818 -- an answer of the API server
    """The object moved on since it was read."""


@dataclass
class Traits:
    """What a version is like once it runs."""

    ready: bool = True
    regressed: bool = False
    crashes: bool = False


@dataclass
class LivePod:
    name: str
    created: datetime


@dataclass
class LiveWorkload:
    """A Deployment with its HPA, as the controllers keep it."""

    revision: str
    created: datetime
    minimum: int
    maximum: int
    version: int = 1
    pods: list[LivePod] = field(default_factory=list)


@dataclass
class World:
    spec: ModelDeployment
    traits: dict[str, Traits] = field(default_factory=dict)
    now: datetime = START
    status: Fragment = EMPTY
    status_writes: int = 0
    version: int = 1
    command: str | None = None
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    workloads: dict[str, LiveWorkload] = field(default_factory=dict)
    route: dict[str, int] | None = None
    route_version: int = 0
    shifted_at: datetime = START
    service: str | None = None
    checkpoint: Evidence | None = None
    checkpointed_at: datetime | None = None
    metrics_answer: bool = True
    burns: bool = False
    """All revisions together fail far more than any SLO allows."""
    service_looks: int = 0
    samples_since: float = 0.0
    """What was scraped before is gone; unix seconds."""
    router_answers: bool = True
    memory: dict[int, Evidence] = field(default_factory=dict)
    """Each worker's evidence; lost when it is killed."""
    writes: int = 0
    kill_at: int | None = None
    """When to die; see `_write`."""
    log: list[str] = field(default_factory=list)
    raised: list[tuple[str, int, int]] = field(default_factory=list)
    """Every weight raise that was decided: candidate, attempt, weight."""
    _names: Iterator[int] = field(default_factory=itertools.count)

    # ------------------------------------------------------------------ the world moves

    def pass_time(self, seconds: float) -> None:
        for workload in self.workloads.values():
            while len(workload.pods) < workload.minimum:
                workload.pods.append(LivePod(name=f"pod-{next(self._names)}", created=self.now))
            while len(workload.pods) > workload.maximum:
                workload.pods.pop()
        self.now += timedelta(seconds=seconds)

    def traits_of(self, revision: str) -> Traits:
        return self.traits.setdefault(revision, Traits())

    def pods_of(self, workload: LiveWorkload) -> tuple[Pod, ...]:
        traits = self.traits_of(workload.revision)
        seen = []
        for pod in workload.pods:
            up = traits.ready and self.now - pod.created >= POD_READY_AFTER
            crash = Remark(reason=Reason.CRASH_LOOP, message="It crashes. Apply a corrected spec.")
            seen.append(
                Pod(
                    name=pod.name,
                    ready=up and not traits.crashes,
                    created=pod.created,
                    ready_changed=pod.created + POD_READY_AFTER if up else pod.created,
                    restarts=3 if traits.crashes and self.now - pod.created >= POD_READY_AFTER else 0,
                    trouble=crash if traits.crashes else None,
                ),
            )
        return tuple(seen)

    def ready(self, revision: str) -> int:
        workload = self.workloads.get(revision)
        return sum(pod.ready for pod in self.pods_of(workload)) if workload else 0

    def lose_evidence(self) -> None:
        """Somebody deletes the ConfigMap, and every operator is restarted."""
        self.checkpoint = self.checkpointed_at = None
        self.memory.clear()

    # ------------------------------------------------------------------ what a worker sees

    def observe(self, worker: int) -> Observed:
        workloads = []
        for live in self.workloads.values():
            pods = self.pods_of(live)
            ready = sum(pod.ready for pod in pods)
            workloads.append(
                Workload(
                    revision=live.revision,
                    replicas=len(live.pods),
                    ready=ready,
                    endpoints=ready,
                    pods=pods,
                    autoscaler=Autoscaler(min_replicas=live.minimum, max_replicas=live.maximum, desired=len(live.pods)),
                    created=live.created,
                    available_changed=live.created,
                ),
            )
        route = RouteSeen(exists=False)
        if self.route is not None:
            route = RouteSeen(
                exists=True,
                weights=tuple(self.route.items()),
                accepted=self.router_answers,
                answered=True,
                resource_version=str(self.route_version),
                shifted_at=self.shifted_at,
            )
        return Observed(
            key=KEY,
            uid=self.spec.uid,
            resource_version=str(self.version),
            generation=self.spec.generation,
            deleting=False,
            desired=self.spec,
            intent=self.intent,
            status=self.status,
            command=self.command,
            snapshots=tuple(self.snapshots.values()),
            workloads=tuple(workloads),
            route=route,
            service_exists=self.service is not None,
            service_points_at=self.service,
            evidence=self.memory.get(worker, self.checkpoint),
            checkpointed_at=self.checkpointed_at,
            checkpoint_eval=self.checkpoint.last_eval if self.checkpoint else None,
        )

    @property
    def intent(self) -> Intent:
        return intent_from(self.status.mapping)

    # ------------------------------------------------------------------ one walk

    def walk(self, worker: int = 0, view: Observed | None = None) -> Plan:
        """Observe (or act on an old view), decide, carry out, report. Killed or refused: nothing more happens."""
        observed = self.observe(worker) if view is None else view
        decided = plan(observed, self.now)
        outcomes: list[Outcome] = []
        try:
            for action in decided.actions:
                outcomes.append(self._carry_out(action, observed, worker))
                if outcomes[-1].refused:
                    break
            status = status_of(observed, decided, tuple(outcomes), self.now)
            if status != observed.status:
                self._write_status(observed, status, decided)
        except Stale:
            self.log.append("stale")
        except Killed:
            self.memory.pop(worker, None)
            self.log.append("killed")
        return decided

    def _write(self, what: str, effect: Callable[[], None]) -> None:
        """One write. `kill_at` 2n dies just before the effect of the n-th write from now, 2n+1 just after it."""
        if self.kill_at is not None:
            self.kill_at -= 2
            if self.kill_at < 0:
                after, self.kill_at = self.kill_at == -1, None
                if after:
                    self._done(what, effect)
                raise Killed
        self._done(what, effect)

    def _done(self, what: str, effect: Callable[[], None]) -> None:
        effect()
        self.writes += 1
        self.log.append(what)

    def _write_status(self, observed: Observed, status: Fragment, decided: Plan) -> None:
        if observed.resource_version != str(self.version):
            raise Stale
        wrong = list(problems(STATUS, status.value))
        assert not wrong, f"the API server would prune or refuse this status: {wrong}"

        def effect() -> None:
            before, after = self.intent, intent_from(status.mapping)
            if after.weight > before.weight:
                assert after.candidate is not None
                self.raised.append((after.candidate, after.attempt, after.weight))
            if decided.intent is not None:
                assert decided.intent == after, "what was decided is what is read back"
            self.status = status
            self.status_writes += 1
            self.version += 1

        self._write(f"status {decided.reason}", effect)

    # ------------------------------------------------------------------ effects

    def _carry_out(self, action: Action, observed: Observed, worker: int) -> Outcome:
        match action:
            case SnapshotRevision():
                snapshot = a_snapshot(self.spec, action.number)
                if snapshot.revision == action.revision and action.revision not in self.snapshots:
                    self._write("snapshot", lambda: self.snapshots.update({snapshot.revision: snapshot}))
            case ApplyWorkload():
                self._apply(action)
            case PointService():
                if self.service != action.revision:
                    self._write("service", lambda: setattr(self, "service", action.revision))
            case ShiftTraffic():
                return self._shift(action, observed)
            case Measure():
                self.memory[worker] = self._measured(action)
            case Checkpoint():
                self._write("checkpoint", lambda: self._save(action.evidence))
            case Prune():
                self._prune(action.revision, observed)
            case DropRoute():
                raise AssertionError("this world has one router")
            case ForgetSnapshot():
                self._write("forget", lambda: self.snapshots.__delitem__(action.revision))
            case _:
                assert_never(action)
        return Outcome(action=action)

    def _apply(self, action: ApplyWorkload) -> None:
        live = self.workloads.get(action.revision)
        if live is None:
            made = LiveWorkload(
                revision=action.revision, created=self.now, minimum=action.min_replicas, maximum=action.max_replicas
            )
            self._write("workload", lambda: self.workloads.update({action.revision: made}))
        elif (live.minimum, live.maximum) != (action.min_replicas, action.max_replicas):

            def effect() -> None:
                live.minimum, live.maximum = action.min_replicas, action.max_replicas
                live.version += 1

            self._write("workload", effect)

    def _shift(self, action: ShiftTraffic, observed: Observed) -> Outcome:
        if not self.router_answers and self.route is None:
            return Outcome(action=action, refused=Reason.ROUTER_UNAVAILABLE, message="The router is away. Wait.")
        if self.route is not None and observed.route.resource_version != str(self.route_version):
            raise Stale
        if observed.route.carries(action.routing):
            return Outcome(action=action)
        self._write("route", lambda: self._set_route(action.routing))
        return Outcome(action=action, changed=True)

    def _set_route(self, routing: Routing) -> None:
        before = self.route or {}
        for revision, weight in routing.weights.items():
            if weight > before.get(revision, 0) and revision == routing.candidate:
                assert self.ready(revision), "a weight was raised on a revision that is not ready"
        assert all(revision in self.workloads for revision, weight in routing.weights.items() if weight)
        self.route = dict(routing.weights)
        self.route_version += 1
        self.shifted_at = self.now

    def _prune(self, revision: str, observed: Observed) -> None:
        seen = observed.workload(revision)
        live = self.workloads.get(revision)
        if live is None or seen is None or seen.created != live.created:
            return  # the uid that was decided on is gone already

        def effect() -> None:
            assert (self.route or {}).get(revision, 0) == 0, "a revision was pruned while it had traffic"
            assert self.service != revision, "the stable Service was left without its revision"
            del self.workloads[revision]

        self._write("prune", effect)

    def _measured(self, action: Measure) -> Evidence:
        """All that the judge asks of a measurement here: did it answer, and did it speak against the candidate."""
        evidence = action.evidence
        if action.preflight is not None:
            faults = () if self.metrics_answer else (DOWN,)
            looked = Preflight(at=action.preflight, seconds=300, requests=3000, faults=faults)
            evidence = replace(evidence, preflight=looked)
        if action.look_back is not None:
            evidence = replace(evidence, before=StableBefore())
        if action.service_at is not None:
            count = WindowCount(bad=50.0 if self.burns else 0.0, total=100.0)
            windows = ServiceWindows(six_hours=count, one_hour=count, thirty_minutes=count, five_minutes=count)
            answer = windows if self.metrics_answer else DOWN
            self.service_looks += 1
            service = looked_at_service(evidence.service, self.spec.analysis, action.service_at, answer)
            evidence = replace(evidence, service=service)
        if not action.polls:
            return evidence
        settings = analysis_settings(self.intent.analysis)
        for at in action.polls:
            evidence = self._polled(evidence, settings, at)
        return evidence

    def _polled(self, evidence: Evidence, settings: AnalysisSettings, last: float) -> Evidence:
        if not self.metrics_answer and evidence.replay is not None:
            return replace(evidence, faults=(("requests", DOWN),))
        if not self.metrics_answer:
            return replace(evidence, last_eval=last, polls=evidence.polls + 1, data_ok=False)
        if last < self.samples_since:
            grown = replace(evidence, last_eval=last, polls=evidence.polls + 1, block_start=last)
            return checked(grown, settings)
        traits = self.traits_of(evidence.candidate)
        found = RegressionFound(metric="errors", edge=None, at=last, log_evidence=6.0) if traits.regressed else None
        tally = Tally(n_canary=50, n_stable=450, x_canary=25 if traits.regressed else 0)
        grown = replace(
            evidence,
            faults=(),
            last_eval=last,
            block_start=last,
            polls=evidence.polls + 1,
            data_ok=True,
            last_data_at=last,
            block_seq=evidence.block_seq + 1,
            requests=evidence.requests + tally,
            step_requests=evidence.step_requests + tally,
            regression=found,
        )
        return checked(grown, settings)

    def _save(self, evidence: Evidence) -> None:
        self.checkpoint, self.checkpointed_at = evidence, self.now

    # ------------------------------------------------------------------ what must hold whenever nobody writes

    def check(self) -> None:
        if self.route is not None:
            assert sum(self.route.values()) == 100, f"weights do not add up: {self.route}"
            for revision, weight in self.route.items():
                assert not weight or revision in self.workloads, "traffic to what is not there"
        status: dict[str, Any] = json.loads(self.status.text)
        for decision in status.get("decisions", []):
            assert decision["message"], f"a decision without an explanation: {decision}"
        by_attempt: dict[tuple[str, int], list[int]] = {}
        for candidate, attempt, weight in self.raised:
            by_attempt.setdefault((candidate, attempt), []).append(weight)
        for key, weights in by_attempt.items():
            assert weights == sorted(set(weights)), f"a step was repeated for {key}: {weights}"

    def settle(self, worker: int = 0, *, seconds: float = 2000) -> None:
        """Let it run undisturbed until it rests, or for so long."""
        end, quiet = self.now + timedelta(seconds=seconds), 0
        while self.now < end and quiet < 5:
            writes = self.writes
            decided = self.walk(worker)
            self.check()
            quiet = quiet + 1 if decided.wake_after is None and writes == self.writes else 0
            step = 1.0 if decided.wake_after is None else decided.wake_after.total_seconds()
            self.pass_time(min(max(step, 0.05), 5.0))
