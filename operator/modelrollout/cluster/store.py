"""What the watches brought, and what our own writes were answered with. No requests, no waiting.

The newest resourceVersion wins, whoever brings it; what is gone does not come back by a late message.
It is memory only and may be lost: the watches fill it again. Never trusted for a dangerous write, which
carries the resourceVersion that it was decided on.
"""

from collections.abc import Collection, Iterable
from typing import Any

from modelrollout import names
from modelrollout.cluster.kinds import MODEL_DEPLOYMENT, POD, Kind, Live, kind_named, kind_of
from modelrollout.domain.model_deployment import Key

TOMBSTONES = 20_000
"""How many deleted uids are remembered, each with the resourceVersion up to which it is dead.

Late messages come within seconds, so far fewer would do.
"""

_Place = tuple[str, str, str]
"""Kind, namespace, name. Kinds of one name in two groups are not among ours."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_POD_SPEC_KEPT = ("initContainers", "containers")
_CONTAINER_KEPT = ("name", "ports", "startupProbe")


class WatchStore:
    def __init__(self) -> None:
        self._objects: dict[_Place, Live] = {}
        self._children: dict[Key, dict[_Place, Live]] = {}
        self._tombstones: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def put(self, live: Live) -> bool:
        """Keep it if it is news. True if it was; the same version again is none."""
        uid, version = uid_of(live), version_of(live)
        if version <= self._tombstones.get(uid, -1):
            return False
        place = _place(live)
        known = self._objects.get(place)
        if known is not None:
            if version_of(known) >= version:
                return False
            if uid_of(known) != uid:
                self._bury(uid_of(known), version)
            self._unlink(place, known)
        self._tombstones.pop(uid, None)
        slim = _slim(live)
        self._objects[place] = slim
        owner = _deployment_of(slim)
        if owner is not None:
            self._children.setdefault(owner, {})[place] = slim
        return True

    def drop(self, live: Live) -> bool:
        """It was deleted at this resourceVersion. True if it was known; what is newer than that stays.

        "Deleted" is also what a watch says of an object that lost the label it is selected by: given its
        label back, it is newer than its tombstone and returns.
        """
        self._bury(uid_of(live), version_of(live))
        place = _place(live)
        known = self._objects.get(place)
        if known is None or uid_of(known) != uid_of(live) or version_of(known) > version_of(live):
            return False
        del self._objects[place]
        self._unlink(place, known)
        return True

    def get(self, kind: Kind, namespace: str, name: str) -> Live | None:
        return self._objects.get((kind.kind, namespace, name))

    def model_deployment(self, key: Key) -> Live | None:
        return self.get(MODEL_DEPLOYMENT, key.namespace, key.name)

    def children(self, key: Key) -> tuple[Live, ...]:
        """Everything in its namespace that carries its label, whoever made it."""
        return tuple(self._children.get(key, {}).values())

    def keys(self) -> tuple[Key, ...]:
        """Every ModelDeployment there is."""
        return tuple(
            Key(namespace=namespace, name=name)
            for kind, namespace, name in self._objects
            if kind == MODEL_DEPLOYMENT.kind
        )

    def forget_absent(self, kind: Kind, seen: Collection[str], *, as_of: str) -> tuple[Live, ...]:
        """Drop what a complete list of this kind, taken at resourceVersion `as_of`, did not contain.

        kopf does not tell of deletions that fell into a relist. `seen` are the uids of the list; what is
        newer than the list cannot be judged by it and stays. Returns what was dropped, to ring its keys.
        """
        limit = int(as_of)
        absent = [
            live
            for place, live in self._objects.items()
            if place[0] == kind.kind and uid_of(live) not in seen and version_of(live) <= limit
        ]
        for live in absent:
            self.drop(live)
            self._bury(uid_of(live), limit)
        return tuple(absent)

    def of_kind(self, kind: Kind) -> Iterable[Live]:
        return [live for place, live in self._objects.items() if place[0] == kind.kind]

    def _bury(self, uid: str, version: int) -> None:
        self._tombstones[uid] = max(version, self._tombstones.pop(uid, -1))
        if len(self._tombstones) > TOMBSTONES:
            del self._tombstones[next(iter(self._tombstones))]

    def _unlink(self, place: _Place, live: Live) -> None:
        owner = _deployment_of(live)
        if owner is None:
            return
        siblings = self._children[owner]
        del siblings[place]
        if not siblings:
            del self._children[owner]


def owner_key(live: Live) -> Key | None:
    """The ModelDeployment to ring when this changes: itself, or the one in its label."""
    if live["kind"] == MODEL_DEPLOYMENT.kind:
        metadata = live["metadata"]
        return Key(namespace=metadata["namespace"], name=metadata["name"])
    return _deployment_of(live)


def uid_of(live: Live) -> str:
    uid: str = live["metadata"]["uid"]
    return uid


def version_of(live: Live) -> int:
    """The resourceVersion as a number: of one API server's objects of one kind, the greater is the later."""
    return int(live["metadata"]["resourceVersion"])


def _place(live: Live) -> _Place:
    metadata = live["metadata"]
    return kind_named(live["apiVersion"], live["kind"]).kind, metadata["namespace"], metadata["name"]


def _deployment_of(live: Live) -> Key | None:
    if live["kind"] == MODEL_DEPLOYMENT.kind:
        return None
    metadata = live["metadata"]
    name = (metadata.get("labels") or {}).get(names.DEPLOYMENT_LABEL)
    return None if name is None else Key(namespace=metadata["namespace"], name=name)


def _slim(live: Live) -> Live:
    """A copy without what nobody here reads: a store of thousands lives in one process."""
    metadata = {field: value for field, value in live["metadata"].items() if field != "managedFields"}
    annotations = metadata.get("annotations")
    if annotations and _LAST_APPLIED in annotations:
        metadata["annotations"] = {name: text for name, text in annotations.items() if name != _LAST_APPLIED}
    slim: dict[str, Any] = {**live, "metadata": metadata}
    if kind_of(live) is POD:
        spec = live.get("spec") or {}
        slim["spec"] = {
            field: [{key: each[key] for key in _CONTAINER_KEPT if key in each} for each in spec[field]]
            for field in _POD_SPEC_KEPT
            if field in spec
        }
    return slim
