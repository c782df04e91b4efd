"""What the user asks for: a ModelDeployment's spec as values. Pure.

Built by `domain.parse`; whatever constructs is valid.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.fragment import EMPTY, Fragment


class ScalingMode(StrEnum):
    HPA = "hpa"
    FIXED = "fixed"
    EXTERNAL = "external"


class RouterName(StrEnum):
    GATEWAY_API = "gatewayAPI"
    REPLICA_RATIO = "replicaRatio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How many pods. `metrics` and `behavior` are autoscaling/v2 fragments, passed through."""

    mode: ScalingMode = ScalingMode.HPA
    replicas: int = 1
    min_replicas: int = 1
    max_replicas: int = 1
    metrics: Fragment = Fragment("[]")
    behavior: Fragment = EMPTY

    @property
    def floor(self) -> int:
        """Replicas without any load: the least that the spec asks for."""
        return self.min_replicas if self.mode is ScalingMode.HPA else self.replicas

    @property
    def ceiling(self) -> int:
        return self.max_replicas if self.mode is ScalingMode.HPA else max(self.replicas, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayApi:
    parent_refs: Fragment = Fragment("[]")
    hostnames: tuple[str, ...] = ()
    timeout: str | None = None
    """A Gateway API duration such as `30s`; None leaves the gateway's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    port: int = 80
    router: RouterName = RouterName.REPLICA_RATIO
    gateway_api: GatewayApi = GatewayApi()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Wait at a step: for a person (`duration` None), or for a time."""

    duration: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Hold the candidate at `weight` per cent; None: analysis.minDuration and analysis.deadline count."""

    weight: int
    min_duration: timedelta | None = None
    deadline: timedelta | None = None
    pause: Pause | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.weight <= 99:
            raise ValueError(f"weight: {self.weight} is not between 1 and 99; 100 is implied")


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPlan:
    """The ladder. Weights rise strictly and stay below 100, which is implied; no steps: all at once."""

    steps: tuple[Step, ...] = ()
    bake: timedelta = timedelta(minutes=10)
    history_limit: int = 5

    def __post_init__(self) -> None:
        for index, (before, after) in enumerate(zip(self.steps, self.steps[1:], strict=False), start=1):
            if after.weight <= before.weight:
                raise ValueError(f"steps[{index}].weight: {after.weight} is not above {before.weight} before it")

    def weight_at(self, step: int) -> int:
        """The weight of a step; the step after the last is 100."""
        return self.steps[step].weight if step < len(self.steps) else 100

    def next_above(self, weight: int) -> int:
        """Index of the first step whose weight is above `weight`; steps may have been edited in flight."""
        return next((index for index, step in enumerate(self.steps) if step.weight > weight), len(self.steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeployment:
    """One valid ModelDeployment as read from the API server."""

    key: Key
    uid: str
    generation: int
    revision: str
    """Name of the revision that `model` and `runtime` make."""
    model: Fragment
    runtime: Fragment
    version: str
    preset: str
    ready_timeout: timedelta
    scaling: Scaling
    traffic: Traffic
    rollout: RolloutPlan
    analysis: AnalysisSettings
    analysis_text: str = "{}"
    """spec.analysis as canonical JSON, to be frozen when a rollout starts."""
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidSpec:
    """A spec that does not parse, as a value: what serves stays, the condition names the field."""

    key: Key
    uid: str
    generation: int
    message: str
    brakes: ModelDeployment | None = None
    """What can be read of its traffic: enough to judge a candidate and take it back. None: not even that."""
