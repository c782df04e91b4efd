"""Writes docs/reference/: `python -m docs.generate`, or `--check`, which writes nothing and says what is stale.

Each page is a pure function of its source of truth: the CRD, the reasons, the settings, the operator's own metrics.
"""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry

from modelrollout.decide.evidence import begin
from modelrollout.domain import conditions
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.conditions import GIVEN_UP, Reason
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.judgement import Action, Figures, Judgement, MetricVerdict, Verdict
from modelrollout.domain.model_deployment import Key
from modelrollout.domain.tally import Tally
from modelrollout.settings import PREFIX, Settings
from modelrollout.telemetry import Telemetry

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
CRD = ROOT / "crds" / "modelrollout.dev_modeldeployments.yaml"
Schema = Mapping[str, Any]

INTRODUCTION = """\
# ModelDeployment

<!-- Generated from crds/modelrollout.dev_modeldeployments.yaml by docs/generate.py. Do not edit. -->

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


def reasons() -> str:
    """One table per group of domain/conditions.py, in its order."""
    parts = [REASONS]
    groups = _reason_groups()
    for title in dict.fromkeys(groups.values()):
        parts += [f"## {title[0].upper()}{title[1:]}\n", "| Reason | Meaning |", "|---|---|"]
        for reason in Reason:
            if groups[reason.name] == title:
                remembered = " A candidate given up for it is not tried again by itself." if reason in GIVEN_UP else ""
                parts.append(f"| `{reason}` | {_cell(reason.meaning)}{remembered} |")
        parts.append("")
    return "\n".join(parts)


def _reason_groups() -> dict[str, str]:
    """The comment above each reason in its source: the group it belongs to."""
    title, groups = "", {}
    for line in inspect.getsource(conditions.Reason).splitlines():
        if line.startswith("    # "):
            title = line.removeprefix("    # ")
        elif found := re.match(r"    ([A-Z_]+) = ", line):
            groups[found[1]] = title
    return groups


def settings() -> str:
    """Every field of Settings with the docstring below it."""
    meanings = _field_docstrings()
    parts = [SETTINGS, "| Variable | Default | Meaning |", "|---|---|---|"]
    for field in fields(Settings):
        assert field.default is not MISSING
        parts.append(f"| `{PREFIX}{field.name.upper()}` | {_default(field.default)} | {_cell(meanings[field.name])} |")
    return "\n".join([*parts, ""])


def _field_docstrings() -> dict[str, str]:
    (body,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(body, ast.ClassDef)
    told: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                told[name] = text
    return told


def _default(value: object) -> str:
    match value:
        case None | ():
            return ""
        case timedelta():
            return f"`{value.total_seconds():g}s`"
        case StrEnum():
            return f"`{value.value}`"
        case _:
            return f"`{value}`"


def metrics() -> str:
    """What a scrape of an operator shows that has done each thing once."""
    parts = [METRICS, "| Series | Type | Labels | |", "|---|---|---|---|"]
    for family in _busy_telemetry().registry.collect():
        if not family.samples:
            raise ValueError(f"{family.name}: not seen; let _busy_telemetry() do what makes it")
        names = [sample.name for sample in family.samples if not sample.name.endswith("_created")]
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        told = ", ".join(f"`{label}`" for label in labels)
        name = family.name if family.type == "histogram" else names[0]
        parts.append(f"| `{name}` | {family.type} | {told} | {_cell(family.documentation)} |")
    return "\n".join([*parts, ""])


def _busy_telemetry() -> Telemetry:
    telemetry = Telemetry(CollectorRegistry())
    telemetry.walked("success", 0.01)
    telemetry.walked("error", 0.01)
    telemetry.watch_queue(lambda: 0, lambda: 0)
    telemetry.taken(0.01)
    telemetry.requested("GET", 200)
    telemetry.queried(0.01, failed=True)
    telemetry.asked_provider("default", "ok", 0.01)
    telemetry.watch_breakers(lambda: {"default": "closed"})
    telemetry.watch_lease("modelrollout", lambda: True)
    telemetry.watch_ages(lambda: {"pods": timedelta(seconds=1)})
    telemetry.lagged(0.0)
    key = Key(namespace="shop", name="sentiment")
    ready = {"type": "Ready", "status": "True"}
    rollout = {"candidate": "b", "weight": 10}
    telemetry.saw_status(key, Fragment.of({"phase": "Progressing", "rollout": rollout, "conditions": [ready]}))
    telemetry.judged(key, *_a_look())
    telemetry.announced(key, Reason.REGRESSED, "Rollback")
    return telemetry


def _a_look() -> tuple[Judgement, Evidence]:
    evidence = begin(AnalysisSettings(), stable="a", candidate="b", attempt="1", steps=1, at=0.0)
    figures = Figures(
        metric="errors",
        edge=None,
        value=0.0,
        stable_value=0.0,
        threshold=0.0,
        counts=Tally(),
        span=1.0,
        log_evidence=0.0,
        log_limit=4.6,
        query="",
    )
    verdict = MetricVerdict(metric="errors", verdict=Verdict.LOW_SAMPLE, reason="notProven")
    return Judgement(
        action=Action.CONTINUE,
        reason="",
        verdict=Verdict.LOW_SAMPLE,
        verdicts=(verdict,),
        culprit="errors",
        figures=figures,
    ), evidence


REASONS = """\
# Reasons

<!-- Generated from operator/modelrollout/domain/conditions.py by docs/generate.py. Do not edit. -->

A reason is the same word wherever it is met: in a condition, in an event, in `status.decisions`, in
`status.rollout.aborted` and as a label of a metric. What to do about the ones that stop a rollout is in
[the guide for people on call](../guides/oncall.md), which also lists [why a step
holds](../guides/oncall.md#it-holds) and [what is remarkable](../guides/oncall.md#flags) in `status.analysis`.
"""

SETTINGS = f"""\
# Settings of the operator

<!-- Generated from operator/modelrollout/settings.py by docs/generate.py. Do not edit. -->

The operator reads environment variables, once, at its start. An absent or empty one means the default. One that begins
with `{PREFIX}` and is not in this list, or has a value that cannot be used, ends the process with status 64 and a
line that says what to write. The chart sets them from its values; `extraEnv` sets those for which it has no value.
"""

METRICS = """\
# The operator's own metrics

<!-- Generated from operator/modelrollout/telemetry.py and fleet.py by docs/generate.py. Do not edit. -->

At `/metrics` of port 8080. What is told of a ModelDeployment comes from the replica that leads; write `max by` where
two may speak for a moment. What is told of the analysis is there while both revisions get traffic, and until a
candidate that was taken back has drained. A histogram has `_bucket`, `_sum` and `_count`. Nothing out of a request or
an answer of a model is ever a label.
"""

PAGES: Mapping[str, Callable[[], str]] = {
    "modeldeployment.md": model_deployment,
    "reasons.md": reasons,
    "settings.md": settings,
    "metrics.md": metrics,
}


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
            print(f"{path.relative_to(ROOT)} is not current: run `make generate`")
        return 1 if old else 0
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
