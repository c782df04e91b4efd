"""Random specs that fit the CRD's structure; its rules (CEL) refuse some of them. Deterministic for one seed."""

import random
import re
from typing import Any

from tests.crds.schema import Schema, problems, root

_MATCHES = re.compile(r"[^!]self\.matches\('([^']+)'\)")
POOL = [
    *("3", "1.10", "a", "b", "sentiment", "http", "cpu", "server", "model", "A", "B_C", "TOKEN", "x y", ""),
    *("quality", "errors", "latency", "feedback_total", "wait_seconds_bucket"),
    *("10m", "0s", "90s", "1h30m", "5s", "2 days", "example/server:1", "registry.example/a@sha256:0", "https://a"),
    *("pvc://models/3", "pvc://models", "s3://a/b", "pvc://m/../x", "*.example.com", "a.example.com", "10.0.0.1"),
    *("/data", "/mnt/models", "data/a", "metadata.name", "1Gi", "500m", "kubernetes.io/hostname", "example.com/gpu"),
]
RESOURCES = ["cpu", "memory", "nvidia.com/gpu", "mem"]
LIKELY = 0.3


def a_spec(chance: random.Random) -> dict[str, Any]:
    schema = root()["properties"]["spec"]
    while True:
        spec: dict[str, Any] = _value(schema, "spec", chance)
        if not list(problems(schema, spec, "spec")):
            return spec


def _value(schema: Schema, path: str, chance: random.Random) -> Any:
    if path.endswith(".pause"):
        return chance.choice([True, "30m", "5s"])
    if "enum" in schema:
        return chance.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, path, chance)
    if kind == "array":
        count = chance.choice([0, 1, 1, 2, 3])
        return [_value(schema["items"], f"{path}[]", chance) for _ in range(min(count, schema["maxItems"]))]
    if kind == "boolean":
        return chance.random() < 0.5
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 100)
        return chance.choice([low, high, low + 1, 5, 25, 50] if kind == "integer" else [0, 1, 0.01, 1.5, 10, high])
    if schema.get("x-kubernetes-int-or-string"):
        return chance.choice([1, 8080, "500m", "1Gi", "http"])
    return _text(schema, path, chance)


def _text(schema: Schema, path: str, chance: random.Random) -> str:
    fitting = [text for text in POOL if not list(problems(schema, text, path))]
    ruled = " ".join(rule["rule"] for rule in schema.get("x-kubernetes-validations", ()))
    patterns = _MATCHES.findall(f" {ruled}")
    right = [text for text in fitting if all(re.search(pattern, text) for pattern in patterns)]
    return chance.choice(right if right and chance.random() < 0.95 else fitting)


def _object(schema: Schema, path: str, chance: random.Random) -> dict[str, Any]:
    inner = schema.get("properties", {})
    if not inner:
        keys = RESOURCES if path.endswith(("requests", "limits")) else ["disktype", "example.com/pool"]
        value = schema["additionalProperties"]
        return {key: _value(value, f"{path}{{}}", chance) for key in keys if chance.random() < 0.4}
    needed = schema.get("required", ())
    wanted = [name for name in inner if name in needed or chance.random() < LIKELY]
    return {name: _value(inner[name], f"{path}.{name}", chance) for name in wanted}
