"""Traffic without a gateway: the stable Service selects stable, both revisions, or the candidate.

Opening the selector to both is the weight write, closing it the abort; the share is what the ready endpoints make it.
Connections are what is shared, not requests: long-lived ones stay where they are. The weights asked for stand in an
annotation, believed only as far as the selector confirms it.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from modelrollout import names
from modelrollout.cluster.kinds import SERVICE, Live
from modelrollout.domain.model_deployment import Key, ModelDeployment
from modelrollout.domain.plan import PointService
from modelrollout.domain.traffic import RouteSeen, Routing
from modelrollout.render.drift import differs
from modelrollout.render.manifest import Owner
from modelrollout.render.templates import Templates
from modelrollout.routers import ours

KIND = SERVICE.kind

_SERVICE_OF_SLICE = "kubernetes.io/service-name"


class ReplicaRatioRouter:
    def __init__(self, api: ours.RouteApi, templates: Templates, children: Callable[[Key], Sequence[Live]]) -> None:
        """`children`: what the watches brought of a ModelDeployment."""
        self._api = api
        self._templates = templates
        self._children = children

    def read(self, key: Key, children: Sequence[Live]) -> RouteSeen:
        live = ours.find(children, KIND, key.name)
        if live is None or not ours.is_ours(live, key.name):
            return ours.not_ours(live)
        selected = (live["spec"].get("selector") or {}).get(names.REVISION_LABEL)
        weights = _confirmed(_asked_for(live), selected)
        ready_pods = _ready_pods(children)
        behind = _behind_the_service(key.name, children, ready_pods)
        taking = {revision for revision, weight in weights.items() if weight > 0}
        settled = set(behind) <= taking and taking & set(ready_pods.values()) <= set(behind)
        return RouteSeen(
            exists=True,
            weights=tuple(sorted(weights.items())),
            share=ours.per_cent(behind),
            accepted=bool(taking) and settled,
            answered=True,
            resource_version=live["metadata"]["resourceVersion"],
            shifted_at=ours.shifted_at(live),
        )

    async def write(
        self, deployment: ModelDeployment, uid: str, routing: Routing, seen: RouteSeen, at: datetime
    ) -> bool:
        key = deployment.key
        point = PointService(revision=_selected(routing))
        manifest = self._templates.stable_service(Owner(key=key, uid=uid), deployment, point, None)
        live = ours.live_as_seen(self._children(key), KIND, key.name, seen)
        shifted = at
        if live is not None and seen.carries(routing):
            if not differs(manifest.document, live) and names.WEIGHTS_ANNOTATION in ours.annotations(live):
                return False
            shifted = seen.shifted_at or at  # another field changes; the weights stay as they were
        added = {
            names.SHIFTED_ANNOTATION: shifted.isoformat(),
            names.WEIGHTS_ANNOTATION: ours.weights_text(routing.weights),
        }
        marked = ours.annotated(manifest, added)
        await self._api.apply(marked, resource_version=seen.resource_version)
        return True


def _selected(routing: Routing) -> str | None:
    """The revision that the Service selects; None for both."""
    taking = [revision for revision, weight in routing.weights.items() if weight > 0]
    return taking[0] if len(taking) == 1 else None


def _asked_for(live: Live) -> dict[str, int]:
    try:
        asked = json.loads(ours.annotations(live).get(names.WEIGHTS_ANNOTATION, "{}"))
    except ValueError:
        return {}
    whole = isinstance(asked, dict) and all(type(weight) is int and weight >= 0 for weight in asked.values())
    return asked if whole else {}


def _confirmed(asked: dict[str, int], selected: str | None) -> dict[str, int]:
    """The weights, as far as the selector says the same: it alone moves traffic."""
    taking = {revision for revision, weight in asked.items() if weight > 0}
    if selected is None:
        return asked if len(taking) > 1 else {}
    return asked if taking == {selected} else {selected: 100}


def _ready_pods(children: Sequence[Live]) -> dict[str, str]:
    """Revision by name of each pod that is ready and stays."""
    ready: dict[str, str] = {}
    for pod in children:
        if pod["kind"] != "Pod" or pod["metadata"].get("deletionTimestamp"):
            continue
        conditions = (pod.get("status") or {}).get("conditions") or ()
        revision = (pod["metadata"].get("labels") or {}).get(names.REVISION_LABEL)
        if revision and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
            ready[pod["metadata"]["name"]] = revision
    return ready


def _behind_the_service(service: str, children: Sequence[Live], ready_pods: Mapping[str, str]) -> Counter[str]:
    """Ready endpoints of the stable Service by revision: who really takes new connections."""
    revisions = {
        pod["metadata"]["name"]: (pod["metadata"].get("labels") or {}).get(names.REVISION_LABEL)
        for pod in children
        if pod["kind"] == "Pod"
    }
    behind: Counter[str] = Counter()
    for piece in children:
        if piece["kind"] != "EndpointSlice":
            continue
        if (piece["metadata"].get("labels") or {}).get(_SERVICE_OF_SLICE) != service:
            continue
        for endpoint in piece.get("endpoints") or ():
            ready = (endpoint.get("conditions") or {}).get("ready", True)
            pod = (endpoint.get("targetRef") or {}).get("name", "")
            revision = ready_pods.get(pod) or revisions.get(pod)
            if ready and revision:
                behind[revision] += 1
    return behind
