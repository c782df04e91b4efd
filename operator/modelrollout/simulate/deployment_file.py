"""A ModelDeployment out of a file, read as the API server and the operator read it: the same errors and defaults."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from modelrollout.domain.model_deployment import InvalidSpec, ModelDeployment
from modelrollout.domain.parse import parse
from modelrollout.names import KIND
from modelrollout.simulate.known_fields import unknown_fields

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unreadable(ValueError):  # noqa: N818 -- what is wrong with a file, told to whoever named it
    """Names the file and what to write instead."""


def documents(path: str) -> list[Any]:
    """All YAML (or JSON) documents of a file; `-` is standard input."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        return [each for each in yaml.load_all(text, Loader=_Loader) if each is not None]
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise Unreadable(f"{path}: is not YAML: {error}") from error


def stored_objects(path: str, namespace: str | None = None, name: str | None = None) -> list[Mapping[str, Any]]:
    """The ModelDeployments of the file, or of its lists, that have this namespace and name (None: whichever)."""
    listed = [each for document in documents(path) for each in _members(document)]
    found = [each for each in listed if each.get("kind") == KIND and _is(each, namespace, name)]
    if not found:
        asked = f" {name}" if name else ""
        raise Unreadable(f"{path}: has no {KIND}{asked}; write one with `kind: {KIND}`")
    return found


def read_deployment(path: str, *, name: str | None = None) -> ModelDeployment:
    """The one ModelDeployment of a file, or the one of this name, with the API server's defaults."""
    found = stored_objects(path, name=name)
    if len(found) > 1:
        raise Unreadable(f"{path}: has {len(found)} {KIND}s; leave one in it")
    return deployment_of(found[0], path)


def deployment_of(body: Mapping[str, Any], origin: str) -> ModelDeployment:
    """Unreadable where a field is unknown, too: left out silently, it would be another spec that is answered for."""
    unknown = unknown_fields(body)
    if unknown:
        raise Unreadable("\n".join(f"{origin}: {sentence}" for sentence in unknown))
    desired = parse(body)
    if isinstance(desired, InvalidSpec):
        raise Unreadable(f"{origin}: {desired.message}")
    return desired


def _members(document: object) -> list[Mapping[str, Any]]:
    """A list as kubectl writes it has items; everything else is itself."""
    if not isinstance(document, Mapping):
        return []
    items = document.get("items")
    return [each for each in items if isinstance(each, Mapping)] if isinstance(items, list) else [document]


def _is(body: Mapping[str, Any], namespace: str | None, name: str | None) -> bool:
    metadata = body.get("metadata")
    here = metadata if isinstance(metadata, Mapping) else {}
    return (namespace is None or here.get("namespace", namespace) == namespace) and name in (None, here.get("name"))
