"""Rewrites the names of the CRD's fields, for the simulation: `python -m tests.simulate.write_fields`."""

from collections.abc import Mapping
from typing import Any

import yaml

from tests.crds.schema import root
from tests.repository.tree import PACKAGE

FIELDS = PACKAGE / "simulate" / "fields.yaml"
HEAD = "# Written by `python -m tests.simulate.write_fields` from the CRD: the names of its fields.\n"


def names_of(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of an object, or of the members of a list; None where the CRD names none."""
    named = schema.get("items", schema).get("properties")
    return {name: names_of(below) for name, below in named.items()} if named else None


def text() -> str:
    names = names_of(root()) or {}
    names["status"] = None
    return HEAD + yaml.safe_dump(names, sort_keys=False, width=120).replace(": null\n", ":\n")


if __name__ == "__main__":
    FIELDS.write_text(text(), encoding="utf-8")
