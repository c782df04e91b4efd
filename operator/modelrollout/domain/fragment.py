"""A piece of JSON that can be a value: immutable, hashable, compared by content. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Fragment:
    """Canonical JSON text; re-ordered keys give the same fragment.

    >>> Fragment.of({"b": 1, "a": 2}) == Fragment.of({"a": 2, "b": 1})
    True
    """

    text: str

    @classmethod
    def of(cls, value: object) -> Self:
        return cls(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))

    @property
    def value(self) -> Any:
        """A fresh copy each time: changing it changes nobody else's."""
        return json.loads(self.text)

    @property
    def mapping(self) -> Mapping[str, Any]:
        value = self.value
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, found {type(value).__name__}")
        return value


EMPTY = Fragment("{}")
