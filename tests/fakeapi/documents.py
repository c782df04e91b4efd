"""Documents that tests put on an API server."""

from typing import Any

from modelrollout import names


def a_model_deployment(name: str = "sentiment", *, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    """Of a server of one's own, whose pods alone decide: one replica, nothing compared."""
    body = {
        "model": {"version": "1"},
        "runtime": {
            "preset": "custom",
            "image": "example/server:1",
            "ports": [{"name": "http", "containerPort": 8080}],
        },
        "scaling": {"mode": "fixed", "replicas": 1},
        "analysis": {"mode": "none"},
        **spec,
    }
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": body}
