"""The one writer of status: what was seen and decided, not what was wished. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelrollout.decide.analysis_status import analysis_status
from modelrollout.decide.decisions import LONGEST_MESSAGE, decisions_of
from modelrollout.decide.findings import RESTARTED
from modelrollout.decide.verdicts import Circumstances, findings, phase_of
from modelrollout.domain.conditions import ConditionStatus, ConditionType, Phase, Reason
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.intent_document import command_document, rollout_document, timestamp
from modelrollout.domain.model_deployment import ModelDeployment, RouterName
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Outcome, Plan
from modelrollout.names import DEPLOYMENT_LABEL, REVISION_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One change that a person would want to know of: an event, a log line."""

    reason: str
    message: str
    warning: bool = False
    action: str = ""
    """Of a decision."""


def status_of(observed: Observed, plan: Plan, outcomes: tuple[Outcome, ...], now: datetime) -> Fragment:
    """The whole new status; equal to `observed.status` where nothing worth a write has changed."""
    intent = observed.intent if plan.intent is None else plan.intent
    seen = Circumstances(observed=observed, plan=plan, intent=intent, outcomes=outcomes, now=now)
    before = observed.status.mapping
    document: dict[str, Any] = {
        "observedGeneration": observed.generation,
        "phase": str(phase_of(seen)),
        "rollout": rollout_document(intent),
        "revisions": _revisions(seen),
        "conditions": _conditions(seen, before, now),
    }
    document |= _scale(seen)
    analysis = analysis_status(seen, before.get("analysis", {}))
    if analysis:
        document["analysis"] = analysis
    decisions = decisions_of(seen, before, now)
    if decisions:
        document["decisions"] = decisions
    if intent.last_command is not None:
        document["lastCommand"] = command_document(intent.last_command)
    desired = observed.desired
    if isinstance(desired, ModelDeployment):
        document["url"] = _url(desired)
        steps = len(desired.rollout.steps)
        if intent.candidate is not None and intent.stable is not None and not intent.leaving:
            document["step"] = f"{min(intent.step + 1, steps + 1)}/{steps + 1}"
    document["message"] = _message(seen, document)
    return Fragment.of(document)


def _scale(seen: Circumstances) -> dict[str, Any]:
    """The scale subresource counts stable only, so that an outside autoscaler is not fooled by the candidate."""
    revision = seen.intent.stable or seen.intent.candidate
    workload = seen.observed.workload(revision)
    if revision is None:
        return {"replicas": 0, "readyReplicas": 0}
    return {
        "replicas": workload.replicas if workload else 0,
        "readyReplicas": workload.ready if workload else 0,
        "selector": f"{DEPLOYMENT_LABEL}={seen.observed.key.name},{REVISION_LABEL}={revision}",
    }


def _revisions(seen: Circumstances) -> list[dict[str, Any]]:
    intent, observed = seen.intent, seen.observed
    listed: list[dict[str, Any]] = []
    for workload in observed.workloads:
        name = workload.revision
        snapshot = observed.snapshot(name)
        role = "Stable" if name == intent.stable else "Candidate" if name == intent.candidate else "Retired"
        entry: dict[str, Any] = {
            "name": name,
            "version": snapshot.version if snapshot else "",
            "role": role,
            "weight": dict(observed.route.share or observed.route.weights).get(name, 0),
            "replicas": workload.replicas,
            "ready": workload.ready,
        }
        if workload.image_digest:
            entry["imageDigest"] = workload.image_digest
        listed.append(entry)
    order = {"Stable": 0, "Candidate": 1, "Retired": 2}
    return sorted(listed, key=lambda entry: (order[entry["role"]], entry["name"]))


