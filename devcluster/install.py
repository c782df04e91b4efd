"""Installs our operator as users do, from manifests/install.yaml, with what only this cluster knows patched in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from devcluster.images import ImageArchive, build_image
from devcluster.progress import Progress

REPOSITORY = Path(__file__).parents[1]
CRDS = REPOSITORY / "crds"
MANIFESTS = REPOSITORY / "manifests" / "install.yaml"
DOCKERFILE = REPOSITORY / "Dockerfile"
IMAGE_NAME = "localhost/modelrollout/operator"
IMAGE_INPUTS = (
    "operator",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements.lock",
    "requirements-build.lock",
)
"""What the Dockerfile copies; nothing else takes part in the image's hash."""
NAMESPACE = "modelrollout-system"
URL_SETTING = "MODELROLLOUT_PROMETHEUS_URL"
CRD_KIND = "CustomResourceDefinition"

Manifest = dict[str, Any]


def missing() -> list[str]:
    """What an installation needs and this checkout does not have (yet)."""
    needed = (*IMAGE_INPUTS, DOCKERFILE.name, str(MANIFESTS.relative_to(REPOSITORY)))
    return [name for name in needed if not (REPOSITORY / name).exists()]


def operator_image(progress: Progress | None = None) -> ImageArchive:
    """Our operator's image, from the Dockerfile we ship."""
    return build_image(IMAGE_NAME, REPOSITORY, DOCKERFILE, include=IMAGE_INPUTS, progress=progress)


def settings(prometheus_url: str) -> dict[str, str]:
    """The operator's settings that only this cluster knows."""
    return {URL_SETTING: prometheus_url}


def our_crds() -> list[Manifest]:
    """The CRDs of crds/, if any."""
    return [document for path in sorted(CRDS.glob("*.yaml")) for document in _documents(path)]


def operator_manifests(image: str, settings: dict[str, str]) -> list[Manifest]:
    """install.yaml, patched; its CRDs are left out, because `our_crds` are applied first."""
    documents = [document for document in _documents(MANIFESTS) if document["kind"] != CRD_KIND]
    return in_order([with_image_and_settings(document, image, settings) for document in documents])


def in_order(documents: list[Manifest]) -> list[Manifest]:
    """Namespaces first: everything else may live in them."""
    return sorted(documents, key=lambda document: document["kind"] != "Namespace")


def with_image_and_settings(document: Manifest, image: str, settings: dict[str, str]) -> Manifest:
    """The same manifest; in a Deployment every container gets the image and the environment settings."""
    if document["kind"] != "Deployment":
        return document
    template = document["spec"]["template"]
    containers = [
        container
        | {
            "image": image,
            "imagePullPolicy": "Never",
            "env": with_settings(container.get("env", []), settings),
        }
        for container in template["spec"]["containers"]
    ]
    pod = template["spec"] | {"containers": containers}
    return document | {"spec": document["spec"] | {"template": template | {"spec": pod}}}


def with_settings(env: list[Manifest], settings: dict[str, str]) -> list[Manifest]:
    """A container's env with values replaced or added."""
    others = [entry for entry in env if entry["name"] not in settings]
    return others + [{"name": name, "value": value} for name, value in settings.items()]


def deployments(documents: list[Manifest]) -> list[str]:
    """The names of the Deployments among manifests."""
    return [document["metadata"]["name"] for document in documents if document["kind"] == "Deployment"]


def _documents(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]
