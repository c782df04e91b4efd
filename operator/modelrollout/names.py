"""Every name we put on the cluster, in one place. Pure.

The API group occurs nowhere else in the package (a test greps for it).
"""

GROUP = "modelrollout.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelDeployment"
PLURAL = "modeldeployments"

FIELD_MANAGER = "modelrollout"
"""The one field manager of every server-side apply."""

DEPLOYMENT_LABEL = f"{GROUP}/deployment"
"""On every object of ours: the name of the ModelDeployment it belongs to."""

REVISION_LABEL = f"{GROUP}/revision"
"""On every object and pod of one revision: the revision's name."""

COMMAND_ANNOTATION = f"{GROUP}/command"
"""On a ModelDeployment: `action:revision` or `action:revision:token`."""

SHIFTED_ANNOTATION = f"{GROUP}/shifted-at"
"""On a route: when its weights were last written, RFC 3339."""

WEIGHTS_ANNOTATION = f"{GROUP}/weights"
"""On the stable Service under replicaRatio: the weights asked for, as JSON by revision."""

HTTP_PORT = "http"
"""Name of the container port that takes user requests."""

MAX_NAME = 40
"""Longest metadata.name of a ModelDeployment; leaves room for `-<revision>` and what Kubernetes appends to pods."""


def workload_name(deployment: str, revision: str) -> str:
    """Name of a revision's Deployment, Service, HPA, PDB and ControllerRevision: at most 51 of 63 characters."""
    return f"{deployment}-{revision}"


def evidence_name(deployment: str) -> str:
    """Name of the ConfigMap that keeps a rollout's evidence."""
    return f"{deployment}-evidence"
