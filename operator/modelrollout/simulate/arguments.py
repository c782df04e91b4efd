"""Values as people write them on a command line: `0.5%`, `30s`, `100ms/0.6`."""

import argparse
import re
from math import isfinite

from modelrollout.domain.durations import WISH, duration
from modelrollout.simulate.scenario import Lognormal, Rate

_NUMBER = re.compile(r"-?[0-9.]+%?", re.ASCII)


def rate(text: str) -> float:
    """`0.5%` or `0.005`."""
    number = _number(text.removesuffix("%"), "a share such as 0.5%")
    share = number / 100 if text.endswith("%") else number
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not possible; write a share from 0% to 100%")
    return share


def rates(text: str) -> tuple[float, ...]:
    """`1%,2%,5%`."""
    return tuple(rate(each.strip()) for each in text.split(",") if each.strip())


def factors(text: str) -> tuple[float, ...]:
    """`1.5,2`."""
    found = tuple(_number(each, "factors such as 1.5,2") for each in text.split(",") if each.strip())
    if any(factor <= 0 for factor in found):
        raise argparse.ArgumentTypeError(f"{text} is not possible; write factors above 0")
    return found


def seconds(text: str) -> float:
    """`90s`, `10m`."""
    try:
        return duration(text).total_seconds()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no duration; {error or WISH}") from error


def latency(text: str) -> Lognormal | None:
    """`100ms`, `100ms/0.6` (median and sigma), or `none`."""
    if text == "none":
        return None
    median, _, sigma = text.partition("/")
    try:
        return Lognormal(median=seconds(median), sigma=_number(sigma or "0.6", "a number"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def metric(text: str) -> tuple[str, Rate | Lognormal]:
    """`quality=2%`, `quality=2%/10%` (of the tenth that is counted), or `wait=100ms/0.6` (median and sigma)."""
    name, _, value = text.partition("=")
    first, _, second = value.partition("/")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"{text} names no value; write a name and a value such as quality=2%")
    try:
        if _NUMBER.fullmatch(first) is None:
            return name, Lognormal(median=seconds(first), sigma=_number(second or "0.6", "a number"))
        return name, Rate(bad=rate(first), counted=rate(second or "100%"))
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from error


def bounds(text: str) -> tuple[float, ...]:
    """`0.1,0.3,1.2,5`: seconds."""
    return tuple(_number(each, "seconds such as 0.1,0.3,1.2,5") for each in text.split(",") if each.strip())


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not possible; write 1 or more")
    return int(text)


def _number(text: str, wish: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text or 'nothing'} is no number; write {wish}") from error
    if not isfinite(number):
        raise argparse.ArgumentTypeError(f"{text} is no number; write {wish}")
    return number
