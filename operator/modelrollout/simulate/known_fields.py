"""Fields of a ModelDeployment file that the API server would refuse: kubectl does, and a file has no API server.

`fields.yaml` has the names of the CRD's fields, nested as they are; nothing below a name means that anything may be
there. It is written from the CRD, since the CRD itself is no part of the package.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_Known = Mapping[str, Any]


@cache
def known_fields() -> _Known:
    text = files("modelrollout.simulate").joinpath("fields.yaml").read_text(encoding="utf-8")
    known: _Known = yaml.safe_load(text)
    return known


def unknown_fields(body: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for each: where it is, and what may have been meant. Status is the operator's, and not looked at."""
    return tuple(_unknown({name: value for name, value in body.items() if name != "status"}, known_fields(), ""))


def _unknown(value: object, known: _Known, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            here = f"{path}.{name}" if path else str(name)
            if name not in known:
                yield f"{here}: is no field; {_meant(str(name), known)}"
            elif known[name] is not None:
                yield from _unknown(below, known[name], here)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, each in enumerate(value):
            yield from _unknown(each, known, f"{path}[{index}]")


def _meant(name: str, known: _Known) -> str:
    near = get_close_matches(name.lower(), [each.lower() for each in known], n=1)
    meant = next((each for each in known if each.lower() in near), None)
    return f"did you mean {meant}?" if meant else f"write one of {', '.join(known)}"
