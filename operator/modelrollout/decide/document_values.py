"""Values of a document, one kind at a time. TypeError for another kind, ValueError for a damaged vector. Pure."""

import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence

from modelrollout.domain.tally import Tally


def vector_out(vector: Sequence[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}d", *vector)).decode()


def vector_in(value: object) -> tuple[float, ...]:
    raw = b64decode(text(value), validate=True)
    return struct.unpack(f"<{len(raw) // 8}d", raw)


def rows(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{value!r} is no list")
    return value


def mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no mapping")
    return value


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def optional(value: object) -> float | None:
    return None if value is None else number(value)


def pair_in(row: object) -> tuple[float, float]:
    first, second = rows(row)
    return number(first), number(second)


def tally_out(tally: Tally) -> list[float]:
    return [tally.x_canary, tally.n_canary, tally.x_stable, tally.n_stable]


def tally_in(row: object) -> Tally:
    xc, nc, xs, ns = (number(each) for each in rows(row))
    return Tally(x_canary=xc, n_canary=nc, x_stable=xs, n_stable=ns)
