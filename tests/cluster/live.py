"""Objects as an API server sends them, with what matters to a test and no more. Statuses are of real pods."""

from typing import Any

from modelrollout import names

NAMESPACE = "shop"
NAME = "sentiment"
UID = "uid-of-sentiment"
REVISION = "bbbbbbbb"
WORKLOAD = names.workload_name(NAME, REVISION)

LABELS = {
    "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
    names.DEPLOYMENT_LABEL: NAME,
    names.REVISION_LABEL: REVISION,
}


def an_object(
    api_version: str = "v1",
    kind: str = "ConfigMap",
    name: str = "any",
    *,
    version: int = 10,
    uid: str = "",
    labels: dict[str, str] | None = None,
    owner: dict[str, Any] | None = None,
    **rest: Any,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid or f"uid-of-{kind}-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": "2026-11-22T03:00:00Z",
        "labels": LABELS if labels is None else labels,
        "managedFields": [{"manager": "kubelet"}],
    }
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def owned_by(uid: str = UID, name: str = NAME, kind: str = names.KIND) -> dict[str, Any]:
    api_version = names.API_VERSION if kind == names.KIND else "apps/v1"
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": True}


def a_model_deployment(**changes: Any) -> dict[str, Any]:
    spec = {
        "model": {"version": "3"},
        "runtime": {"preset": "mlserver", "image": "registry.example/mlserver:1"},
        "scaling": {"mode": "hpa", "minReplicas": 1, "maxReplicas": 4},
    }
    live = an_object(names.API_VERSION, names.KIND, NAME, uid=UID, labels={}, spec=spec)
    live["metadata"]["generation"] = 1
    return {**live, **changes}


def a_deployment(*, replicas: int = 2, conditions: tuple[dict[str, Any], ...] = (), **rest: Any) -> dict[str, Any]:
    return an_object(
        "apps/v1",
        "Deployment",
        WORKLOAD,
        owner=owned_by(),
        spec={"replicas": replicas},
        status={"conditions": list(conditions)},
        **rest,
    )


def a_pod(
    name: str = f"{WORKLOAD}-7d9f8c6b5-x2x4z",
    *,
    ready: bool = False,
    conditions: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    beside: tuple[dict[str, Any], ...] = (),
    init: tuple[dict[str, Any], ...] = (),
    phase: str = "Running",
    **rest: Any,
) -> dict[str, Any]:
    """`server`: entry of containerStatuses; `conditions`: changes to the usual ones, by type."""
    usual: dict[str, Any] = {
        "PodScheduled": {"status": "True", "lastTransitionTime": "2026-11-22T03:00:00Z"},
        "Ready": {"status": str(ready), "lastTransitionTime": "2026-11-22T03:00:30Z"},
        **(conditions or {}),
    }
    status = {
        "phase": phase,
        "startTime": "2026-11-22T03:00:01Z",
        "conditions": [{"type": kind, **condition} for kind, condition in usual.items()],
        "initContainerStatuses": list(init),
        "containerStatuses": [*beside, *([] if server is None else [a_container(**server)])],
    }
    spec = {
        "nodeName": "node-1",
        "containers": [
            {"name": "proxy", "ports": [{"name": "admin", "containerPort": 15000}]},
            {
                "name": "server",
                "image": "registry.example/mlserver:1",
                "ports": [{"name": "http", "containerPort": 8080}],
                "startupProbe": {"periodSeconds": 5, "failureThreshold": 120, "httpGet": {"path": "/ready"}},
            },
        ],
    }
    replica_set = owned_by("uid-rs", f"{WORKLOAD}-7d9f8c6b5", "ReplicaSet")
    return an_object("v1", "Pod", name, owner=replica_set, spec=spec, status=status, **rest)


def a_container(name: str = "server", **status: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": "registry.example/mlserver:1",
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": 0,
        "lastState": {},
        "state": {"running": {"startedAt": "2026-11-22T03:00:05Z"}},
        **status,
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(
    code: int, reason: str = "Error", message: str = "", began: str = "03:01:00", end: str = "03:01:05"
) -> dict[str, Any]:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "message": message,
            "startedAt": f"2026-11-22T{began}Z",
            "finishedAt": f"2026-11-22T{end}Z",
        },
    }
