"""What pods alone can tell: failures that need no statistics. Pure.

The guardrails that watch pods, and the reasons for which a candidate that never got ready is given up.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from modelrollout.decide.capacity import candidate_need
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.observed import Observed, Workload
from modelrollout.domain.revision import Snapshot

LOST_FOR = timedelta(seconds=10)
"""Ready pods below the step's floor for this long take the candidate back."""
STABLE_LOST_FOR = timedelta(seconds=30)
MOUNTED_WITHIN = timedelta(seconds=3)
"""Volumes that are not mounted after this long are worth a word."""
CRASHES = 1
"""More restarts than this, by a crash or for want of memory, take the candidate back."""

_CRASHES = {Reason.CRASH_LOOP, Reason.OUT_OF_MEMORY, Reason.MODEL_NOT_LOADED}


def candidate_failure(observed: Observed, desired: ModelDeployment, now: datetime) -> Remark | None:
    """Why the candidate must be taken back whatever its metrics say, or None."""
    intent = observed.intent
    workload = observed.workload(intent.candidate)
    if workload is None:
        return None
    crashed = next((pod for pod in workload.pods if pod.restarts > CRASHES and not pod.deleting), None)
    if crashed is not None:
        trouble = crashed.trouble if crashed.trouble and crashed.trouble.reason in _CRASHES else None
        return trouble or Remark(
            reason=Reason.CRASH_LOOP,
            message="The server crashed more than once. Read its last log with `kubectl logs --previous`, "
            "then apply a corrected spec.",
        )
    if intent.weight:
        return _ready_pods_lost(workload, candidate_need(desired, intent, intent.weight), now)
    return _not_ready_in_time(observed, workload, candidate_need(desired, intent, intent.target), now)


def pods_missed(observed: Observed, desired: ModelDeployment) -> bool:
    """Whether, in a rollout, stable has no ready pod or the candidate fewer than its weight needs."""
    intent = observed.intent
    stable, candidate = observed.workload(intent.stable), observed.workload(intent.candidate)
    if candidate is None or intent.leaving or observed.deleting:
        return False
    short = intent.weight > 0 and candidate.ready < candidate_need(desired, intent, intent.weight)
    return short or (stable is not None and not stable.ready)


def _ready_pods_lost(workload: Workload, floor: int, now: datetime) -> Remark | None:
    """Evictions and drains are excepted: a pod being deleted is nobody's failure, its successor is still young."""
    if workload.ready >= floor:
        return None
    lost = [pod for pod in workload.pods if not pod.ready and not pod.deleting and pod.created < pod.ready_changed]
    if not any(now - pod.ready_changed >= LOST_FOR for pod in lost):
        return None
    why = next((pod.trouble.message for pod in lost if pod.trouble), "Look at `kubectl describe pod`.")
    message = f"Pods of the candidate that were ready no longer are. {why}"
    return Remark(reason=Reason.READY_PODS_LOST, message=message)


def _not_ready_in_time(observed: Observed, workload: Workload, floor: int, now: datetime) -> Remark | None:
    left = time_to_get_ready(observed, workload, now)
    if left is None or left > timedelta(0) or workload.ready >= floor:
        return None
    trouble = trouble_of(observed, workload.revision, now)
    if trouble is not None and trouble.reason in _CRASHES:
        return trouble
    return Remark(
        reason=Reason.NOT_READY_IN_TIME,
        message="Not ready within spec.runtime.readyTimeout. "
        + (trouble.message if trouble else "Raise readyTimeout if the model needs longer to load."),
    )


def time_to_get_ready(observed: Observed, workload: Workload, now: datetime) -> timedelta | None:
    """What is left of readyTimeout; None where nothing is being prepared."""
    begun = observed.intent.preparing_since
    snapshot = observed.snapshot(workload.revision)
    if begun is None or snapshot is None:
        return None
    since = max(begun, workload.created or begun)  # an operator that was away in between costs nobody their time
    return since + snapshot.ready_timeout + observed.intent.paused_for - now


def trouble_of(observed: Observed, revision: str | None, now: datetime) -> Remark | None:
    """The trouble to tell a person of first: the Deployment's own, else the first of its pods that says why."""
    workload = observed.workload(revision)
    if workload is None:
        return None
    if workload.trouble is not None:
        return workload.trouble
    told = next((pod.trouble for pod in workload.pods if pod.trouble and not pod.deleting), None)
    return told or _volumes_waited_for(workload, observed.snapshot(revision), now)


def _volumes_waited_for(workload: Workload, snapshot: Snapshot | None, now: datetime) -> Remark | None:
    """A volume that does not come, told by its likely cause: the operator may not read Secrets, nor needs to."""
    since = [pod.unmounted_since for pod in workload.pods if pod.unmounted_since and not pod.ready and not pod.deleting]
    if snapshot is None or not since or now - min(since) < MOUNTED_WITHIN:
        return None
    sources = _sources(snapshot.runtime.mapping.get("volumes") or ())
    if not sources:
        return None
    message = f"The pod's volumes are not there yet. Make sure that these exist in the namespace: {', '.join(sources)}."
    return Remark(reason=Reason.CONFIGURATION_MISSING, message=message)


def _sources(volumes: Iterable[Mapping[str, Any]]) -> list[str]:
    named = []
    for volume in volumes:
        if "secret" in volume:
            named.append(f"Secret {volume['secret'].get('secretName')}")
        elif "configMap" in volume:
            named.append(f"ConfigMap {volume['configMap'].get('name')}")
        elif "persistentVolumeClaim" in volume:
            named.append(f"PersistentVolumeClaim {volume['persistentVolumeClaim'].get('claimName')}")
    return named


def stable_lost(observed: Observed, now: datetime) -> bool:
    """Whether stable has had no ready endpoint for 30 s."""
    workload = observed.workload(observed.intent.stable)
    if workload is None or workload.endpoints or workload.ready:
        return False
    changes = [pod.ready_changed for pod in workload.pods]
    last = max(changes) if changes else (workload.available_changed or workload.created)
    return last is not None and now - last >= STABLE_LOST_FOR
