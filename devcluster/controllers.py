"""kube-controller-manager and kube-scheduler: what turns objects into other objects."""

from __future__ import annotations

from pathlib import Path

from devcluster.apiserver import ControlPlane
from devcluster.processes import Processes

HPA_FLAGS = (
    "--horizontal-pod-autoscaler-sync-period=2s",
    "--horizontal-pod-autoscaler-initial-readiness-delay=0s",
    "--horizontal-pod-autoscaler-cpu-initialization-period=0s",
)
"""Autoscaling within a test's patience: the defaults wait for minutes."""
CLIENT_FLAGS = ("--leader-elect=false", "--kube-api-qps=200", "--kube-api-burst=400", "--bind-address=127.0.0.1")
"""Alone, and not throttled when a test makes hundreds of objects."""


def start(plane: ControlPlane, processes: Processes, *, manager_config: Path, scheduler_config: Path) -> None:
    """Start both; nobody has to wait for them."""
    processes.start(
        "kube-controller-manager",
        [
            plane.programs / "kube-controller-manager",
            f"--kubeconfig={manager_config}",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={plane.signing_key}",
            f"--root-ca-file={plane.authority}",
            *CLIENT_FLAGS,
            *HPA_FLAGS,
        ],
    )
    processes.start(
        "kube-scheduler",
        [plane.programs / "kube-scheduler", f"--kubeconfig={scheduler_config}", *CLIENT_FLAGS],
    )
