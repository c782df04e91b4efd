"""What is to be done: actions as data, and the plan that holds them. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.intent import Intent
from modelrollout.domain.judgement import Judgement
from modelrollout.domain.traffic import Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRevision:
    """Render the desired revision's pod template and keep it in a ControllerRevision."""

    revision: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyWorkload:
    """A revision's Deployment, Service, autoscaler and disruption budget, from its snapshot.

    `replicas` None: an HPA between `min_replicas` and `max_replicas`; else that many, written through /scale.
    """

    revision: str
    min_replicas: int
    max_replicas: int
    replicas: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PointService:
    """The stable Service `<name>` selects this revision (replicaRatio: None opens it to every revision)."""

    revision: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftTraffic:
    """Write the weights, decided `at`. The write carries the resourceVersion seen, so an old view is refused."""

    routing: Routing
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Ask Prometheus at these grid times (unix seconds) and let the answers join the evidence.

    `look_back`: before them for what stable did until then (unix seconds), once a rollout. `preflight`: before all
    each query once, of stable, as it is then. `service_at`: beside them for the whole service's requests up to then.
    """

    evidence: Evidence
    polls: tuple[float, ...] = ()
    look_back: float | None = None
    preflight: float | None = None
    service_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Write the evidence to its ConfigMap."""

    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Delete what a revision has on the cluster, its snapshot excepted."""

    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRoute:
    """Delete the route of a router that is no longer the spec's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetSnapshot:
    """Delete a snapshot beyond the history limit."""

    revision: str


Action = (
    SnapshotRevision
    | ApplyWorkload
    | PointService
    | ShiftTraffic
    | Measure
    | Checkpoint
    | Prune
    | DropRoute
    | ForgetSnapshot
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Either a new intent to commit, or actions on the one that was read; never both.

    `reason` and `message` are for the condition; `wake_after` None waits for the next ring.
    """

    reason: Reason
    message: str
    intent: Intent | None = None
    actions: tuple[Action, ...] = ()
    wake_after: timedelta | None = None
    judgement: Judgement | None = None
    outlook: Remark | None = None
    """What a first look at the metrics tells, while the first step is being prepared."""

    def __post_init__(self) -> None:
        if self.intent is not None and self.actions:
            raise ValueError("a plan commits or acts, never both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one action; `refused` names why, and stops those after it. `changed`: something was written."""

    action: Action
    changed: bool = False
    refused: Reason | None = None
    message: str = ""
    retry_after: timedelta | None = None
