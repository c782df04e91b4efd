"""Prometheus: scrapes Traefik and annotated pods (our operator is one), with the labels that analyses select by."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import yaml

from devcluster import traefik
from devcluster.processes import Process, Processes

PORT = 9090
READY_SECONDS = 30.0
ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io_"


def start(
    address: str, processes: Processes, kubeconfig: Path, *, program: Path, folder: Path, scrape_interval: float
) -> Process:
    """Start Prometheus and wait until it answers queries."""
    folder.mkdir()
    content = configuration(address, kubeconfig=kubeconfig, scrape_interval=scrape_interval)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    process = processes.start(
        "prometheus",
        [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.no-lockfile",
            f"--web.listen-address={address}:{PORT}",
            "--web.enable-lifecycle",
            "--log.level=warn",
        ],
    )
    process.wait_ready(lambda: is_ready(address), READY_SECONDS)
    return process


def configuration(address: str, *, kubeconfig: Path, scrape_interval: float) -> dict[str, Any]:
    """Prometheus's configuration."""
    milliseconds = round(scrape_interval * 1000)
    return {
        "global": {
            "scrape_interval": f"{milliseconds}ms",
            "scrape_timeout": f"{min(milliseconds, 10_000)}ms",
            "evaluation_interval": f"{milliseconds}ms",
        },
        "scrape_configs": [
            {
                "job_name": "traefik",
                "static_configs": [{"targets": [f"{address}:{traefik.METRICS_PORT}"]}],
            },
            {
                "job_name": "pods",
                "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(kubeconfig)}],
                "relabel_configs": [
                    _keep(f"{ANNOTATION}scrape", "true"),
                    *_identity(),
                    _replace([f"{ANNOTATION}path"], "(.+)", "__metrics_path__", "$1"),
                    _replace(["__meta_kubernetes_pod_ip", f"{ANNOTATION}port"], "(.+);(.+)", "__address__", "$1:$2"),
                ],
            },
        ],
    }


def _identity() -> list[dict[str, Any]]:
    """Namespace, pod and our own labels on every series; nothing of pods that are over."""
    return [
        {
            "action": "drop",
            "source_labels": ["__meta_kubernetes_pod_phase"],
            "regex": "Pending|Succeeded|Failed",
        },
        _replace(["__meta_kubernetes_namespace"], "(.+)", "namespace", "$1"),
        _replace(["__meta_kubernetes_pod_name"], "(.+)", "pod", "$1"),
        {"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(modelrollout_dev_.+)"},
        {"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(app_kubernetes_io_(?:name|instance))"},
    ]


def _keep(label: str, value: str) -> dict[str, Any]:
    return {"action": "keep", "source_labels": [label], "regex": value}


def _replace(labels: list[str], regex: str, target: str, replacement: str) -> dict[str, Any]:
    return {
        "action": "replace",
        "source_labels": labels,
        "regex": regex,
        "target_label": target,
        "replacement": replacement,
    }


def is_ready(address: str) -> bool:
    """Whether it answers queries."""
    try:
        ready = f"http://{address}:{PORT}/-/ready"
        with urllib.request.urlopen(ready, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
