"""What the conformance tests work with: our adapter on a real API server, and a second hand that goes past it."""

from dataclasses import dataclass, field
from typing import Any

from modelrollout.cluster.api import KubernetesApi
from modelrollout.cluster.kinds import MODEL_DEPLOYMENT, Kind, Live
from modelrollout.cluster.store import WatchStore
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.intent import Intent
from modelrollout.domain.model_deployment import InvalidSpec, Key
from modelrollout.domain.observed import Observed
from modelrollout.render.manifest import Owner

SPEC: dict[str, Any] = {
    "model": {"version": "1"},
    "runtime": {"preset": "mlserver", "image": "registry.example/mlserver:1"},
}


@dataclass(slots=True, kw_only=True)
class Bench:
    api: KubernetesApi
    store: WatchStore
    namespace: str
    requests: list[tuple[str, int]]
    """Verb and code of each request, ours and others'."""
    lease: list[bool] = field(default_factory=lambda: [True])

    async def outside(self, method: str, kind: Kind, name: str | None, body: Any = None, **options: Any) -> Live:
        """Somebody else's request: the store does not hear of it."""
        return await self.api.request(method, kind.path(self.namespace, name), body=body, **options)

    async def model_deployment(self, name: str = "sentiment") -> Live:
        body = {
            "apiVersion": MODEL_DEPLOYMENT.api_version,
            "kind": MODEL_DEPLOYMENT.kind,
            "metadata": {"name": name},
            "spec": SPEC,
        }
        live = await self.outside("POST", MODEL_DEPLOYMENT, None, body)
        self.store.put(live)
        return live


def owner_of(live: Live) -> Owner:
    metadata = live["metadata"]
    return Owner(key=Key(namespace=metadata["namespace"], name=metadata["name"]), uid=metadata["uid"])


def seen(live: Live) -> Observed:
    """What a walk knows of a ModelDeployment, as far as writes of its status and Events need it."""
    owner, metadata = owner_of(live), live["metadata"]
    return Observed(
        key=owner.key,
        uid=owner.uid,
        resource_version=metadata["resourceVersion"],
        generation=metadata["generation"],
        deleting=False,
        desired=InvalidSpec(key=owner.key, uid=owner.uid, generation=1, message="not looked at"),
        intent=Intent(),
        status=Fragment.of(live.get("status") or {}),
    )


def a_config_map(owner: Owner, name: str = "sentiment-evidence", **values: str) -> Fragment:
    return Fragment.of(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": owner.key.namespace,
                "labels": owner.labels,
                "ownerReferences": [owner.reference],
            },
            "data": values,
        }
    )


def a_deployment(owner: Owner, name: str = "sentiment-bbbbbbbb") -> Fragment:
    labels = {**owner.labels, "modelrollout.dev/revision": "bbbbbbbb"}
    return Fragment.of(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": name,
                "namespace": owner.key.namespace,
                "labels": labels,
                "ownerReferences": [owner.reference],
            },
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "server", "image": "registry.example/server:1"}]},
                },
            },
        }
    )
