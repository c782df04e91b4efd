"""Values of a JSON body with the path that leads to them, read one kind at a time. Pure.

Everything here either returns what was asked for or raises `Wrong`, whose text begins with the path:
`spec.rollout.steps[2].weight: 120 is not …`.
"""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from modelrollout.domain.durations import WISH, duration, duration_text
from modelrollout.domain.fragment import Fragment

_SHOWN = 60
"""Longest piece of a wrong value that a message repeats."""
_FEW_DIGITS = re.compile(r"[0-9]{1,5}", re.ASCII)
"""As many as a part of a duration may have."""
_PLAIN_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?%?", re.ASCII)


class Wrong(ValueError):  # noqa: N818 -- never leaves domain.parse; a spec that is wrong is a value there
    """What is wrong with a field, beginning with its path."""


@dataclass(frozen=True, slots=True)
class Field:
    """One place in the body; `value` is None where nothing is there."""

    path: str
    value: object

    def __getitem__(self, name: str) -> "Field":
        path = f"{self.path}.{name}" if self.path else name
        return Field(path, self.mapping().get(name))

    @property
    def given(self) -> bool:
        return self.value is not None

    def wrong(self, wish: str) -> NoReturn:
        """`path: <value> <wish>`."""
        raise Wrong(f"{self.path}: {self._shown()} {wish}")

    def needed(self, wish: str) -> "Field":
        if self.value is None:
            raise Wrong(f"{self.path}: is missing; {wish}")
        return self

    def text(self) -> str:
        if not isinstance(self.value, str):
            hint = '; put it in quotes, as in "1.10"' if isinstance(self.value, (int, float)) else ""
            self.wrong(f"is not text{hint}")
        return self.value

    def matching(self, pattern: re.Pattern[str], wish: str) -> str:
        text = self.text()
        if pattern.fullmatch(text) is None:
            self.wrong(f"cannot be used; {wish}")
        return text

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`. JSON's 3.0 is one; true is none."""
        value = self.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            digits = value.removesuffix("%") if isinstance(value, str) else ""
            self.wrong(f"is not a whole number{f'; write {digits}' if _FEW_DIGITS.fullmatch(digits) else ''}")
        if value < low:
            self.wrong(f"is below {low}")
        if value > high:
            self.wrong(f"is above {high}")
        return value

    def number(self, *, seconds: bool = False) -> float:
        """`seconds`: that is what it counts, so a duration is told in seconds."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            meant = _number_meant(self.value, seconds=seconds) if isinstance(self.value, str) else ""
            self.wrong(f"is not a number{meant and f'; write {meant}'}")
        try:
            number = float(self.value)
        except OverflowError:
            self.wrong("is too large")
        if not math.isfinite(number):
            self.wrong("is not a number")
        return number

    def yes(self, *, default: bool) -> bool:
        if self.value is None:
            return default
        if not isinstance(self.value, bool):
            self.wrong("is neither true nor false")
        return self.value

    def time(self, *, above_zero: bool = False) -> timedelta:
        if not isinstance(self.value, str):
            self.wrong(f"is no duration; {_duration_meant(self.value)}")
        try:
            length = duration(self.value)
        except ValueError:
            self.wrong(f"is no duration; {_duration_meant(self.value)}")
        if above_zero and not length:
            self.wrong(f"is too short; {WISH}")
        return length

    def one_of(self, *allowed: str) -> str:
        text = self.text()
        if text not in allowed:
            self.wrong(f"is not possible; write {' or '.join(allowed)}")
        return text

    def elements(self) -> tuple["Field", ...]:
        if self.value is None:
            return ()
        if not isinstance(self.value, (list, tuple)):
            self.wrong("is not a list")
        return tuple(Field(f"{self.path}[{index}]", each) for index, each in enumerate(self.value))

    def branch(self) -> "Field":
        """The field itself, which is an object or absent."""
        self.mapping()
        return self

    def has(self, *names: str) -> tuple[str, ...]:
        """Those of the names that are given."""
        return tuple(name for name in names if self[name].given)

    def fragment(self) -> Fragment:
        try:
            fragment = Fragment.of(self.value)
            fragment.text.encode()
        except (TypeError, ValueError):
            self.wrong("is not JSON")
        return fragment

    def mapping(self) -> Mapping[str, object]:
        if self.value is None:
            return {}
        if not isinstance(self.value, Mapping):
            self.wrong("is not an object")
        return self.value

    def _shown(self) -> str:
        shown = {True: "true", False: "false"}.get(self.value) if isinstance(self.value, bool) else str(self.value)
        text = "".join(letter if letter.isprintable() else "?" for letter in shown or '""')
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _number_meant(text: str, *, seconds: bool) -> str:
    """What to write for `99%`, `"0.5"` or, of seconds, `500ms`; empty where nothing is known."""
    with suppress(ValueError):
        if seconds and (length := duration(text)):
            return f"{length.total_seconds():.10g}, in seconds"
    if _PLAIN_NUMBER.fullmatch(text) is None:
        return ""
    return f"{float(text[:-1]) / 100:.10g}" if text.endswith("%") else f"{text}, without quotes"


def _duration_meant(value: object) -> str:
    """A number without a unit is one of seconds."""
    if isinstance(value, float) and 0.001 <= value < 86_400:
        return f"write {duration_text(timedelta(seconds=value))}"
    return f"write {value}s" if _FEW_DIGITS.fullmatch(str(value)) else WISH
