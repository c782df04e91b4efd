"""The API server as a test needs it: any path, any kubeconfig, watches. Knows nothing of ModelDeployments."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config

Live = dict[str, Any]
FOREVER = 7200
PATHS: Mapping[str, tuple[str, str]] = {
    "ModelDeployment": ("/apis/modelrollout.dev/v1alpha1", "modeldeployments"),
    "HTTPRoute": ("/apis/gateway.networking.k8s.io/v1", "httproutes"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "ControllerRevision": ("/apis/apps/v1", "controllerrevisions"),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "Namespace": ("/api/v1", "namespaces"),
    "Service": ("/api/v1", "services"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Secret": ("/api/v1", "secrets"),
    "ResourceQuota": ("/api/v1", "resourcequotas"),
    "Pod": ("/api/v1", "pods"),
    "Event": ("/api/v1", "events"),
}
"""API version's path and plural, by kind."""


class RefusedError(Exception):
    """The API server's answer was an error: its code, and its own words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def path_of(kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    root, plural = PATHS[kind]
    place = f"/namespaces/{namespace}" if namespace else ""
    return "/".join(part for part in (f"{root}{place}/{plural}", name, subresource) if part)


class Api:
    """Thread-safe; each watch takes a connection of its own."""

    def __init__(self, kubeconfig: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        client: ApiClient = new_client_from_config(config_file=str(kubeconfig))
        client.configuration.connection_pool_maxsize = 64
        self.kubeconfig = kubeconfig
        self.document: dict[str, Any] = document
        self._client = client
        self._host = client.configuration.host
        self._pool = client.rest_client.pool_manager

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", query: str = ""
    ) -> Live:
        headers = {**self._headers(), "Content-Type": content_type}
        url = f"{self._host}{path}{'?' + query if query else ''}"
        data = None if body is None else json.dumps(body)
        answer = self._pool.request(method, url, body=data, headers=headers, timeout=30)
        document: Live = json.loads(answer.data)
        if answer.status >= 400:
            raise RefusedError(answer.status, document.get("message", ""))
        return document

    def get(self, kind: str, namespace: str, name: str) -> Live | None:
        try:
            return self.request("GET", path_of(kind, namespace, name))
        except RefusedError as refused:
            if refused.code == 404:
                return None
            raise

    def items(self, kind: str, namespace: str = "", selector: str = "") -> list[Live]:
        query = f"labelSelector={selector}" if selector else ""
        items: list[Live] = self.request("GET", path_of(kind, namespace), query=query)["items"]
        return items

    def apply(self, document: Live) -> Live:
        """As a GitOps pipeline does: server-side, with a field manager of its own."""
        metadata = document["metadata"]
        path = path_of(document["kind"], metadata.get("namespace", ""), metadata["name"])
        query = "fieldManager=e2e&force=true&fieldValidation=Strict"
        return self.request("PATCH", path, document, content_type="application/apply-patch+yaml", query=query)

    def merge(self, kind: str, namespace: str, name: str, patch: Live, subresource: str = "") -> Live:
        path = path_of(kind, namespace, name, subresource)
        return self.request("PATCH", path, patch, content_type="application/merge-patch+json")

    def delete(self, kind: str, namespace: str, name: str, propagation: str = "Background") -> None:
        try:
            self.request("DELETE", path_of(kind, namespace, name), {"propagationPolicy": propagation})
        except RefusedError as refused:
            if refused.code != 404:
                raise

    def watch(self, kind: str) -> tuple[list[Live], Iterator[Live]]:
        """Everything of a kind that is there, and each change from then on, as the API server tells it."""
        listing = self.request("GET", path_of(kind))
        query = f"watch=1&timeoutSeconds={FOREVER}&resourceVersion={listing['metadata']['resourceVersion']}"
        url = f"{self._host}{path_of(kind)}?{query}"
        answer = self._pool.request("GET", url, headers=self._headers(), preload_content=False, timeout=FOREVER)
        return listing["items"], (json.loads(line) for line in _lines(answer))

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        return headers


def _lines(answer: Any) -> Iterator[bytes]:
    rest = b""
    for piece in answer.stream(amt=None, decode_content=False):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
