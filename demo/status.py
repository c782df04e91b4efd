"""One look at the ModelDeployment: the fields of its status that the story follows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An entry of `status.decisions`, with `metric` cut to its name (`latency@0.025` is `latency`)."""

    time: str
    action: str
    weight: int
    verdict: str
    metric: str
    value: float | None
    threshold: float | None
    samples: int | None
    message: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            time=document.get("time", ""),
            action=document.get("action", ""),
            weight=document.get("weight", 0),
            verdict=document.get("verdict", ""),
            metric=document.get("metric", "").partition("@")[0],
            value=document.get("value"),
            threshold=document.get("threshold"),
            samples=document.get("samples"),
            message=document.get("message", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    status: str = ""
    reason: str = ""
    message: str = ""

    @classmethod
    def of(cls, status: Mapping[str, Any], kind: str) -> Self:
        """Of `.status`; empty where it has none of that kind."""
        found: Mapping[str, str] = next((each for each in status.get("conditions", []) if each["type"] == kind), {})
        return cls(**{field: found.get(field, "") for field in ("status", "reason", "message")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    is_current: bool = False
    """The operator has seen the spec that was last applied."""
    phase: str = ""
    message: str = ""
    step: str = ""
    weight: int = 0
    stable_version: str = ""
    candidate_version: str = ""
    aborted_version: str = ""
    aborted_reason: str = ""
    ready: bool = False
    analysis_healthy: Condition = Condition()
    log_evidence: float = 0.0
    """As of the last checkpoint or decision, which may be a minute ago."""
    candidate_requests: int = 0
    """That this evidence has seen."""
    decisions: tuple[Decision, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Of a whole ModelDeployment as the API server gives it."""
        status: Mapping[str, Any] = document.get("status") or {}
        rollout: Mapping[str, Any] = status.get("rollout") or {}
        aborted: Mapping[str, Any] = rollout.get("aborted") or {}
        versions = {revision["name"]: revision.get("version", "") for revision in status.get("revisions", [])}
        analysis: Mapping[str, Any] = status.get("analysis") or {}
        return cls(
            is_current=status.get("observedGeneration") == document["metadata"]["generation"],
            phase=status.get("phase", ""),
            message=status.get("message", ""),
            step=status.get("step", ""),
            weight=rollout.get("weight", 0),
            stable_version=versions.get(rollout.get("stable", ""), ""),
            candidate_version=versions.get(rollout.get("candidate", ""), ""),
            aborted_version=aborted.get("version", ""),
            aborted_reason=aborted.get("reason", ""),
            ready=Condition.of(status, "Ready").status == "True",
            analysis_healthy=Condition.of(status, "AnalysisHealthy"),
            log_evidence=analysis.get("logEvidence", 0.0),
            candidate_requests=analysis.get("candidateRequests", 0),
            decisions=tuple(Decision.of(each) for each in status.get("decisions", [])),
        )
