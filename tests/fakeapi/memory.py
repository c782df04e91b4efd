"""`controller.ports.KubeApi` without a server: applies into a watch store, remembers what was asked, can refuse."""

from collections.abc import Callable
from typing import Any

from modelrollout import names
from modelrollout.cluster.kinds import MODEL_DEPLOYMENT, Kind, Live, kind_named, kind_of
from modelrollout.cluster.ownership import controller_of, is_owned_by
from modelrollout.cluster.store import WatchStore
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.observed import Observed
from modelrollout.errors import ConflictError, RolloutError, StaleView


class MemoryApi:
    def __init__(self) -> None:
        self.store = WatchStore()
        self.asked: list[tuple[str, str, str]] = []
        """(verb, kind, name) of every write, refused ones included."""
        self.events: list[tuple[str, bool]] = []
        self.refuse: Callable[[str, str, str], RolloutError | None] = lambda _verb, _kind, _name: None
        self._version = 1000

    def put(self, document: dict[str, Any]) -> Live:
        """As another client would have written it, and the watch brought it."""
        self._version += 1
        metadata = {
            "uid": f"uid-of-{document['kind']}-{document['metadata']['name']}",
            "generation": 1,
            "creationTimestamp": "2026-11-22T03:00:00Z",
            **document["metadata"],
            "resourceVersion": str(self._version),
        }
        live = {**document, "metadata": metadata}
        self.store.put(live)
        return live

    async def apply(self, manifest: Fragment, *, resource_version: str | None = None) -> Live:
        document = manifest.value
        kind, metadata = kind_of(document), document["metadata"]
        self._ask("apply", kind.kind, metadata["name"])
        known = self.store.get(kind, metadata["namespace"], metadata["name"])
        if known is None:
            if resource_version is not None:
                raise StaleView("gone")
            return self.put(document)
        owner = controller_of(document)
        if owner is not None and not is_owned_by(known, owner["uid"]):
            raise ConflictError(f"{kind.kind} {metadata['name']} is not ours")
        if resource_version is not None and known["metadata"]["resourceVersion"] != resource_version:
            raise StaleView("moved on")
        kept = {key: known["metadata"][key] for key in ("uid", "creationTimestamp")}
        spec = {**known.get("spec", {}), **document.get("spec", {})}
        generation = known["metadata"]["generation"] + (spec != known.get("spec", {}))
        changed = {**known, **document, "metadata": {**metadata, **kept, "generation": generation}}
        return self.put({**changed, "spec": spec} if spec else changed)

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Live | None:
        return self.store.get(kind_named(api_version, kind), namespace, name)

    async def delete(self, live: Live) -> None:
        self._ask("delete", live["kind"], live["metadata"]["name"])
        self.store.drop(live)

    async def scale(self, live: Live, replicas: int) -> None:
        self._ask("scale", live["kind"], f"{live['metadata']['name']}={replicas}")
        self.put({**live, "spec": {**live["spec"], "replicas": replicas}})

    async def patch_status(self, observed: Observed, status: Fragment) -> Live:
        self._ask("status", names.KIND, observed.key.name)
        live = self.store.model_deployment(observed.key)
        if live is None or live["metadata"]["resourceVersion"] != observed.resource_version:
            raise StaleView("moved on")
        return self.put({**live, "status": status.value})

    async def event(self, observed: Observed, *, reason: str, message: str, warning: bool) -> None:
        self.events.append((reason, warning))

    def one(self, kind: Kind, name: str, namespace: str = "shop") -> Live:
        found = self.store.get(kind, namespace, name)
        assert found is not None
        return found

    def _ask(self, verb: str, kind: str, name: str) -> None:
        self.asked.append((verb, kind, name))
        error = self.refuse(verb, kind, name)
        if error is not None:
            raise error


__all__ = ["MODEL_DEPLOYMENT", "MemoryApi"]
