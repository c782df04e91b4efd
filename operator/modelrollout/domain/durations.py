"""Durations as the Gateway API writes them: up to four of a number and h, m, s or ms. Pure.

Go's other units and fractions are refused, so that every part of the cluster reads the same.
"""

import re
from datetime import timedelta

WISH = "write a duration such as 90s, 10m or 1h30m"

_WHOLE = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}", re.ASCII)
_PART = re.compile(r"([0-9]+)(h|ms|m|s)", re.ASCII)
_UNITS = {
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}


def duration(text: str) -> timedelta:
    """The time that is meant; ValueError says how to write one.

    >>> duration("1h30m")
    datetime.timedelta(seconds=5400)
    """
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(WISH)
    return sum((int(number) * _UNITS[unit] for number, unit in _PART.findall(text)), timedelta(0))


def duration_text(length: timedelta) -> str:
    """The shortest way to write it, to the millisecond.

    >>> duration_text(timedelta(minutes=90))
    '1h30m'
    """
    left, parts = length, ""
    for unit, size in _UNITS.items():
        number, left = divmod(left, size)
        parts += f"{number}{unit}" if number else ""
    return parts or "0s"
