"""How many pods each revision needs. Pure.

Stable's floor is what the whole load needs, so that it can take everything back at any time; the candidate's
floor rises with its weight. Worked example: 4 stable pods, weight 30 %: the candidate needs ceil(1.2) = 2.
"""

import math

from modelrollout.domain.intent import Intent
from modelrollout.domain.model_deployment import ModelDeployment, RouterName, ScalingMode
from modelrollout.domain.observed import Observed, Workload
from modelrollout.domain.plan import ApplyWorkload


def floor_at_start(desired: ModelDeployment, stable: Workload | None) -> int:
    """Stable's floor for a rollout that starts now: what the spec asks, or what load has made of it."""
    return max(desired.scaling.floor, stable.replicas if stable else 0)


def floor_outgrown(observed: Observed, desired: ModelDeployment) -> int | None:
    """A higher floor for stable where autoscalers have raised either revision beyond its own; else None.

    Both together carry the load, so stable alone needs their sum. Without load above the floors nothing rises:
    the candidate's least pods are there for the rollout, not for load.
    """
    intent = observed.intent
    stable, candidate = observed.workload(intent.stable), observed.workload(intent.candidate)
    if desired.scaling.mode is not ScalingMode.HPA or stable is None or candidate is None or not intent.weight:
        return None
    grown = stable.replicas > intent.floor or candidate.replicas > candidate_need(desired, intent, intent.target)
    total = min(stable.replicas + candidate.replicas, max(desired.scaling.ceiling, intent.floor))
    return total if grown and total > intent.floor else None


def candidate_need(desired: ModelDeployment, intent: Intent, weight: int) -> int:
    """Ready pods that the candidate needs to carry `weight` per cent: at least one, at most the ceiling."""
    if intent.stable is None:
        return desired.scaling.floor
    if _by_replicas(desired, intent) and weight < 100:
        share = round(intent.floor * weight / (100 - weight))
    else:
        share = math.ceil(intent.floor * weight / 100)
    return min(max(share, 1), max(desired.scaling.ceiling, 1))


def candidate_wish(observed: Observed, desired: ModelDeployment) -> ApplyWorkload:
    intent = observed.intent
    assert intent.candidate is not None
    if intent.stable is None:
        return at_rest(desired, intent.candidate)
    need = candidate_need(desired, intent, max(intent.target, intent.weight))
    if intent.leaving:
        workload = observed.workload(intent.candidate)
        need = max(workload.replicas if workload else 0, 1)
    if desired.scaling.mode is not ScalingMode.HPA:
        return ApplyWorkload(revision=intent.candidate, min_replicas=need, max_replicas=need, replicas=need)
    fixed = intent.leaving or _by_replicas(desired, intent)
    ceiling = need if fixed else max(need, desired.scaling.ceiling)
    return ApplyWorkload(revision=intent.candidate, min_replicas=need, max_replicas=ceiling)


def stable_wish(observed: Observed, desired: ModelDeployment) -> ApplyWorkload:
    """During a rollout never below the floor; otherwise exactly as the spec says."""
    intent = observed.intent
    assert intent.stable is not None
    wish = at_rest(desired, intent.stable)
    if intent.candidate is None or not intent.floor:
        return wish
    least = max(wish.min_replicas, intent.floor)
    return ApplyWorkload(
        revision=intent.stable,
        min_replicas=least,
        max_replicas=max(wish.max_replicas, least),
        replicas=None if wish.replicas is None else least,
    )


def at_rest(desired: ModelDeployment, revision: str) -> ApplyWorkload:
    scaling = desired.scaling
    if scaling.mode is ScalingMode.HPA:
        return ApplyWorkload(revision=revision, min_replicas=scaling.min_replicas, max_replicas=scaling.max_replicas)
    return ApplyWorkload(
        revision=revision,
        min_replicas=scaling.replicas,
        max_replicas=scaling.replicas,
        replicas=scaling.replicas,
    )


def _by_replicas(desired: ModelDeployment, intent: Intent) -> bool:
    return (intent.router or desired.traffic.router) == RouterName.REPLICA_RATIO
