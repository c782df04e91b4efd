"""The CRD as data: its rules, its fields, and what its structure (CEL aside) says of a document."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CRD = ROOT / "crds" / "modelrollout.dev_modeldeployments.yaml"
HERE = Path(__file__).parent
Schema = Mapping[str, Any]


@cache
def definition() -> Schema:
    read: Schema = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    return read


def version() -> Schema:
    (only,) = definition()["spec"]["versions"]
    found: Schema = only
    return found


def root() -> Schema:
    found: Schema = version()["schema"]["openAPIV3Schema"]
    return found


def fields(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema with its path: `spec.rollout.steps[]`, `spec.runtime.nodeSelector{}`."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from fields(inner, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from fields(schema["additionalProperties"], f"{path}{{}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    path: str
    rule: str
    message: str
    expression: str | None


def rules() -> Iterator[Rule]:
    for path, schema in fields(root(), ""):
        for rule in schema.get("x-kubernetes-validations", ()):
            yield Rule(
                path=path, rule=rule["rule"], message=rule.get("message", ""), expression=rule.get("messageExpression")
            )


def cases(folder: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted((HERE / folder).glob("*.yaml"))}


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def header(path: Path, name: str) -> str | None:
    """The text after `# <name>: ` at the top of a file."""
    start = f"# {name}: "
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix(start) for line in lines if line.startswith(start)), None)


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def problems(schema: Schema, value: object, path: str = "") -> Iterator[str]:
    """What the structure says against a value; the rules (CEL) are the API server's own."""
    if "type" in schema:
        right = isinstance(value, _TYPES[schema["type"]]) and (schema["type"] == "boolean" or value is not True)
        if not right:
            yield f"{path}: {value!r} is not of type {schema['type']}"
            return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if isinstance(value, str):
        yield from _text_problems(schema, value, path)
    elif isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)) or len(value) < schema.get("minItems", 0):
            yield f"{path}: {len(value)} items"
        for index, each in enumerate(value):
            yield from problems(schema.get("items", {}), each, f"{path}[{index}]")
    elif isinstance(value, dict):
        yield from _object_problems(schema, value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high or (schema.get("exclusiveMinimum") and value == low):
            yield f"{path}: {value} is not from {low} to {high}"


def _text_problems(schema: Schema, value: str, path: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{path}: {len(value)} characters"
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield f"{path}: {value!r} does not match {schema['pattern']}"


def _object_problems(schema: Schema, value: Mapping[str, object], path: str) -> Iterator[str]:
    inner, rest = schema.get("properties", {}), schema.get("additionalProperties")
    if len(value) > schema.get("maxProperties", len(value)):
        yield f"{path}: {len(value)} properties"
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: is missing"
    for name, each in value.items():
        if name in inner:
            yield from problems(inner[name], each, f"{path}.{name}")
        elif rest is not None:
            yield from problems(rest, each, f"{path}.{name}")
        elif (inner or schema.get("type") == "object") and path:  # metadata of the root is the API server's
            yield f"{path}.{name}: is not known"
