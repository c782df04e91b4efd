"""Where the evidence is read: the cluster through a kubeconfig, or a file that `kubectl get -o yaml` wrote.

What is damaged or somebody else's is told in one sentence, never shown as evidence.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelrollout import names
from modelrollout.cluster.api import KubernetesApi
from modelrollout.cluster.checkpoint import CHECKSUM
from modelrollout.cluster.connection import connect
from modelrollout.cluster.kinds import CONFIG_MAP, MODEL_DEPLOYMENT
from modelrollout.cluster.store import WatchStore
from modelrollout.decide.evidence import fits
from modelrollout.decide.evidence_document import SCHEMA, checksum, from_document
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.model_deployment import InvalidSpec
from modelrollout.domain.parse import analysis_settings, parse
from modelrollout.render.templates import EVIDENCE_KEY
from modelrollout.simulate.deployment_file import Unreadable, documents

Body = Mapping[str, Any]
_UNUSED = "an operator that begins anew gathers it again: docs/concepts/judging.md, If the evidence is lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`status`: of the ModelDeployment; None where it is not there."""

    where: str
    evidence: Evidence
    settings: AnalysisSettings
    margins: str
    """Whose they are, in words, as are the next two."""
    checksum: str
    use: str
    """Whether the operator goes by it; empty where that is not known."""
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
    deployments = [each for each in listed if each.get("kind") == names.KIND]
    found = found_in(maps[0], next((each for each in deployments if _name(each) == mine), None), path)
    if found.status is None and deployments:
        others = ", ".join(_name(each) for each in deployments)
        return replace(found, margins=f"the defaults: the file's {names.KIND} is {others}, not {mine}")
    return found


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
    text = _mapping(live.get("data")).get(EVIDENCE_KEY)
    if not isinstance(text, str):
        raise Unreadable(f"{where}: {_name(live)} has no {EVIDENCE_KEY}; it is no evidence of ours")
    evidence = _read(text, f"{where}: {_name(live)}")
    status = None if deployment is None else _mapping(deployment.get("status"))
    good = _checked(live, text, status, where)
    settings, margins = _settings(deployment, evidence, where)
    if not fits(evidence, settings):
        wish = "its margins are in the ModelDeployment of that rollout; put both into one file"
        raise Unreadable(f"{where}: the evidence is of {', '.join(m.name for m in evidence.metrics)}; {wish}")
    return Found(
        where=where,
        evidence=evidence,
        settings=settings,
        margins=margins,
        checksum=good,
        use=_use(evidence, status),
        status=status,
    )


def _read(text: str, where: str) -> Evidence:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{where} is damaged: it is cut short, or no JSON; {_UNUSED}") from error
    if not isinstance(document, Mapping):
        raise Unreadable(f"{where} is damaged: it has no fields; {_UNUSED}")
    if document.get("schema") != SCHEMA:
        raise Unreadable(f"{where} is of another version of the operator: its schema is not {SCHEMA}; {_UNUSED}")
    try:
        return from_document(document)
    except (ValueError, AttributeError) as error:
        raise Unreadable(f"{where} is damaged: a field is missing, or is of another kind; {_UNUSED}") from error


def _settings(deployment: Body | None, evidence: Evidence, where: str) -> tuple[AnalysisSettings, str]:
    """As frozen when the rollout began; of one that is over, those of the spec."""
    if deployment is None:
        return AnalysisSettings(), "the defaults: the file has no ModelDeployment"
    rollout = _mapping(_mapping(deployment.get("status")).get("rollout"))
    frozen = rollout.get("analysis")
    if isinstance(frozen, str) and _is_of(evidence, rollout):
        return analysis_settings(frozen), "those that the ModelDeployment had when this rollout began"
    desired = parse(deployment)
    if isinstance(desired, InvalidSpec):
        raise Unreadable(f"{where}: {desired.message}")
    return desired.analysis, "those of the ModelDeployment's spec"


def _checked(live: Body, text: str, status: Body | None, where: str) -> str:
    """Held against the annotation, as the operator does; status names what it had when it was written."""
    written, now = _mapping(_metadata(live).get("annotations")).get(CHECKSUM), checksum(text)
    if written is None:
        return "none written; the operator uses such evidence unchecked"
    if written != now:
        raise Unreadable(f"{where}: {_name(live)} was changed: its checksum is {now}, not {written}; {_UNUSED}")
    named = _mapping(_mapping((status or {}).get("analysis")).get("stateRef")).get("checksum")
    if named in (None, now):
        return f"good ({now}{', the one that status names' if named else ''})"
    return f"good ({now}); status names {named}, of an earlier or later write: the operator goes by the annotation"


def _use(evidence: Evidence, status: Body | None) -> str:
    rollout = (status or {}).get("rollout")
    if not isinstance(rollout, Mapping):
        return ""
    if not rollout.get("candidate"):
        return "no more: no rollout is under way"
    if not _is_of(evidence, rollout):
        return "no more: another rollout is under way, and its evidence is not written yet"
    return "by an operator that begins anew; one that runs has its own, about a minute newer at most"


def _is_of(evidence: Evidence, rollout: Body) -> bool:
    return (str(rollout.get("attempt")), rollout.get("candidate")) == (evidence.attempt, evidence.candidate)


def _members(document: object) -> list[Body]:
    if not isinstance(document, Mapping):
        return []
    items = document.get("items")
    return [each for each in items if isinstance(each, Mapping)] if isinstance(items, list) else [document]


def _metadata(body: Body) -> Body:
    return _mapping(body.get("metadata"))


def _mapping(value: object) -> Body:
    """As it is, or an empty one: what a file has may be anything."""
    return value if isinstance(value, Mapping) else {}


def _name(body: Body) -> str:
    return str(_metadata(body).get("name", ""))
