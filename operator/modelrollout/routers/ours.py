"""What both routers need to know of objects on the cluster. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from modelrollout import names
from modelrollout.cluster.kinds import Live
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.traffic import RouteSeen
from modelrollout.errors import StaleView
from modelrollout.render.manifest import Manifest


class RouteApi(Protocol):
    """What a router needs of the API server: cluster.api's apply, which never takes over what is not ours."""

    async def apply(self, manifest: Fragment, *, resource_version: str | None = None) -> Live: ...


def find(children: Iterable[Live], kind: str, name: str) -> Live | None:
    return next((each for each in children if each["kind"] == kind and each["metadata"]["name"] == name), None)


def is_ours(live: Live, deployment: str, uid: str | None = None) -> bool:
    """Whether the one controller of this object is the ModelDeployment of that name (and uid, where it is known)."""
    for reference in live["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            named = reference["kind"] == names.KIND and reference["name"] == deployment
            return named and (uid is None or reference["uid"] == uid)
    return False


def not_ours(live: Live | None) -> RouteSeen:
    """What is to be seen of an object that is missing, or that is somebody else's."""
    if live is None:
        return RouteSeen(exists=False)
    return RouteSeen(exists=True, foreign=True, resource_version=live["metadata"]["resourceVersion"])


def annotations(live: Live) -> Mapping[str, str]:
    found: Mapping[str, str] = live["metadata"].get("annotations") or {}
    return found


def shifted_at(live: Live) -> datetime | None:
    """When our weights were last written; None where somebody took the annotation away or broke it."""
    try:
        moment = datetime.fromisoformat(annotations(live).get(names.SHIFTED_ANNOTATION, ""))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def annotated(manifest: Manifest, added: Mapping[str, str]) -> Fragment:
    """The manifest with annotations of the router's own."""
    document: dict[str, Any] = manifest.document.value
    metadata = document["metadata"]
    metadata["annotations"] = {**metadata.get("annotations", {}), **added}
    return Fragment.of(document)


def per_cent(amounts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Whole per cents that add up to 100 (largest remainder), sorted by revision; empty where there is nothing.

    >>> per_cent({"a": 2, "b": 1})
    (('a', 67), ('b', 33))
    """
    total = sum(amounts.values())
    if total <= 0:
        return ()
    floors = {name: amount * 100 // total for name, amount in amounts.items()}
    by_remainder = sorted(amounts, key=lambda name: (-(amounts[name] * 100 % total), name))
    for name in by_remainder[: 100 - sum(floors.values())]:
        floors[name] += 1
    return tuple(sorted(floors.items()))


def weights_text(weights: Mapping[str, int]) -> str:
    return json.dumps(dict(weights), sort_keys=True, separators=(",", ":"))


def live_as_seen(children: Sequence[Live], kind: str, name: str, seen: RouteSeen) -> Live | None:
    """The object that was decided on, None where there was none; StaleView where the store has moved on since."""
    live = find(children, kind, name)
    version = None if live is None else live["metadata"]["resourceVersion"]
    if version != seen.resource_version:
        raise StaleView(f"{kind} {name} changed since it was looked at")
    return live
