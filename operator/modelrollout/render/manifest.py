"""The one way for a document to become something we apply: `Manifest.checked`. Pure.

It refuses whatever is not ours to write: other kinds, other namespaces and names, missing labels or owner, replicas in
a Deployment, and pods beyond the *restricted* Pod Security Standard. Templates are ours and tested; this is the belt
to those braces, and what stands between a tenant and a stored snapshot that was tampered with.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from modelrollout import names
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import Key
from modelrollout.render.environment import Unrenderable

ALLOWED = frozenset(
    {
        ("apps/v1", "Deployment"),
        ("apps/v1", "ControllerRevision"),
        ("v1", "Service"),
        ("v1", "ConfigMap"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("policy/v1", "PodDisruptionBudget"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    },
)
"""All kinds we ever write. No Secret, no Role, nothing without a namespace."""

NAME_LABEL = "app.kubernetes.io/name"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
VERSION_LABEL = "app.kubernetes.io/version"
MANAGED_BY = names.FIELD_MANAGER

_METADATA = frozenset({"name", "namespace", "labels", "annotations", "ownerReferences"})
_SERVICE = frozenset({"selector", "ports"})
_POD = frozenset(
    {
        "affinity",
        "automountServiceAccountToken",
        "containers",
        "enableServiceLinks",
        "imagePullSecrets",
        "nodeSelector",
        "priorityClassName",
        "runtimeClassName",
        "securityContext",
        "serviceAccountName",
        "terminationGracePeriodSeconds",
        "tolerations",
        "topologySpreadConstraints",
        "volumes",
    },
)
_CONTAINER = frozenset(
    {
        "args",
        "command",
        "env",
        "envFrom",
        "image",
        "imagePullPolicy",
        "lifecycle",
        "livenessProbe",
        "name",
        "ports",
        "readinessProbe",
        "resources",
        "securityContext",
        "startupProbe",
        "volumeMounts",
    },
)
_POD_SECURITY = frozenset(
    {
        "runAsNonRoot",
        "runAsUser",
        "runAsGroup",
        "fsGroup",
        "fsGroupChangePolicy",
        "supplementalGroups",
        "seccompProfile",
    },
)
_CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_VOLUMES = frozenset({"configMap", "emptyDir", "image", "persistentVolumeClaim", "secret"})
_PORT = frozenset({"name", "containerPort", "protocol"})
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The ModelDeployment that everything we write belongs to."""

    key: Key
    uid: str

    @property
    def reference(self) -> dict[str, object]:
        return {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": self.key.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }

    @property
    def labels(self) -> dict[str, str]:
        return {
            NAME_LABEL: self.key.name,
            MANAGED_BY_LABEL: MANAGED_BY,
            names.DEPLOYMENT_LABEL: self.key.name,
        }


def is_label_value(text: str) -> bool:
    """Whether Kubernetes takes the text as the value of a label; empty is legal there, of no use to us."""
    return bool(text) and _LABEL_VALUE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, init=False)
class Manifest:
    """An object that we may apply. Only `checked` makes one."""

    api_version: str
    kind: str
    name: str
    document: Fragment

    @classmethod
    def checked(cls, document: object, owner: Owner) -> Self:
        """The document as a manifest of this owner; Unrenderable says what is wrong with it."""
        body = _object(document, "the document")
        api_version, kind = body.get("apiVersion"), body.get("kind")
        if (api_version, kind) not in ALLOWED:
            raise Unrenderable(f"{api_version} {kind} is no kind of ours to write.")
        where = str(kind)
        metadata = _object(body.get("metadata"), f"{where}.metadata")
        _check_metadata(metadata, owner, where)
        if "status" in body:
            raise Unrenderable(f"{where}: a status is never applied.")
        if kind == "Deployment":
            _check_deployment(_object(body.get("spec"), f"{where}.spec"), owner)
        elif kind == "ControllerRevision":
            data = _object(body.get("data"), f"{where}.data")
            _check_pod_template(data.get("podTemplate"), owner, f"{where}.data.podTemplate")
        elif kind == "Service":
            _check_service(_object(body.get("spec"), f"{where}.spec"), owner)
        elif kind == "HTTPRoute":
            _check_route(_object(body.get("spec"), f"{where}.spec"), owner)
        elif kind == "HorizontalPodAutoscaler":
            spec = _object(body.get("spec"), f"{where}.spec")
            target = _object(spec.get("scaleTargetRef"), f"{where}.scaleTargetRef")
            if target.get("kind") != "Deployment" or target.get("name") != metadata["name"]:
                raise Unrenderable(f"{where}: it scales the Deployment of its own name and nothing else.")
        elif kind == "PodDisruptionBudget":
            selector = _object(_object(body.get("spec"), f"{where}.spec").get("selector"), f"{where}.selector")
            _selects_ours(selector.get("matchLabels"), owner, where)
        fragment = Fragment.of(body)
        if "\\u0000" in fragment.text and _NUL.search(fragment.text):
            raise Unrenderable(f"{where}: a text holds a NUL character, which no container can be given; remove it.")
        manifest = object.__new__(cls)
        for field, value in (
            ("api_version", api_version),
            ("kind", kind),
            ("name", metadata["name"]),
            ("document", fragment),
        ):
            object.__setattr__(manifest, field, value)
        return manifest


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Unrenderable(f"{where}: an object is wanted there.")
    return value


