"""What the controller needs from the outside, as small protocols owned by their caller."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from modelrollout.cluster.kinds import Live
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import Key, ModelDeployment
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Measure
from modelrollout.domain.traffic import RouteSeen, Routing
from modelrollout.render.templates import Templates
from modelrollout.telemetry import Telemetry


class KubeApi(Protocol):
    """Writes and the few reads that no watch can answer. Errors are `errors.RolloutError`s.

    Every write puts its response into the watch store: it counts as read back.
    """

    async def apply(self, manifest: Fragment, *, resource_version: str | None = None) -> Live:
        """Server-side apply of the whole intent; with `resource_version` refused as StaleView if it moved on."""

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Live | None: ...

    async def delete(self, live: Live) -> None:
        """Delete this very object (uid and resourceVersion are preconditions); gone already is fine."""

    async def scale(self, live: Live, replicas: int) -> None:
        """Write `replicas` through the scale subresource, conditional on the observed resourceVersion."""

    async def patch_status(self, observed: Observed, status: Fragment) -> Live:
        """Replace `.status`, conditional on the observed resourceVersion (StaleView where it moved on)."""

    async def event(self, observed: Observed, *, reason: str, message: str, warning: bool) -> None: ...


class TrafficRouter(Protocol):
    """One way to split traffic. `read` looks only at what the watches brought; `write` is one conditional apply."""

    def read(self, key: Key, children: Sequence[Live]) -> RouteSeen: ...

    async def write(
        self, deployment: ModelDeployment, uid: str, routing: Routing, seen: RouteSeen, at: datetime
    ) -> bool:
        """Make the route so. True if something was written. StaleView, RouterUnavailable or ConflictError.

        `at` is kept on the object as the time of the shift, where the weights change.
        """


class Prober(Protocol):
    """Prometheus, behind one adapter: asks a Measure's polls and returns the evidence with their blocks."""

    async def measure(self, action: Measure, observed: Observed) -> Evidence: ...


class Measurements(Protocol):
    """Queries under way, beside the walks: a Prometheus that hangs must not keep a hand brake waiting."""

    def start(self, action: Measure, observed: Observed) -> None:
        """Begin, unless one is under way for this object; its end rings the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All that a walk touches. `observe` is the one seam between the API server and us."""

    observe: Callable[[Key], Observed | None]
    children: Callable[[Key], Sequence[Live]]
    """What the watches brought of it; looked at in the same instant as `observe`, to skip what is so already."""
    api: KubeApi
    routers: Mapping[str, TrafficRouter]
    templates: Templates
    measurements: Measurements
    telemetry: Telemetry
    forget: Callable[[Key], None]
    """It is gone: let go of what is remembered of it."""


Reconcile = Callable[[Key], Awaitable[timedelta | None]]

__all__ = ["KubeApi", "Live", "Measurements", "Ports", "Prober", "Reconcile", "TrafficRouter"]
