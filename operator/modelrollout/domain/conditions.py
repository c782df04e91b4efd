"""What we say about a ModelDeployment: condition types, reasons and phases, each with its sentence. Pure.

A reason is the condition's reason, the event's reason and a metric's label in one.
The reference page docs/reference/reasons.md is generated from here.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class ConditionType(StrEnum):
    READY = "Ready"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    TRAFFIC_READY = "TrafficReady"
    ANALYSIS_HEALTHY = "AnalysisHealthy"
    SCALING_ACTIVE = "ScalingActive"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Phase(StrEnum):
    DEPLOYING = "Deploying"
    STABLE = "Stable"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    HOLDING = "Holding"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    DEGRADED = "Degraded"


class Reason(StrEnum):
    """Why. `meaning` is the sentence for the reference page."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    # at rest, or on the way
    STABLE = "Stable", "The revision the spec asks for serves all traffic."
    DELETING = "Deleting", "The ModelDeployment is being deleted; garbage collection removes what it owns."
    SNAPSHOTTING = "Snapshotting", "The new revision's rendered pod template is being recorded."
    ROLLOUT_STARTED = "RolloutStarted", "A new revision was accepted and its rollout begins."
    WAITING_FOR_CAPACITY = "WaitingForCapacity", "The revision's pods are not all ready for the next weight yet."
    CHECKING_METRICS = "CheckingMetrics", "Each query is tried once before any user is sent to the candidate."
    SHIFTING_TRAFFIC = "ShiftingTraffic", "The traffic weight is being written to the router."
    ANALYSING = "Analysing", "The step's weight is in effect and the candidate is compared with stable."
    WEIGHT_RAISED = (
        "WeightRaised",
        "The candidate's share of the traffic was raised; the message says to what.",
    )
    ADVANCED = "Advanced", "The step ended with nothing against the candidate; the next one begins."
    BAKING = "Baking", "The candidate serves all traffic; the old revision is kept until the bake ends."
    PROMOTED = "Promoted", "The candidate became the stable revision."
    RETIRING = "Retiring", "A revision without traffic is being removed after its connections drained."
    PAUSED = "Paused", "Paused by spec.paused or the pause command; a rollback still happens."
    WAITING_FOR_APPROVAL = "WaitingForApproval", "The step waits for a person: use the advance or promote command."
    COMMANDED = "Commanded", "A person's command was carried out."
    COMMAND_REFUSED = "CommandRefused", "A person's command could not be carried out; status.lastCommand says why."
    SUPERSEDED = "Superseded", "The spec asks for another revision; the candidate gives its traffic back."
    WITHDRAWN = "Withdrawn", "The candidate gave its traffic back and is drained."
    HOLDING = "Holding", "The analysis cannot decide; the weight stays where it is."
    EVIDENCE_RESTARTED = (
        "EvidenceRestarted",
        "The rollout's evidence was lost and could not be read again in full: it goes on from what status kept of it.",
    )
    ADOPTED = (
        "Adopted",
        "status.rollout was not written by the operator and cannot be; what serves was taken for stable.",
    )
    FORGOTTEN = "Forgotten", "The spec asks for the stable revision again; the failed one is forgotten."

    WOULD_ROLL_BACK = (
        "WouldRollBack",
        "With analysis.mode enforce the candidate would have been taken back; with observe it is only told.",
    )

    # taken back
    REGRESSED = "Regressed", "The candidate is worse than stable beyond the margin; its traffic was taken back."
    ERROR_RATE_TOO_HIGH = (
        "ErrorRateTooHigh",
        "The candidate's error rate is above spec.analysis.guardrails.errorRateMax and stable's is not.",
    )
    TOO_SLOW = (
        "TooSlow",
        "More of the candidate's requests are slow than spec.analysis.metrics[].slo allows, and stable's are not.",
    )
    ERROR_BUDGET_BURNING = (
        "ErrorBudgetBurning",
        "The candidate spent the error budget of spec.analysis.guardrails.slo too fast and stable did not.",
    )
    INCONCLUSIVE = "Inconclusive", "The deadline passed undecided and the spec asks to roll back then."
    ABORTED = "Aborted", "A person aborted the candidate."
    NOT_READY_IN_TIME = "NotReadyInTime", "The revision was not ready within spec.runtime.readyTimeout."
    CRASH_LOOP = "CrashLoop", "The revision's container exits again and again."
    OUT_OF_MEMORY = "OutOfMemory", "The revision's container was killed for using more memory than its limit."
    MODEL_NOT_LOADED = "ModelNotLoaded", "The server runs but its model does not load."
    READY_PODS_LOST = "ReadyPodsLost", "The candidate had fewer ready pods than its step needs for ten seconds."
    ROLLED_BACK = "RolledBack", "The revision the spec asks for was taken back; the stable one serves."

    # getting ready, told apart
    UNSCHEDULABLE = "Unschedulable", "No node can take the revision's pods."
    IMAGE_NOT_PULLABLE = "ImageNotPullable", "The revision's image cannot be pulled."
    CONFIGURATION_MISSING = "ConfigurationMissing", "A Secret, ConfigMap or volume that the pods need is missing."
    READINESS_FAILING = "ReadinessFailing", "The container runs but its readiness probe fails."
    POD_REFUSED = "PodRefused", "The API server refuses the revision's pods (quota, Pod Security, admission)."

    # the person must fix
    INVALID_SPEC = "InvalidSpec", "The spec cannot be used; the message names the field."
    CONFLICT = "Conflict", "An object that is not ours has a name that we need; it is left untouched."
    UNKNOWN_PRESET = "UnknownPreset", "spec.runtime.preset names no preset of this operator."
    PORT_CLASH = "PortClash", "Two ports of the pod have the same name or number."
    NO_METRICS = (
        "NoMetrics",
        "Nothing can be compared by the series that there are; nothing moves until it can or analysis.mode is none.",
    )
    UNKNOWN_PROVIDER = (
        "UnknownProvider",
        "spec.analysis.provider names no metrics provider of this operator; nothing moves until it does.",
    )
    REFUSED = "Refused", "The API server refused an object of ours."

    # the world must heal
    NAMESPACE_ENDING = "NamespaceEnding", "The namespace is being deleted; nothing new can be made in it."
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted", "No Gateway accepted the route."
    ROUTER_UNAVAILABLE = "RouterUnavailable", "The router's API is not there or does not answer."
    ROUTE_SETTLED = "Settled", "The route is accepted with the weight we want."
    ROUTE_MISSING = "RouteMissing", "No route was written yet."
    STABLE_LOST = "StableLost", "The stable revision has no ready pod."
    FAILED_OVER = "FailedOver", "Stable had no ready pod for 30 s: all traffic went to the ready candidate."
    SERVING = "Serving", "A good revision serves."
    NOTHING_SERVES = "NothingServes", "No revision has a ready pod."
    NO_DATA = "NoData", "No fresh requests of the candidate are seen in the metrics."
    PROVIDER_ERROR = "ProviderError", "Prometheus does not answer or answers with an error."
    LOW_SAMPLE = "LowSample", "Too few requests to decide."
    PASSED = "Passed", "The candidate is proven not worse beyond the margin."
    SERVICE_BURNING = (
        "ServiceBurning",
        "All revisions together spend the error budget of spec.analysis.guardrails.slo too fast; no weight is raised.",
    )
    NOT_ANALYSED = "NotAnalysed", "Nothing is compared at present."
    SCALING_AS_ASKED = "ScalingAsAsked", "The autoscaler reads its metrics, or replicas are fixed."
    SCALING_BLIND = "ScalingBlind", "The autoscaler cannot read its metrics; replicas stay at their floor."


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A reason with its message for people. Messages end with what to do, and carry no counters or times."""

    reason: Reason
    message: str


GIVEN_UP: frozenset[Reason] = frozenset(
    {
        Reason.REGRESSED,
        Reason.ERROR_RATE_TOO_HIGH,
        Reason.TOO_SLOW,
        Reason.ERROR_BUDGET_BURNING,
        Reason.INCONCLUSIVE,
        Reason.ABORTED,
        Reason.NOT_READY_IN_TIME,
        Reason.CRASH_LOOP,
        Reason.OUT_OF_MEMORY,
        Reason.MODEL_NOT_LOADED,
        Reason.READY_PODS_LOST,
    },
)
"""Reasons with which a revision is remembered as aborted."""
