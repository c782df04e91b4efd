"""Writes the generated pages of docs/reference/: `python docs/generate_reference.py`, or `--check` for CI.

Pages are pure functions of the sources of truth; the test that runs `stale()` keeps them current.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
CRD = ROOT / "crds" / "modelrollout.dev_modeldeployments.yaml"
Schema = Mapping[str, Any]

INTRODUCTION = """\
# ModelDeployment

<!-- Generated from crds/modelrollout.dev_modeldeployments.yaml by docs/generate_reference.py. Do not edit. -->

Group `modelrollout.dev`, version `v1alpha1`, namespaced, short name `md`, category `ml`. The same text is in
`kubectl explain md.spec --recursive`.

`spec.model` and `spec.runtime` make the **revision**: a change of either starts a rollout. Everything else is applied
in place. The API server refuses unknown fields when it is asked to (`kubectl` does by default).

The shortest one:

```yaml
apiVersion: modelrollout.dev/v1alpha1
kind: ModelDeployment
metadata: {name: sentiment}
spec:
  model: {version: "3", uri: pvc://models/sentiment/3}
  runtime: {preset: mlserver}
```

Durations are up to four numbers of up to five digits with `h`, `m`, `s` or `ms`: `90s`, `10m`, `1h30m`.
"""


def model_deployment() -> str:
    """One table per object, in the order of the CRD; rules as a list below."""
    crd = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    root = version["schema"]["openAPIV3Schema"]
    parts = [INTRODUCTION, "## metadata\n", *_rules(root, "")]
    for name in ("spec", "status"):
        parts += _section(root["properties"][name], name, 2)
    parts += ["## Columns of `kubectl get md`\n", *_columns(version["additionalPrinterColumns"])]
    return "\n".join(parts)


def _section(schema: Schema, path: str, level: int) -> Iterator[str]:
    yield f"{'#' * min(level, 4)} {path}\n"
    if text := schema.get("description"):
        yield f"{text}\n"
    needed = schema.get("required", ())
    inner: Mapping[str, Schema] = schema.get("properties", {})
    if inner:
        yield "| Field | Type | Default | |"
        yield "|---|---|---|---|"
        for name, field in inner.items():
            default = "**needed**" if name in needed else _code(field["default"]) if "default" in field else ""
            yield f"| `{name}` | {_type(field)} | {default} | {_cell(field.get('description', ''))} |"
        yield ""
    yield from _rules(schema, path)
    for name, field in inner.items():
        below = field.get("items", field)
        here = f"{path}.{name}{'[]' if 'items' in field else ''}"
        if below is not field:
            yield from _rules(field, f"{path}.{name}")
        if below.get("properties"):
            yield from _section(below, here, level + 1)
        else:
            yield from _rules(below, here)


def _rules(schema: Schema, path: str) -> Iterator[str]:
    rules = schema.get("x-kubernetes-validations", ())
    if rules:
        yield f"Refused{f' at `{path}`' if path else ''}, and what to do:\n"
        yield from (f"- {_cell(rule['message'])}" for rule in rules)
        yield ""


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return " or ".join(_code(each) for each in schema["enum"])
    kind = schema.get("type") or ("number or text" if schema.get("x-kubernetes-int-or-string") else "true or duration")
    if kind == "array":
        inner = schema["items"].get("type", "value")
        return f"list of {inner}s, at most {schema['maxItems']}"
    if "additionalProperties" in schema:
        return f"map, at most {schema['maxProperties']}"
    return f"{kind}{_bounds(schema)}"


def _bounds(schema: Schema) -> str:
    if "minimum" in schema and "maximum" in schema:
        low = f"above {schema['minimum']:g}" if schema.get("exclusiveMinimum") else f"{schema['minimum']:.10g}"
        return f", {low} to {schema['maximum']:.10g}"
    return f", at most {schema['maxLength']} characters" if "maxLength" in schema else ""


def _columns(columns: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "| Column | |"
    yield "|---|---|"
    for column in columns:
        wide = " With `-o wide` only." if column.get("priority") else ""
        yield f"| {column['name']} | {_cell(column.get('description', 'Since it was created.'))}{wide} |"
    yield ""


def _code(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
    return f"`{text}`" if value != {} else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


PAGES: Mapping[str, Callable[[], str]] = {"modeldeployment.md": model_deployment}


def stale() -> list[Path]:
    """The pages that are not what their source says."""
    return [
        path
        for name, page in PAGES.items()
        if not (path := REFERENCE / name).exists() or path.read_text(encoding="utf-8") != page()
    ]


def main(arguments: list[str]) -> int:
    """Write, or only look."""
    if "--check" in arguments:
        for path in (old := stale()):
            print(f"{path.relative_to(ROOT)} is not current: run `python docs/generate_reference.py`")
        return 1 if old else 0
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
