"""Text out of our own templates, and the text back into a document. Distrusted on the way.

Pure after `Environment.load()`, which reads the packaged templates once. No template comes out of a ModelDeployment.
"""

import json
import re
from collections.abc import Hashable, Mapping
from importlib import resources
from itertools import pairwise
from typing import Any

import jinja2
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from modelrollout.domain.conditions import Reason
from modelrollout.errors import UserMustFix

SUFFIX = ".yaml.j2"

# What YAML folds, refuses or strips when it stands there raw, though JSON lets it: DEL and C1 controls (NEL is a line
# break), the Unicode line separators, the byte order mark, non-characters.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Unrenderable(UserMustFix):
    """What the spec asks for cannot be put into a manifest of ours."""

    reason = Reason.INVALID_SPEC


class _Loader(yaml.CSafeLoader):
    """Scalars as JSON reads them (no `no`, dates, octals), and no key twice."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- PyYAML's own attribute

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = {key.value for key, _ in node.value}
        if len(seen) != len(node.value):
            twice = sorted(key.value for key, _ in node.value)
            again = next(a for a, b in pairwise(twice) if a == b)
            raise yaml.constructor.ConstructorError(None, None, f"the key {again!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_Loader.add_constructor(
    "tag:yaml.org,2002:map",
    lambda loader, node: loader.construct_mapping(node, deep=True),  # type: ignore[arg-type, no-untyped-call, unused-ignore]
)
for _tag, _pattern, _first in (
    ("null", r"null$", ["n"]),
    ("bool", r"(?:true|false)$", ["t", "f"]),
    ("int", r"-?(?:0|[1-9][0-9]*)$", list("-0123456789")),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", list("-0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def to_json(value: object, **_: object) -> str:
    r"""JSON that is YAML too and says the same there.

    >>> to_json("no")
    '"no"'
    >>> print(to_json(chr(0x2028)))
    "\u2028"
    """
    text = json.dumps(
        value,
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        separators=(", ", ": "),
        default=_unwritable,
    )
    if _SURROGATE.search(text):
        raise Unrenderable("A text holds half of a surrogate pair; write it as proper Unicode.")
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _unwritable(value: object) -> str:
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises, and says which name is undefined
    raise TypeError(f"{type(value).__name__} is not JSON")


def read_document(text: str) -> Any:
    """One YAML document, keys unique, scalars as in JSON."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 -- a CSafeLoader, see _Loader


class Environment:
    """Our templates, compiled."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._jinja = ImmutableSandboxedEnvironment(
            loader=jinja2.DictLoader(sources),
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # YAML, not HTML; every value goes through tojson
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._jinja.policies["json.dumps_function"] = to_json
        self._templates = {name: self._jinja.get_template(name) for name in sources}

    @classmethod
    def load(cls) -> "Environment":
        return cls(packaged())

    def document(self, template: str, /, **facts: object) -> Any:
        """The template filled in and read back; Unrenderable where that does not work."""
        try:
            return read_document(self._templates[template + SUFFIX].render(facts))
        except (yaml.YAMLError, jinja2.TemplateError, ValueError) as error:
            raise Unrenderable(f"{template} cannot be rendered: {error}") from error


def packaged() -> dict[str, str]:
    """The source of every packaged template."""
    folder = resources.files("modelrollout.render") / "templates"
    return {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.name.endswith(SUFFIX)}
