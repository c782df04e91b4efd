"""A revision's objects read as one Workload."""

from typing import Any

from modelrollout.cluster.workloads import read_autoscaler, read_workloads, ready_endpoints
from modelrollout.domain.conditions import Reason
from modelrollout.domain.observed import Workload
from tests.cluster.live import NAME, UID, WORKLOAD, a_deployment, a_pod, an_object, owned_by

QUOTA = (
    'pods "sentiment-bbbbbbbb-7d9f8c6b5-x2x4z" is forbidden: exceeded quota: compute, requested: requests.cpu=1, '
    "used: requests.cpu=4, limited: requests.cpu=4"
)


def _one(*children: dict[str, Any]) -> Workload:
    [workload] = read_workloads(children, NAME, UID)
    return workload


def _slice(*endpoints: dict[str, Any], name: str = "s", service: str = WORKLOAD) -> dict[str, Any]:
    live = an_object("discovery.k8s.io/v1", "EndpointSlice", name, owner=owned_by("uid-s", WORKLOAD, "Service"))
    live["metadata"]["labels"] = {**live["metadata"]["labels"], "kubernetes.io/service-name": service}
    return {**live, "endpoints": list(endpoints)}


def _endpoint(pod: str, *, ready: bool | None = True) -> dict[str, Any]:
    conditions = {} if ready is None else {"ready": ready}
    return {"addresses": ["10.0.0.1"], "conditions": conditions, "targetRef": {"kind": "Pod", "name": pod}}


def _autoscaler(*conditions: dict[str, Any]) -> dict[str, Any]:
    return an_object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        WORKLOAD,
        owner=owned_by(),
        spec={"minReplicas": 2, "maxReplicas": 8},
        status={"desiredReplicas": 3, "conditions": list(conditions)},
    )


def test_a_workload_is_its_deployment_its_pods_and_its_endpoints() -> None:
    available = {"type": "Available", "status": "True", "lastTransitionTime": "2026-11-22T03:02:00Z"}
    up = {"started": True, "ready": True, "imageID": "registry.example/mlserver@sha256:abc"}
    workload = _one(
        a_deployment(replicas=3, conditions=(available,)),
        a_pod("sentiment-bbbbbbbb-1-a", ready=True, server=up),
        a_pod("sentiment-bbbbbbbb-1-b", server={}),
        _slice(_endpoint("sentiment-bbbbbbbb-1-a"), _endpoint("sentiment-bbbbbbbb-1-b", ready=False)),
        _autoscaler(),
    )
    assert (workload.revision, workload.exists, workload.replicas) == ("bbbbbbbb", True, 3)
    assert (workload.ready, workload.endpoints, len(workload.pods)) == (1, 1, 2)
    assert workload.autoscaler is not None
    assert workload.autoscaler.desired == 3
    assert workload.image_digest == "sha256:abc"
    assert workload.available_changed is not None


def test_a_ready_pod_that_is_being_deleted_is_not_counted_ready() -> None:
    leaving = a_pod(ready=True, server={"started": True, "ready": True})
    leaving["metadata"]["deletionTimestamp"] = "2026-11-22T03:05:00Z"
    assert _one(a_deployment(), leaving).ready == 0


def test_a_pod_that_only_carries_our_labels_is_not_counted() -> None:
    stranger = a_pod(ready=True)
    stranger["metadata"]["ownerReferences"] = []
    of_another = a_pod("b", ready=True)
    of_another["metadata"]["ownerReferences"] = [owned_by("x", "sentiment-bbbbbbbb-extra-7d9f8c6b5", "ReplicaSet")]
    assert _one(a_deployment(), stranger, of_another).pods == ()


def test_an_evicted_pod_is_not_listed() -> None:
    assert _one(a_deployment(), a_pod(phase="Failed")).pods == ()


def test_a_deployment_of_somebody_else_under_our_name_is_no_workload() -> None:
    theirs = a_deployment()
    theirs["metadata"]["ownerReferences"] = [owned_by("another-uid")]
    assert read_workloads((theirs,), NAME, UID) == ()


def test_a_deployment_gone_by_hand_still_shows_what_is_left_of_it() -> None:
    workload = _one(an_object("v1", "Service", WORKLOAD, owner=owned_by(), spec={}))
    assert not workload.exists
    assert workload.replicas == 0


def test_a_snapshot_alone_is_no_workload() -> None:
    snapshot = an_object("apps/v1", "ControllerRevision", WORKLOAD, owner=owned_by())
    assert read_workloads((snapshot,), NAME, UID) == ()


def test_pods_refused_by_a_quota_are_told_without_figures_that_change() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": QUOTA}
    trouble = _one(a_deployment(conditions=(refused,))).trouble
    assert trouble is not None
    assert trouble.reason is Reason.POD_REFUSED
    assert "exceeded quota: compute, requested: requests.cpu=1, limited: requests.cpu=4" in trouble.message
    assert "x2x4z" not in trouble.message


def test_each_pod_is_one_endpoint_in_both_address_families() -> None:
    assert ready_endpoints((_slice(_endpoint("a"), name="v4"), _slice(_endpoint("a"), name="v6"))) == 1


def test_an_endpoint_of_unknown_readiness_counts_as_ready() -> None:
    assert ready_endpoints((_slice(_endpoint("a", ready=None)),)) == 1


def test_endpoints_of_the_stable_service_are_not_the_revisions() -> None:
    assert _one(a_deployment(), _slice(_endpoint("a"), service=NAME)).endpoints == 0


def test_an_autoscaler_that_cannot_read_its_metrics_is_blind() -> None:
    said = {
        "type": "ScalingActive",
        "status": "False",
        "reason": "FailedGetResourceMetric",
        "message": "the HPA was unable to compute the replica count: no metrics returned from resource metrics API",
    }
    blind = read_autoscaler(_autoscaler(said)).blind
    assert blind is not None
    assert blind.reason is Reason.SCALING_BLIND
    assert "no metrics returned" in blind.message


def test_an_autoscaler_switched_off_at_zero_is_not_blind() -> None:
    said = {"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled", "message": "replicas is zero"}
    assert read_autoscaler(_autoscaler(said)).blind is None
