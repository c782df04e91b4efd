"""A pod as its status shows it, and why it is not ready, told apart at once. Pure.

What a status cannot tell: what a probe was answered, and which Secret or ConfigMap is missing for a *volume* (only an
Event says so); that volumes are waited for it does tell. Remarks carry no pod names, counts or times: the same trouble
gives the same words, so that a status that did not change is not written again.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout import names
from modelrollout.cluster.kinds import Live
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.observed import Pod

Status = Mapping[str, Any]
"""One entry of containerStatuses."""

NOT_PULLABLE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
     "RegistryUnavailable", "SignatureValidationFailed"},
)  # fmt: skip
NOT_STARTABLE = frozenset({"CreateContainerError", "RunContainerError", "PreStartHookError", "PostStartHookError"})
BACKOFF_FORGETS = timedelta(minutes=10)
"""A container that ran this long before it ended is no crash loop to the kubelet either."""
REPEATED = 2
STOPPED = frozenset({0, 137, 143})
"""Exit codes of a server that the kubelet stopped: by itself on SIGTERM, SIGKILL, SIGTERM."""
SAID_LIMIT = 200

_LOGS = "Read its log with `kubectl logs --previous`, then apply a corrected spec."
_TIMESTAMP = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:?\d\d)?\b\s*")
_OF_POD = re.compile(r'\s*\(pod: "[^"]*", container: [^)]*\)')
_NODES_COUNTED = re.compile(r"^\d+/\d+ nodes are available: ")
_COUNT = re.compile(r"^\d+ ")
_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)"')


def read_pod(live: Live) -> Pod:
    metadata, status = live["metadata"], live.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    serving = _serving(live, status.get("containerStatuses") or ())
    condition = conditions.get("Ready", {})
    ready = condition.get("status") == "True"
    deleting = "deletionTimestamp" in metadata
    created = moment(metadata["creationTimestamp"])
    return Pod(
        name=metadata["name"],
        ready=ready,
        created=created,
        ready_changed=_ready_changed(condition, status, created),
        deleting=deleting,
        restarts=int(serving.get("restartCount", 0)) if serving else 0,
        trouble=None if ready or deleting else trouble(live),
        unmounted_since=_unmounted_since(conditions),
    )


def _unmounted_since(conditions: Mapping[str, Mapping[str, Any]]) -> datetime | None:
    """The kubelet mounts the volumes before it makes the sandbox; PodReadyToStartContainers says that it has."""
    scheduled = conditions.get("PodScheduled", {})
    started = conditions.get("PodReadyToStartContainers", {})
    if scheduled.get("status") != "True" or started.get("status") != "False":
        return None
    return moment(scheduled["lastTransitionTime"]) if scheduled.get("lastTransitionTime") else None


def is_finished(live: Live) -> bool:
    """Evicted, refused by its node, or ended: its Deployment has put another in its place."""
    return (live.get("status") or {}).get("phase") in {"Failed", "Succeeded"}


def image_digest(live: Live) -> str:
    """The digest that the serving container runs, empty while it does not."""
    serving = _serving(live, (live.get("status") or {}).get("containerStatuses") or ())
    image: str = serving.get("imageID", "") if serving and "running" in (serving.get("state") or {}) else ""
    return image.rpartition("@")[2]


def trouble(live: Live) -> Remark | None:
    """Why this pod is not ready; None where it is just starting, as far as one can tell."""
    status = live.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return _not_scheduled(scheduled)
    containers = status.get("containerStatuses") or ()
    serving = _serving(live, containers)
    before = [each for each in status.get("initContainerStatuses") or () if not _is_done(each)]
    for each in (*before, *containers):
        remark = _container_trouble(each, live, is_serving=each is serving)
        if remark is not None:
            return remark
    return _not_ready(conditions, containers)


def moment(text: str) -> datetime:
    """A Kubernetes time: RFC 3339, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _ready_changed(condition: Mapping[str, Any], status: Mapping[str, Any], created: datetime) -> datetime:
    """When Ready last flipped; for a pod that was never ready: when it was created.

    The kubelet gives Ready=False its first transition time when it takes the pod, maybe long after creation. Only a
    later one means that the pod was ready before. Times are whole seconds, hence the second of grace.
    """
    if not condition.get("lastTransitionTime"):
        return created
    changed = moment(condition["lastTransitionTime"])
    taken = moment(status["startTime"]) if status.get("startTime") else created
    if condition.get("status") != "True" and changed <= taken + timedelta(seconds=1):
        return created
    return changed


