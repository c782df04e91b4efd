"""Is the object on the cluster still what we rendered? Pure.

Asked of every manifest in every walk, so what the API server does by itself must not count: it fills in defaults,
leaves out empty lists, maps, texts and some zeros, writes quantities its own way. Fields that we do not render are
others'; that we stopped rendering one shows in the hash that each manifest carries (templates.RENDERED_ANNOTATION).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelrollout.domain.fragment import Fragment
from modelrollout.render import quantities

_EXACT = frozenset({"selector", "matchLabels", "nodeSelector"})
"""Maps in which one key more makes another meaning."""

_AMOUNTS = frozenset({"requests", "limits"})
"""Maps whose values are quantities."""

_QUANTITIES = frozenset({"averageValue", "divisor", "sizeLimit", "storage", "tolerance"})
"""Fields that are quantities."""

_NUMBER_OR_TEXT = frozenset({"port", "targetPort", "maxUnavailable", "maxSurge"})

_DROPPED = frozenset({"readOnly", "initialDelaySeconds", "minReadySeconds", "stdin", "tty"})
"""Fields that the API server leaves out when they are zero or false. Not those where absent means true."""

_UNORDERED = frozenset({"metrics", "ownerReferences"})
"""Lists that the API server may re-order, and others may add to."""


def differs(manifest: Fragment | Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether any field that we render is not so on the live object."""
    wanted = manifest.mapping if isinstance(manifest, Fragment) else manifest
    return not _same(wanted, live, ())


def _same(wanted: object, live: object, path: tuple[str, ...]) -> bool:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return _same_map(wanted, live, path)
    if isinstance(wanted, list) and isinstance(live, list):
        return _same_list(wanted, live, path)
    if _is_nothing(wanted) and _is_nothing(live):
        return True
    return _same_scalar(wanted, live, path)


def _same_map(wanted: Mapping[str, Any], live: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    if path and path[-1] in _EXACT and not _is_selector_object(wanted) and set(wanted) != set(live):
        return False
    for key, value in wanted.items():
        if key in live:
            if not _same(value, live[key], (*path, key)):
                return False
        elif not _is_nothing(value) and not (key in _DROPPED and value in (0, False)):
            return False
    return True


def _is_selector_object(wanted: Mapping[str, Any]) -> bool:
    """A Service's selector is a map of labels; a disruption budget's holds matchLabels."""
    return "matchLabels" in wanted or "matchExpressions" in wanted


def _same_list(wanted: Sequence[object], live: Sequence[object], path: tuple[str, ...]) -> bool:
    if path and path[-1] in _UNORDERED:
        enough = len(live) >= len(wanted) if path[-1] == "ownerReferences" else len(live) == len(wanted)
        return enough and all(any(_same(each, other, path) for other in live) for each in wanted)
    return len(wanted) == len(live) and all(_same(a, b, path) for a, b in zip(wanted, live, strict=True))


def _same_scalar(wanted: object, live: object, path: tuple[str, ...]) -> bool:
    if isinstance(wanted, bool) or isinstance(live, bool):
        return wanted is live
    if wanted == live:
        return True
    if not isinstance(wanted, str | int | float) or not isinstance(live, str | int | float):
        return False
    if _is_quantity(path):
        return quantities.same(wanted, live)
    return bool(path) and path[-1] in _NUMBER_OR_TEXT and str(wanted) == str(live)


def _is_quantity(path: tuple[str, ...]) -> bool:
    if not path:
        return False
    if path[-1] in _QUANTITIES:
        return True
    return len(path) > 1 and (path[-2] in _AMOUNTS or path[-2:] == ("target", "value"))


def _is_nothing(value: object) -> bool:
    """What the API server leaves out."""
    return value is None or (isinstance(value, str | list | Mapping) and not value)