def _conditions(seen: Circumstances, before: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    old = {condition["type"]: condition for condition in before.get("conditions", [])}
    listed = []
    for kind, finding in findings(seen).items():
        previous = old.get(str(kind), {})
        kept = previous.get("lastTransitionTime") if previous.get("status") == str(finding.status) else None
        listed.append(
            {
                "type": str(kind),
                "status": str(finding.status),
                "reason": str(finding.reason),
                "message": finding.message[:LONGEST_MESSAGE],
                "lastTransitionTime": kept or timestamp(now),
                "observedGeneration": seen.observed.generation,
            },
        )
    return listed


def _url(desired: ModelDeployment) -> str:
    hostnames = desired.traffic.gateway_api.hostnames
    if desired.traffic.router is RouterName.GATEWAY_API and hostnames:
        return f"http://{hostnames[0]}"
    port = "" if desired.traffic.port == 80 else f":{desired.traffic.port}"
    return f"http://{desired.key.name}.{desired.key.namespace}.svc{port}"


def _message(seen: Circumstances, document: Mapping[str, Any]) -> str:
    """The sentence of `kubectl get md -o wide`."""
    intent, plan = seen.intent, seen.plan
    problem = seen.must_fix or seen.ending or seen.failed_first
    told = problem.message if problem else plan.message or plan.reason.meaning
    if document["phase"] == str(Phase.STABLE):
        return f"Revision {intent.stable}{_version(seen, intent.stable)} serves all traffic."
    if seen.given_up:
        assert intent.aborted is not None
        return intent.aborted.message[:LONGEST_MESSAGE]
    if intent.candidate is None:
        return told[:LONGEST_MESSAGE]
    who = f"{'Candidate' if intent.stable else 'First revision'} {intent.candidate}{_version(seen, intent.candidate)}"
    where = f" at {intent.weight} %" if intent.stable else ""
    step = f", step {document['step'].replace('/', ' of ')}" if "step" in document else ""
    evidence = seen.observed.evidence
    current = plan.reason is Reason.ANALYSING and (evidence is None or evidence.replay is None)
    sentence = document.get("analysis", {}).get("sentence", "") if current else ""
    return f"{who}{where}{step}: {sentence or told}"[:LONGEST_MESSAGE]


def _version(seen: Circumstances, revision: str | None) -> str:
    snapshot = seen.observed.snapshot(revision)
    return f" (version {snapshot.version})" if snapshot and snapshot.version else ""


def changes(before: Fragment, after: Fragment) -> tuple[Announcement, ...]:
    """What happened between two statuses, for events and the log; every reason distinct."""
    old, new = before.mapping, after.mapping
    told: list[Announcement] = []
    known = old.get("decisions", [])
    fresh = [decision for decision in new.get("decisions", []) if decision not in known]
    for decision in fresh:
        if decision["reason"] != Reason.COMMANDED:  # told with the command
            rolled = decision["action"] in ("Rollback", "FailOver", "Adopt", "WouldRollBack")
            told.append(
                Announcement(
                    reason=decision["reason"],
                    message=decision["message"],
                    warning=rolled,
                    action=decision["action"],
                )
            )
    weight = new["rollout"]["weight"]
    if weight != old.get("rollout", {}).get("weight", 0) and weight:
        candidate = new["rollout"].get("candidate")
        message = f"Revision {candidate} goes to {weight} per cent."
        told.append(Announcement(reason=str(Reason.WEIGHT_RAISED), message=message))
    if RESTARTED in _flags(new) and RESTARTED not in _flags(old):
        message = f"{Reason.EVIDENCE_RESTARTED.meaning} Look who deleted or changed the ConfigMap."
        told.append(Announcement(reason=str(Reason.EVIDENCE_RESTARTED), message=message, warning=True))
    command = new.get("lastCommand")
    if command is not None and command != old.get("lastCommand"):
        reason = Reason.COMMANDED if command["accepted"] else Reason.COMMAND_REFUSED
        message = f"{command['action']}: {command['message']}"
        decided = next((each["action"] for each in fresh if each["reason"] == reason), "")
        told.append(Announcement(reason=str(reason), message=message, warning=not command["accepted"], action=decided))
    return (*told, *_flips(old, new))


def _flags(status: Mapping[str, Any]) -> Sequence[str]:
    found: Sequence[str] = status.get("analysis", {}).get("flags", [])
    return found


def _flips(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Announcement, ...]:
    """Conditions that turned against us, or came good again."""
    alarms = {
        ConditionType.READY: ConditionStatus.TRUE,
        ConditionType.AVAILABLE: ConditionStatus.FALSE,
        ConditionType.STALLED: ConditionStatus.TRUE,
        ConditionType.TRAFFIC_READY: ConditionStatus.FALSE,
    }
    before = {each["type"]: (each["status"], each["reason"]) for each in old.get("conditions", [])}
    told = []
    for condition in new["conditions"]:
        kind, state = ConditionType(condition["type"]), (condition["status"], condition["reason"])
        worth = alarms.get(kind) == condition["status"]
        provider = kind is ConditionType.ANALYSIS_HEALTHY and condition["reason"] in (
            str(Reason.PROVIDER_ERROR),
            str(Reason.NO_DATA),
            str(Reason.SERVICE_BURNING),
        )
        first = kind not in before and kind in (ConditionType.AVAILABLE, ConditionType.TRAFFIC_READY)
        if (worth or provider) and before.get(kind) != state and not first:
            good = kind is ConditionType.READY
            told.append(Announcement(reason=condition["reason"], message=condition["message"], warning=not good))
    return tuple(told)


__all__ = ["Announcement", "changes", "status_of"]