def _serving(live: Live, statuses: Sequence[Status]) -> Status | None:
    """The status of the container with our HTTP port; others may have been injected beside it."""
    for container in (live.get("spec") or {}).get("containers") or ():
        if any(port.get("name") == names.HTTP_PORT for port in container.get("ports") or ()):
            return next((each for each in statuses if each["name"] == container["name"]), None)
    return statuses[0] if statuses else None


def _not_scheduled(condition: Mapping[str, Any]) -> Remark | None:
    message: str = condition.get("message", "")
    claim = _CLAIM.search(message)
    if claim is not None:
        return Remark(
            reason=Reason.CONFIGURATION_MISSING,
            message=f"The PersistentVolumeClaim {claim[1]} is not there or not usable. "
            "Create it, or correct spec.model.uri or spec.runtime.volumes.",
        )
    match condition.get("reason"):
        case "SchedulingGated":
            return Remark(
                reason=Reason.UNSCHEDULABLE,
                message="A scheduling gate holds the pods back, as a queue does until it has quota for them. "
                "Give the queue more quota, or wait.",
            )
        case "Unschedulable":
            return Remark(
                reason=Reason.UNSCHEDULABLE,
                message=f"No node can take the pods: {_why_no_node(message)}. "
                "Add or free nodes, or ask for less in spec.runtime.resources and placement.",
            )
        case _:
            return None


def _why_no_node(message: str) -> str:
    """`0/3 nodes are available: 1 Too many pods, 2 Insufficient cpu. preemption: …`, without what keeps changing."""
    told = _NODES_COUNTED.sub("", message).partition(" preemption:")[0].partition(" no new claims")[0]
    reasons = {_COUNT.sub("", reason.strip()) for reason in told.strip().rstrip(".").split(", ")}
    return "; ".join(sorted(reasons))


def _container_trouble(status: Status, live: Live, *, is_serving: bool) -> Remark | None:
    who = "The server" if is_serving else f"Container {status['name']}"
    state = status.get("state") or {}
    if "waiting" in state:
        return _waiting(status, state["waiting"], who, live)
    ended = state.get("terminated")
    if ended is not None:
        again = bool(status.get("restartCount"))
        return _ended(status, ended, who, live) if again or _is_out_of_memory(ended) else None
    if "running" not in state or status.get("started"):
        return None
    before = (status.get("lastState") or {}).get("terminated")
    if before is not None and (status.get("restartCount", 0) >= REPEATED or _is_out_of_memory(before)):
        remark = _ended(status, before, who, live)
        if remark is not None:
            return remark
    if not is_serving:
        return None
    return Remark(
        reason=Reason.MODEL_NOT_LOADED,
        message="The server runs, but its startup probe says that the model is not loaded. While it loads this is as "
        "it should be; if it stays so, check spec.model and the log with `kubectl logs`.",
    )


def _waiting(status: Status, waiting: Mapping[str, Any], who: str, live: Live) -> Remark | None:
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in NOT_PULLABLE:
        return Remark(
            reason=Reason.IMAGE_NOT_PULLABLE,
            message=f"The image {status.get('image', '')} cannot be pulled: {_why_not_pulled(reason, message)}.",
        )
    if reason == "CreateContainerConfigError":
        return Remark(
            reason=Reason.CONFIGURATION_MISSING,
            message=f"{who} cannot be configured: {_said(message)}. {_how_to_configure(message)}",
        )
    if reason in NOT_STARTABLE:
        return Remark(
            reason=Reason.CRASH_LOOP,
            message=f"{who} cannot be started: {_said(message)}. "
            "Correct spec.runtime (image, command, args), then apply it.",
        )
    before = (status.get("lastState") or {}).get("terminated")
    if reason == "CrashLoopBackOff":
        return (_ended(status, before, who, live) if before else None) or Remark(
            reason=Reason.CRASH_LOOP, message=f"{who} exits again and again. {_LOGS}"
        )
    return None  # ContainerCreating, PodInitializing: just starting


