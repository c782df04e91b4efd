"""A rollout's evidence as objects of the API server, the same each time."""

from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

from modelrollout.cluster.checkpoint import annotations
from modelrollout.decide.evidence_document import checksum, to_document
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import Fragment
from modelrollout.render.templates import EVIDENCE_KEY
from tests.decide.simulated import World, roll_out

SETTINGS = AnalysisSettings(warmup=timedelta(0))


@cache
def evidence() -> Evidence:
    """Two steps; the candidate is worse, and nearly found out."""
    ending = roll_out(World(seed=2, rps=60, rate_new=0.02, scrape=5.0), SETTINGS, weights=(20, 50), longest=230.0)
    return replace(ending.evidence, restarted_at=70.0)


def a_config_map(**changes: Any) -> dict[str, Any]:
    text = Fragment.of(to_document(evidence())).text
    metadata = {"name": "sentiment-evidence", "namespace": "shop", "annotations": dict(annotations(evidence(), text))}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {EVIDENCE_KEY: text}, **changes}


def a_deployment(**spec: Any) -> dict[str, Any]:
    text = Fragment.of(to_document(evidence())).text
    analysis = {"attempt": "1", "flags": ["DispersionUnknown"], "stateRef": {"checksum": checksum(text)}}
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "sentiment", "namespace": "shop", "uid": "u", "generation": 1},
        "spec": {"model": {"version": "2"}, "runtime": {"preset": "mlserver", "image": "example/mlserver:1"}, **spec},
        "status": {"rollout": {"attempt": 1, "candidate": "new"}, "analysis": analysis},
    }
