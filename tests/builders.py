"""Builders that state only what matters to a test."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout.decide.capacity import candidate_need
from modelrollout.decide.evidence import begin
from modelrollout.domain.analysis import AnalysisSettings, Mode
from modelrollout.domain.evidence import Evidence, StableBefore
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.intent import Intent
from modelrollout.domain.model_deployment import (
    GatewayApi,
    Key,
    ModelDeployment,
    RolloutPlan,
    RouterName,
    Scaling,
    ScalingMode,
    Step,
    Traffic,
)
from modelrollout.domain.observed import Autoscaler, Observed, Pod, Workload
from modelrollout.domain.preflight import Preflight
from modelrollout.domain.revision import Snapshot, revision_name
from modelrollout.domain.traffic import RouteSeen

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
KEY = Key(namespace="shop", name="sentiment")


def a_spec(
    version: str = "1", *, steps: tuple[int, ...] = (10, 30, 60), mode: Mode = Mode.ENFORCE, **changes: Any
) -> ModelDeployment:
    model = Fragment.of({"name": "sentiment", "version": version, "uri": f"pvc://models/sentiment/{version}"})
    runtime = Fragment.of({"preset": "mlserver", "image": "example/mlserver:1"})
    spec = ModelDeployment(
        key=KEY,
        uid="uid-1",
        generation=1,
        revision=revision_name(model, runtime),
        model=model,
        runtime=runtime,
        version=version,
        preset="mlserver",
        ready_timeout=timedelta(minutes=10),
        scaling=Scaling(mode=ScalingMode.HPA, min_replicas=2, max_replicas=10),
        traffic=Traffic(
            router=RouterName.GATEWAY_API,
            gateway_api=GatewayApi(parent_refs=Fragment.of([{"name": "public", "namespace": "infra"}])),
        ),
        rollout=RolloutPlan(steps=tuple(Step(weight=weight) for weight in steps), bake=timedelta(seconds=30)),
        analysis=AnalysisSettings(
            mode=mode,
            poll=timedelta(seconds=5),
            min_duration=timedelta(seconds=30),
            deadline=timedelta(seconds=60),
            warmup=timedelta(0),
        ),
        analysis_text=Fragment.of(
            {"mode": str(mode), "poll": "5s", "minDuration": "30s", "deadline": "60s", "warmup": "0s"}
        ).text,
    )
    return replace(spec, **changes)


def a_snapshot(spec: ModelDeployment, number: int = 1) -> Snapshot:
    return Snapshot(
        revision=spec.revision,
        number=number,
        version=spec.version,
        preset=spec.preset,
        template_version=1,
        pod_template=Fragment("{}"),
        ready_timeout=spec.ready_timeout,
        model=spec.model,
        runtime=spec.runtime,
    )


def a_pod(
    name: str = "pod-0", *, ready: bool = True, since: datetime = NOW - timedelta(minutes=5), **changes: Any
) -> Pod:
    return replace(Pod(name=name, ready=ready, created=NOW - timedelta(minutes=10), ready_changed=since), **changes)


def a_workload(revision: str, *, ready: int = 2, replicas: int | None = None, **changes: Any) -> Workload:
    wanted = ready if replicas is None else replicas
    pods = tuple(a_pod(f"{revision}-{index}", ready=index < ready) for index in range(wanted))
    workload = Workload(
        revision=revision,
        replicas=wanted,
        ready=ready,
        endpoints=ready,
        pods=pods,
        autoscaler=Autoscaler(min_replicas=wanted, max_replicas=10, desired=wanted),
        created=NOW - timedelta(minutes=10),
        available_changed=NOW - timedelta(minutes=5),
    )
    return replace(workload, **changes)


def a_route(**weights: int) -> RouteSeen:
    return RouteSeen(
        exists=True,
        weights=tuple(weights.items()),
        accepted=True,
        answered=True,
        resource_version="7",
        shifted_at=NOW - timedelta(minutes=1),
    )


def looked_at(intent: Intent, **changes: Any) -> Evidence:
    """The evidence before the first step, once the metrics were looked at: nothing stands in the way."""
    assert intent.stable and intent.candidate and intent.started_at
    begun = begin(
        GOOD.analysis,
        stable=intent.stable,
        candidate=intent.candidate,
        attempt=str(intent.attempt),
        steps=3,
        at=intent.started_at.timestamp(),
    )
    looked = Preflight(at=NOW.timestamp() - 5, seconds=300.0, requests=30_000.0, bad=30.0)
    return replace(begun, before=StableBefore(), preflight=replace(looked, **changes))


STABLE, GOOD, OTHER = a_spec("1"), a_spec("2"), a_spec("3")


def at_rest(spec: ModelDeployment = STABLE, **changes: Any) -> Observed:
    """The spec's revision serves everything and nothing is under way."""
    observed = Observed(
        key=KEY,
        uid="uid-1",
        resource_version="100",
        generation=1,
        deleting=False,
        desired=spec,
        intent=Intent(stable=STABLE.revision, router="gatewayAPI", since=NOW - timedelta(hours=1), attempt=1),
        snapshots=(a_snapshot(STABLE),),
        workloads=(a_workload(STABLE.revision),),
        route=a_route(**{STABLE.revision: 100}),
        service_exists=True,
        service_points_at=STABLE.revision,
    )
    return replace(observed, **changes)


def a_rollout(
    weight: int = 10, *, target: int | None = None, since: timedelta = timedelta(seconds=10), **changes: Any
) -> Observed:
    """Version 2 is being rolled out over version 1, its weight written and accepted."""
    started = NOW - timedelta(minutes=2)
    intent_changes = changes.pop("intent", {})
    intent = Intent(
        stable=STABLE.revision,
        candidate=GOOD.revision,
        step=GOOD.rollout.next_above(weight - 1),
        weight=weight,
        target=weight if target is None else target,
        since=NOW - since,
        preparing_since=NOW - since if target is not None else None,
        started_at=started,
        floor=2,
        attempt=2,
        router="gatewayAPI",
        analysis=GOOD.analysis_text,
    )
    intent = replace(intent, **intent_changes)
    weights = {STABLE.revision: 100 - weight, GOOD.revision: weight} if weight else {STABLE.revision: 100}
    first = weight == 0 and intent.target < 100
    observed = at_rest(
        GOOD,
        intent=intent,
        evidence=looked_at(intent) if first else None,
        snapshots=(a_snapshot(STABLE), a_snapshot(GOOD, 2)),
        workloads=(
            a_workload(STABLE.revision),
            a_workload(GOOD.revision, ready=candidate_need(GOOD, intent, max(weight, intent.target))),
        ),
        route=a_route(**weights),
    )
    return replace(observed, **changes)