def _list(value: object, where: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise Unrenderable(f"{where}: a list is wanted there.")
    return value


def _only(value: Mapping[str, Any], allowed: frozenset[str], where: str) -> None:
    if beyond := sorted(set(value) - allowed):
        raise Unrenderable(f"{where}: {', '.join(beyond)} may not be set.")


def _check_metadata(metadata: Mapping[str, Any], owner: Owner, where: str) -> None:
    _only(metadata, _METADATA, f"{where}.metadata")
    name = metadata.get("name")
    ours = isinstance(name, str) and (name == owner.key.name or name.startswith(f"{owner.key.name}-"))
    if not ours or len(str(name)) > 63:
        raise Unrenderable(f"{where}: the name {name!r} does not start with {owner.key.name!r}, or is too long.")
    if metadata.get("namespace") != owner.key.namespace:
        raise Unrenderable(f"{where}: the namespace {metadata.get('namespace')!r} is not the owner's.")
    if metadata.get("ownerReferences") != [owner.reference]:
        raise Unrenderable(f"{where}: its owner is not the ModelDeployment alone.")
    _check_labels(metadata.get("labels"), owner, where)


def _check_labels(labels: object, owner: Owner, where: str) -> None:
    found = _object(labels, f"{where}.labels")
    if any(found.get(key) != value for key, value in owner.labels.items()):
        raise Unrenderable(f"{where}: labels of ours are missing.")
    for key, value in found.items():
        if not isinstance(value, str) or _LABEL_VALUE.fullmatch(value) is None:
            raise Unrenderable(f"{where}: the label {key} has a value that Kubernetes does not take.")


def _selects_ours(selector: object, owner: Owner, where: str) -> None:
    if _object(selector, f"{where}.selector").get(names.DEPLOYMENT_LABEL) != owner.key.name:
        raise Unrenderable(f"{where}: it selects pods that are not this ModelDeployment's.")


def _check_deployment(spec: Mapping[str, Any], owner: Owner) -> None:
    if "replicas" in spec:
        raise Unrenderable("Deployment: spec.replicas is never applied; replicas are written through /scale.")
    selector = _object(_object(spec.get("selector"), "Deployment.spec.selector").get("matchLabels"), "matchLabels")
    _selects_ours(selector, owner, "Deployment")
    template = _check_pod_template(spec.get("template"), owner, "Deployment.spec.template")
    labels = template["metadata"]["labels"]
    if any(labels.get(key) != value for key, value in selector.items()):
        raise Unrenderable("Deployment: its selector does not match its own pods.")


def _check_pod_template(template: object, owner: Owner, where: str) -> Mapping[str, Any]:
    body = _object(template, where)
    _only(body, frozenset({"metadata", "spec"}), where)
    metadata = _object(body.get("metadata"), f"{where}.metadata")
    _only(metadata, frozenset({"labels", "annotations"}), f"{where}.metadata")
    _check_labels(metadata.get("labels"), owner, where)
    pod = _object(body.get("spec"), f"{where}.spec")
    _only(pod, _POD, "pod")
    if pod.get("automountServiceAccountToken") is not False:
        raise Unrenderable("pod: automountServiceAccountToken must be false.")
    security = _object(pod.get("securityContext"), "pod.securityContext")
    _only(security, _POD_SECURITY, "pod.securityContext")
    if security.get("runAsNonRoot") is not True or security.get("runAsUser") == 0:
        raise Unrenderable("pod.securityContext: pods run as another user than root; set runAsUser to 1 or more.")
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        raise Unrenderable("pod.securityContext: seccompProfile must be RuntimeDefault.")
    for volume in _list(pod.get("volumes", []), "pod.volumes"):
        _check_volume(_object(volume, "pod.volumes[]"))
    containers = _list(pod.get("containers"), "pod.containers")
    if len(containers) != 1:
        raise Unrenderable("pod: one container, the server.")
    _check_container(_object(containers[0], "container"))
    return body


def _check_volume(volume: Mapping[str, Any]) -> None:
    sources = set(volume) - {"name"}
    if len(sources) != 1 or not sources <= _VOLUMES:
        raise Unrenderable(
            f"volume {volume.get('name')!r}: {', '.join(sorted(sources)) or 'nothing'} is no source we mount; "
            f"use one of {', '.join(sorted(_VOLUMES))}.",
        )


def _check_container(container: Mapping[str, Any]) -> None:
    _only(container, _CONTAINER, "container")
    if container.get("securityContext") != _CONTAINER_SECURITY:
        raise Unrenderable("container.securityContext: no privilege escalation, no capabilities, nothing else.")
    for port in _list(container.get("ports", []), "container.ports"):
        _only(_object(port, "container.ports[]"), _PORT, "container.ports[]")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        for handler in _handlers(container.get(probe)):
            if "host" in handler:
                raise Unrenderable(f"container.{probe}: a host is not allowed; probes ask the pod itself.")
    if set(_object(container.get("lifecycle", {}), "container.lifecycle")) - {"preStop"}:
        raise Unrenderable("container.lifecycle: preStop only.")


def _handlers(probe: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(probe, dict):
        yield from (value for value in probe.values() if isinstance(value, dict))


def _check_service(spec: Mapping[str, Any], owner: Owner) -> None:
    _only(spec, _SERVICE, "Service.spec")
    _selects_ours(spec.get("selector"), owner, "Service")


def _check_route(spec: Mapping[str, Any], owner: Owner) -> None:
    for rule in _list(spec.get("rules"), "HTTPRoute.spec.rules"):
        body = _object(rule, "HTTPRoute.spec.rules[]")
        _only(body, frozenset({"matches", "timeouts", "backendRefs"}), "HTTPRoute.spec.rules[]")
        for backend in _list(body.get("backendRefs"), "HTTPRoute.backendRefs"):
            found = _object(backend, "HTTPRoute.backendRefs[]")
            _only(found, frozenset({"name", "port", "weight"}), "HTTPRoute.backendRefs[]")
            if not str(found.get("name")).startswith(f"{owner.key.name}-"):
                raise Unrenderable("HTTPRoute: a backend is not a Service of this ModelDeployment.")
