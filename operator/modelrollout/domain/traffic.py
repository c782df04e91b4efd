"""Who gets which share of the requests. Pure."""

from dataclasses import dataclass
from datetime import datetime

from modelrollout.domain.conditions import Remark


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSplit:
    """Per cent of requests; the two are all there is.

    >>> TrafficSplit(stable=90, candidate=10).candidate
    10
    """

    stable: int
    candidate: int

    def __post_init__(self) -> None:
        if self.stable + self.candidate != 100 or min(self.stable, self.candidate) < 0:
            raise ValueError(f"a split of {self.stable} and {self.candidate} does not add up to 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The routing we want: `split` between the two revisions. A lone stable gets everything."""

    stable: str
    candidate: str | None = None
    split: TrafficSplit = TrafficSplit(stable=100, candidate=0)

    def __post_init__(self) -> None:
        if self.candidate is None and self.split.candidate:
            raise ValueError("a share for a candidate that is not named")
        if self.candidate == self.stable:
            raise ValueError("stable and candidate are the same revision")

    @property
    def weights(self) -> dict[str, int]:
        """Per cent by revision, as a route carries them: zeros included."""
        if self.candidate is None:
            return {self.stable: 100}
        return {self.stable: self.split.stable, self.candidate: self.split.candidate}

    def weight_of(self, revision: str) -> int:
        if revision == self.stable:
            return self.split.stable
        return self.split.candidate if revision == self.candidate else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSeen:
    """The route as it is on the cluster.

    `weights`: per cent by revision as written in the object (HTTPRoute: its backendRefs, zeros included;
    replicaRatio: an annotation on the Service that the selector confirms). `share`: per cent that the router
    really gives where that can be seen from the objects (replicaRatio: by ready endpoints), else empty.
    `accepted`: the router took the object's present generation; `answered`: it said anything about it at all.
    """

    exists: bool
    weights: tuple[tuple[str, int], ...] = ()
    share: tuple[tuple[str, int], ...] = ()
    accepted: bool = False
    answered: bool = False
    problem: Remark | None = None
    foreign: bool = False
    resource_version: str | None = None
    shifted_at: datetime | None = None
    """When the weights were last written, from the object's own annotation."""

    def weight_of(self, revision: str) -> int:
        return dict(self.weights).get(revision, 0)

    def carries(self, routing: Routing) -> bool:
        """Whether the object asks for exactly this."""
        return self.exists and dict(self.weights) == routing.weights

    def names(self, revision: str) -> bool:
        """Whether the route still refers to this revision, be it with weight 0."""
        return revision in dict(self.weights)
