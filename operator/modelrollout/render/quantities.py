"""Kubernetes quantities, compared by what they say. Pure."""

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]{1,3})|([KMGTPE]i|[numkMGTPE]))?")
_FACTORS = {
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("num", start=-3)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}


def amount(text: str | float) -> Decimal | None:
    """What a quantity amounts to; None if it is none.

    >>> amount("1000m") == amount(1) == 1
    True
    >>> amount("1Gi") == 1073741824
    True
    """
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        return None
    number, exponent, suffix = found.groups()
    value = Decimal(number + (exponent or ""))
    return value * _FACTORS[suffix] if suffix else value


def same(one: str | float, other: str | float) -> bool:
    """Whether two quantities are equal; texts that are no quantities by their letters."""
    if one == other:
        return True
    first, second = amount(one), amount(other)
    return first is not None and first == second
