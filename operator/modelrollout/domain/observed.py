"""The whole world of one walk. Pure: built by `cluster.observe`, read by `decide`."""

from dataclasses import dataclass
from datetime import datetime

from modelrollout.domain.analysis import SCRAPE_LAG
from modelrollout.domain.conditions import Remark
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import EMPTY, Fragment
from modelrollout.domain.intent import Intent
from modelrollout.domain.model_deployment import InvalidSpec, Key, ModelDeployment
from modelrollout.domain.revision import Snapshot
from modelrollout.domain.traffic import RouteSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod of a revision.

    `trouble` is why it is not ready where that can be told (None: just starting); `restarts` counts exits of the
    serving container since the pod was made, `crashed` those that were a crash or out of memory.
    `ready_changed`: when its Ready condition last flipped.
    """

    name: str
    ready: bool
    created: datetime
    ready_changed: datetime
    deleting: bool = False
    restarts: int = 0
    trouble: Remark | None = None
    unmounted_since: datetime | None = None
    """Since when it has a node but not yet its volumes and network, where the kubelet says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaler:
    """A revision's HorizontalPodAutoscaler. `blind`: it says that it cannot read its metrics."""

    min_replicas: int
    max_replicas: int
    desired: int
    blind: Remark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A revision's Deployment with what hangs on it.

    `ready` counts ready pods that are not being deleted; `endpoints` the ready endpoints of its Service.
    """

    revision: str
    exists: bool = True
    replicas: int = 0
    """Wanted by the Deployment: `spec.replicas`."""
    ready: int = 0
    endpoints: int = 0
    pods: tuple[Pod, ...] = ()
    autoscaler: Autoscaler | None = None
    trouble: Remark | None = None
    """Of the Deployment itself: pods refused by quota, Pod Security or admission."""
    created: datetime | None = None
    available_changed: datetime | None = None
    image_digest: str = ""
    """As reported by a running pod; empty while none runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Spec, intent, children, real weights and evidence.

    `status` is `.status` as stored, for comparison only; `desired` is the spec, or why it cannot be used.
    `conflict` names a foreign object under a name that we need. `service_points_at` is the revision that the
    stable Service selects, None where the Service does not exist or is open to both.
    `checkpointed_at` and `checkpoint_eval`: when and up to which poll (unix seconds) evidence was last written.
    """

    key: Key
    uid: str
    resource_version: str
    generation: int
    deleting: bool
    desired: ModelDeployment | InvalidSpec
    intent: Intent
    adopted: bool = False
    """What is stored cannot be an intent; `intent` was read from what serves."""
    status: Fragment = EMPTY
    command: str | None = None
    snapshots: tuple[Snapshot, ...] = ()
    workloads: tuple[Workload, ...] = ()
    route: RouteSeen = RouteSeen(exists=False)
    idle_route: bool = False
    """An HTTPRoute of ours exists although another router is in use."""
    service_exists: bool = False
    service_points_at: str | None = None
    conflict: Remark | None = None
    refused: Remark | None = None
    """What the spec asks for that only the operator can see to be impossible (preset, ports, series)."""
    evidence: Evidence | None = None
    checkpointed_at: datetime | None = None
    checkpoint_eval: float | None = None
    lags: tuple[tuple[str, float], ...] = ()
    """Seconds by which the samples of each metrics provider are late; known from the operator's settings."""

    def lag_of(self, provider: str) -> float:
        """Seconds after which this metrics provider has its samples."""
        return dict(self.lags).get(provider, SCRAPE_LAG)

    def snapshot(self, revision: str | None) -> Snapshot | None:
        return next((each for each in self.snapshots if each.revision == revision), None)

    def workload(self, revision: str | None) -> Workload | None:
        return next((each for each in self.workloads if each.revision == revision), None)
