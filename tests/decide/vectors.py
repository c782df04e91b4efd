"""Runs a file of vectors of the analysis: `python -m tests.decide.vectors [FILE]`.

Without a file it runs the repository's copy. Exit status 0: all hold. 1: some do not, each is named with what
was expected and what was found. 2: the file cannot be read, or is no file of vectors. `make` turns both into 2.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from tests.decide.vector_kinds import KINDS, Vector

OURS = Path(__file__).parent / "analysis_vectors.json"
MISSED, UNREADABLE = 1, 2


class NoVectorsError(Exception):
    """The file is none of vectors; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Numbers agree where |found - expected| <= abs + rel * |expected|."""

    rel: float
    abs: float

    def accepts(self, expected: float, found: float) -> bool:
        return found == expected or abs(found - expected) <= self.abs + self.rel * abs(expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    tolerance: Tolerance
    vectors: tuple[Vector, ...]


def read(path: Path) -> Document:
    """The file's vectors, each of a kind that can be run; NoVectorsError where it is not so."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NoVectorsError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise NoVectorsError(f"{path}: is no JSON: {error}") from error
    return parsed(document, str(path))


def parsed(document: Any, path: str) -> Document:
    if not isinstance(document, dict) or not isinstance(document.get("vectors"), list):
        raise NoVectorsError(f"{path}: has no list named vectors")
    tolerance = document.get("tolerance")
    if not isinstance(tolerance, dict) or not all(_is_size(tolerance.get(name)) for name in ("rel", "abs")):
        raise NoVectorsError(f"{path}: tolerance: write numbers rel and abs, 0 or more")
    for i, vector in enumerate(document["vectors"]):
        if not isinstance(vector, dict) or not isinstance(vector.get("id"), str):
            raise NoVectorsError(f"{path}: vectors[{i}].id: give each vector a name")
        named = f"{path}: {vector['id']}"
        if not isinstance(vector.get("kind"), str) or vector["kind"] not in KINDS:
            raise NoVectorsError(f"{named}: unknown kind {vector.get('kind')!r}; known: {', '.join(KINDS)}")
        if not isinstance(vector.get("expect"), dict) or not vector["expect"]:
            raise NoVectorsError(f"{named}: expect: name at least one result")
    return Document(tolerance=Tolerance(rel=tolerance["rel"], abs=tolerance["abs"]), vectors=tuple(document["vectors"]))


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def misses(vector: Vector, tolerance: Tolerance) -> tuple[str, ...]:
    """Where the vector does not hold, each with expected and found; empty where it does."""
    try:
        found = KINDS[vector["kind"]](vector)
    except Exception as error:  # noqa: BLE001 -- whatever stops a vector is a miss of this vector, and is said
        return (f"expected {vector['expect']!r}, found no result: {type(error).__name__}: {error}",)
    return tuple(_differences(vector["expect"], found, "", tolerance))


def _differences(expected: Any, found: Any, path: str, tolerance: Tolerance) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, Mapping):
        for key, value in expected.items():
            yield from _differences(
                value, found.get(key, "nothing of this name"), f"{path}.{key}".strip("."), tolerance
            )
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (a, b) in enumerate(zip(expected, found, strict=True)):
            yield from _differences(a, b, f"{path}[{i}]", tolerance)
    elif not _agree(expected, found, tolerance):
        yield f"{path}: expected {expected!r}, found {found!r}"


def _agree(expected: Any, found: Any, tolerance: Tolerance) -> bool:
    """Measures agree within the tolerance; what is counted, said or decided agrees exactly."""
    if isinstance(found, float) and isinstance(expected, int | float) and not isinstance(expected, bool):
        return not isnan(found) and tolerance.accepts(expected, found)
    return type(found) is type(expected) and bool(found == expected)


def main(arguments: list[str]) -> int:
    path = Path(arguments[0]) if arguments else OURS
    try:
        document = read(path)
    except NoVectorsError as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    failed = 0
    for vector in document.vectors:
        missed = misses(vector, document.tolerance)
        failed += bool(missed)
        for text in missed:
            print(f"{vector['id']}: {text}")
    print(f"{len(document.vectors) - failed} passed, {failed} failed")
    return MISSED if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
