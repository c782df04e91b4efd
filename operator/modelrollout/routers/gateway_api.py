"""Traffic by the Gateway API: an HTTPRoute of our own, weighted over the revisions' Services.

Refuses to touch an HTTPRoute that is not ours, and never reads Gateways: they belong to others. What a Gateway made of
the route is known from the route's own `status.parents` only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from modelrollout import names
from modelrollout.cluster.answers import NotFound
from modelrollout.cluster.kinds import HTTP_ROUTE, Live
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.model_deployment import Key, ModelDeployment
from modelrollout.domain.traffic import RouteSeen, Routing
from modelrollout.errors import RouterUnavailable
from modelrollout.render.drift import differs
from modelrollout.render.manifest import Owner
from modelrollout.render.templates import Templates
from modelrollout.routers import ours

KIND = HTTP_ROUTE.kind

_JUDGED = ("Accepted", "ResolvedRefs")


class GatewayApiRouter:
    def __init__(self, api: ours.RouteApi, templates: Templates, children: Callable[[Key], Sequence[Live]]) -> None:
        """`children`: what the watches brought of a ModelDeployment."""
        self._api = api
        self._templates = templates
        self._children = children

    def read(self, key: Key, children: Sequence[Live]) -> RouteSeen:
        live = ours.find(children, KIND, key.name)
        if live is None or not ours.is_ours(live, key.name):
            return ours.not_ours(live)
        verdicts = [_verdict(live, parent) for parent in live["spec"].get("parentRefs") or ()]
        return RouteSeen(
            exists=True,
            weights=_weights(key.name, live),
            accepted=bool(verdicts) and all(verdict is True for verdict in verdicts),
            answered=any(verdict is not None for verdict in verdicts),
            problem=next((verdict for verdict in verdicts if isinstance(verdict, Remark)), None),
            resource_version=live["metadata"]["resourceVersion"],
            shifted_at=ours.shifted_at(live),
        )

    async def write(
        self, deployment: ModelDeployment, uid: str, routing: Routing, seen: RouteSeen, at: datetime
    ) -> bool:
        key = deployment.key
        manifest = self._templates.route(Owner(key=key, uid=uid), deployment, routing)
        live = ours.live_as_seen(self._children(key), KIND, key.name, seen)
        shifted = at
        if live is not None and seen.carries(routing):
            if not differs(manifest.document, live):
                return False
            shifted = seen.shifted_at or at  # another field changes; the weights stay as they were
        marked = ours.annotated(manifest, {names.SHIFTED_ANNOTATION: shifted.isoformat()})
        try:
            await self._api.apply(marked, resource_version=seen.resource_version)
        except NotFound as error:
            raise RouterUnavailable(
                "The cluster has no HTTPRoute (gateway.networking.k8s.io/v1). "
                "Install the Gateway API, or set spec.traffic.router to replicaRatio."
            ) from error
        return True


def _weights(deployment: str, live: Live) -> tuple[tuple[str, int], ...]:
    """Per cent by revision of the first rule: we write one rule only, and whole per cents."""
    prefix = names.workload_name(deployment, "")
    rules = live["spec"].get("rules") or [{}]
    amounts: dict[str, int] = {}
    for backend in rules[0].get("backendRefs") or ():
        if backend["name"].startswith(prefix):
            revision = backend["name"].removeprefix(prefix)
            amounts[revision] = amounts.get(revision, 0) + int(backend.get("weight", 1))
    if sum(amounts.values()) == 0:
        return tuple(sorted(amounts.items()))
    return ours.per_cent(amounts)


def _verdict(live: Live, parent: Mapping[str, Any]) -> Remark | bool | None:
    """True: accepted as it is now. A Remark: refused as it is now. None: nothing said about this generation yet.

    More than one controller may speak of a parent, dead ones among them: one good answer is enough.
    """
    problem: Remark | None = None
    for said in _answers(live, parent):
        conditions = {each["type"]: each for each in said.get("conditions") or ()}
        judged = [conditions[kind] for kind in _JUDGED if kind in conditions]
        fresh = [each for each in judged if each.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)]
        if len(fresh) == len(_JUDGED) and all(each["status"] == "True" for each in fresh):
            return True
        refused = next((each for each in fresh if each["status"] == "False"), None)
        if refused is not None and problem is None:
            problem = Remark(
                reason=Reason.ROUTE_NOT_ACCEPTED,
                message=f"Gateway {parent['name']} says {refused['type']}={refused['status']}, "
                f"{refused.get('reason', 'no reason')}: {refused.get('message', '')}".rstrip(": ")
                + ". Look at spec.traffic.gatewayAPI and at the Gateway's listeners.",
            )
    return problem


def _answers(live: Live, parent: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    namespace = live["metadata"]["namespace"]
    wanted = _identity(parent, namespace)
    for said in (live.get("status") or {}).get("parents") or ():
        if _identity(said["parentRef"], namespace) == wanted:
            yield said


def _identity(parent: Mapping[str, Any], namespace: str) -> tuple[object, ...]:
    """A reference with its defaults filled in, since the API server and controllers fill some of them."""
    return (
        parent.get("group", "gateway.networking.k8s.io"),
        parent.get("kind", "Gateway"),
        parent.get("namespace") or namespace,
        parent["name"],
        parent.get("sectionName"),
        parent.get("port"),
    )
