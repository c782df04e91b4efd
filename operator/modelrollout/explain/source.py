"""Where the evidence is read: the cluster through a kubeconfig, or a file that `kubectl get -o yaml` wrote.

What is damaged or somebody else's is told in one sentence, never shown as evidence.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelrollout import names
from modelrollout.cluster.api import KubernetesApi
from modelrollout.cluster.checkpoint import CHECKSUM
from modelrollout.cluster.connection import connect
from modelrollout.cluster.kinds import CONFIG_MAP, MODEL_DEPLOYMENT
from modelrollout.cluster.store import WatchStore
from modelrollout.decide.evidence import fits
from modelrollout.decide.evidence_document import checksum, from_document
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.model_deployment import InvalidSpec
from modelrollout.domain.parse import analysis_settings, parse
from modelrollout.render.templates import EVIDENCE_KEY
from modelrollout.simulate.deployment_file import Unreadable, documents

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`status`: of the ModelDeployment; None where it is not there."""

    where: str
    evidence: Evidence
    settings: AnalysisSettings
    checksum: str
    """In words."""
    status: Body | None


def from_file(path: str) -> Found:
    """The one ConfigMap of the file, with its ModelDeployment where that is in it, too. Unreadable says what to do."""
    listed = [each for document in documents(path) for each in _members(document)]
    suffix = names.evidence_name("")
    maps = [each for each in listed if each.get("kind") == CONFIG_MAP.kind and _name(each).endswith(suffix)]
    if len(maps) != 1:
        wish = "write what `kubectl get configmap <name>-evidence -o yaml` says"
        raise Unreadable(f"{path}: has {len(maps)} ConfigMaps with evidence; {wish}")
    mine = _name(maps[0]).removesuffix(suffix)
    deployment = next((each for each in listed if each.get("kind") == names.KIND and _name(each) == mine), None)
    return found_in(maps[0], deployment, path)


async def from_cluster(namespace: str, name: str, kubeconfig: Path) -> Found:
    """Two reads. A RolloutError where the API server does not answer, Unreadable where there is no evidence."""
    client = await connect(kubeconfig)
    try:
        api = KubernetesApi(client, WatchStore(), lambda: True)
        deployment = await api.get(MODEL_DEPLOYMENT.api_version, MODEL_DEPLOYMENT.kind, namespace, name)
        if deployment is None:
            raise Unreadable(f"{namespace}/{name}: there is no such {names.KIND}; `kubectl get md -A` lists them")
        live = await api.get(CONFIG_MAP.api_version, CONFIG_MAP.kind, namespace, names.evidence_name(name))
    finally:
        await client.close()
    if live is None:
        raise Unreadable(f"{namespace}/{name}: has no evidence yet; it is written a minute after the first weight")
    return found_in(live, deployment, f"{namespace}/{name}")


def found_in(live: Body, deployment: Body | None, where: str) -> Found:
    """The evidence of a ConfigMap, with the settings of its rollout."""
    data = live.get("data")
    text = data.get(EVIDENCE_KEY) if isinstance(data, Mapping) else None
    if not isinstance(text, str):
        raise Unreadable(f"{where}: {_name(live)} has no {EVIDENCE_KEY}; it is no evidence of ours")
    try:
        evidence = from_document(json.loads(text))
    except (ValueError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{where}: {_name(live)} is damaged; the operator will not use it: {error}") from error
    status = None if deployment is None else deployment.get("status") or {}
    good = _checked(live, text, status, where)
    settings = AnalysisSettings() if deployment is None else _settings(deployment, evidence, where)
    if not fits(evidence, settings):
        wish = "its margins are in the ModelDeployment of that rollout; put both into one file"
        raise Unreadable(f"{where}: the evidence is of {', '.join(m.name for m in evidence.metrics)}; {wish}")
    return Found(where=where, evidence=evidence, settings=settings, checksum=good, status=status)


def _settings(deployment: Body, evidence: Evidence, where: str) -> AnalysisSettings:
    """As frozen when the rollout began; of one that is over, those of the spec."""
    rollout = (deployment.get("status") or {}).get("rollout") or {}
    if rollout.get("analysis") and str(rollout.get("attempt")) == evidence.attempt:
        return analysis_settings(rollout["analysis"])
    desired = parse(deployment)
    if isinstance(desired, InvalidSpec):
        raise Unreadable(f"{where}: {desired.message}")
    return desired.analysis


def _checked(live: Body, text: str, status: Body | None, where: str) -> str:
    written, now = (_metadata(live).get("annotations") or {}).get(CHECKSUM), checksum(text)
    if written is None:
        return "none written"
    if written != now:
        raise Unreadable(f"{where}: {_name(live)} was changed: its checksum is {now}, not {written}; it is not used")
    named = ((status or {}).get("analysis") or {}).get("stateRef") or {}
    same = {None: "", now: ", the one that status names"}.get(named.get("checksum"), ", status names another")
    return f"good ({now}{same})"


def _members(document: object) -> list[Body]:
    if not isinstance(document, Mapping):
        return []
    items = document.get("items")
    return [each for each in items if isinstance(each, Mapping)] if isinstance(items, list) else [document]


def _metadata(body: Body) -> Body:
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _name(body: Body) -> str:
    return str(_metadata(body).get("name", ""))