def _ended(status: Status, ended: Mapping[str, Any], who: str, live: Live) -> Remark | None:
    """What a container that keeps ending says by how it ended; None where it had run for long."""
    if _is_out_of_memory(ended):
        return Remark(
            reason=Reason.OUT_OF_MEMORY,
            message=f"{who} was killed for using more memory than its limit. "
            "Raise spec.runtime.resources.limits.memory, or serve a smaller model.",
        )
    code = int(ended.get("exitCode", 0))
    ran = _ran(ended)
    if code in STOPPED and ran >= _startup_patience(status["name"], live):
        return Remark(
            reason=Reason.MODEL_NOT_LOADED,
            message=f"{who} is stopped because the model does not load within spec.runtime.readyTimeout. "
            "Check spec.model and the log with `kubectl logs --previous`, or raise readyTimeout.",
        )
    if ran >= BACKOFF_FORGETS:
        return None
    if code == 0:
        return Remark(
            reason=Reason.MODEL_NOT_LOADED,
            message=f"{who} ends by itself before it is ready, as servers do whose model does not load. "
            "Check spec.model and the log with `kubectl logs --previous`, then apply a corrected spec.",
        )
    last = _last_line(ended.get("message", ""))
    return Remark(
        reason=Reason.CRASH_LOOP,
        message=f"{who} exits with code {code}{f': {last}' if last else ''}. {_LOGS}",
    )


def _is_done(status: Status) -> bool:
    """An init container that did what it is for, at whatever try."""
    ended = (status.get("state") or {}).get("terminated")
    return ended is not None and ended.get("exitCode") == 0


def _is_out_of_memory(ended: Mapping[str, Any]) -> bool:
    return ended.get("reason") == "OOMKilled"


def _ran(ended: Mapping[str, Any]) -> timedelta:
    begin, end = ended.get("startedAt"), ended.get("finishedAt")
    return moment(end) - moment(begin) if begin and end else timedelta(0)


def _startup_patience(name: str, live: Live) -> timedelta:
    """How long the kubelet lets a container start: a shorter run did not end by its startup probe."""
    containers = (live.get("spec") or {}).get("containers") or ()
    probe = next((each.get("startupProbe") for each in containers if each["name"] == name), None)
    if probe is None:
        return timedelta.max
    tries = probe.get("failureThreshold", 3) - 1  # the first is made at once
    return timedelta(seconds=probe.get("initialDelaySeconds", 0) + tries * probe.get("periodSeconds", 10))


def _not_ready(conditions: Mapping[str, Mapping[str, Any]], containers: Sequence[Status]) -> Remark | None:
    """All containers run and have started, and the pod is not ready nevertheless."""
    if not containers or not all("running" in (each.get("state") or {}) for each in containers):
        return None
    failing = [each["name"] for each in containers if each.get("started") and not each.get("ready")]
    if failing:
        return Remark(
            reason=Reason.READINESS_FAILING,
            message=f"The readiness probe of container {', '.join(failing)} fails. "
            "Look at `kubectl describe pod` and at its log with `kubectl logs`.",
        )
    if all(each.get("ready") for each in containers) and conditions.get("Ready", {}).get("status") == "False":
        return Remark(
            reason=Reason.READINESS_FAILING,
            message="The containers are ready but the pod is not: a readiness gate waits, or its node does not report. "
            "Look at `kubectl describe pod` and `kubectl get nodes`.",
        )
    return None


def _why_not_pulled(reason: str, message: str) -> str:
    """One of a few sentences: what registries say differs from try to try."""
    text = message.lower()
    if reason == "InvalidImageName":
        return "its name is not valid; correct spec.runtime.image"
    if reason == "ErrImageNeverPull":
        return "it is not on the node and its pull policy is Never; load it there, or use an image of a registry"
    if "not found" in text or "manifest unknown" in text:
        return "the registry does not have it; push it, or correct spec.runtime.image"
    if any(word in text for word in ("unauthorized", "denied", "authentication", "forbidden", "401", "403")):
        return "the registry does not let us; check spec.runtime.imagePullSecrets and the image's name"
    if any(word in text for word in ("no such host", "timeout", "refused", "dial tcp", "x509", "tls", "i/o")):
        return "the registry cannot be reached from the node; check its address, certificate and the network"
    return "look at `kubectl describe pod`, then correct spec.runtime.image or spec.runtime.imagePullSecrets"


def _how_to_configure(message: str) -> str:
    if "non-root" in message or "runAsNonRoot" in message:
        return "Pods run as non-root here: use an image with a numeric user that is not 0."
    return "Create what is missing, or correct spec.runtime.env and envFrom."


def _said(message: str) -> str:
    text = " ".join(_OF_POD.sub("", _TIMESTAMP.sub("", message)).split()).rstrip(". ")
    return text if len(text) <= SAID_LIMIT else "…" + text[1 - SAID_LIMIT :]


def _last_line(message: str) -> str:
    """What a program says last is usually why it ends."""
    lines = [line for line in message.splitlines() if line.strip()]
    return _said(lines[-1]) if lines else ""
