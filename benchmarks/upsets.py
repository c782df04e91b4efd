"""What befalls pods in the middle of a rollout: a server changes its ways, or all pods of a version go."""

import json

from benchmarks.arena import NAMESPACE, Arena
from modelrollout.names import DEPLOYMENT_LABEL, REVISION_LABEL

PORT = 8080


def servers_become(here: Arena, role: str, **behaviour: str) -> None:
    """Tell the servers of a role what to do from now on, by the names that benchmarks/served/answering.py knows."""
    wish = "&".join(f"{name}={value}" for name, value in behaviour.items())
    for pod in _pods(here, role):
        here.kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:{PORT}/proxy/be?{wish}")


def pods_go(here: Arena, role: str) -> None:
    """Delete all pods of a role at once; their Deployment makes others."""
    here.kubectl("delete", "pods", "-n", NAMESPACE, "--wait=false", *_pods(here, role))


def _pods(here: Arena, role: str) -> list[str]:
    """By name; `role` is stable or candidate."""
    seen = json.loads(here.kubectl("get", "modeldeployment", here.name, "-n", NAMESPACE, "-o", "json"))
    selector = f"{DEPLOYMENT_LABEL}={here.name},{REVISION_LABEL}={seen['status']['rollout'][role]}"
    listed = json.loads(here.kubectl("get", "pods", "-n", NAMESPACE, "-l", selector, "-o", "json"))["items"]
    return [pod["metadata"]["name"] for pod in listed if "deletionTimestamp" not in pod["metadata"]]
