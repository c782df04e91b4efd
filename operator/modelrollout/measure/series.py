"""Which series tell requests, errors and latency of a runtime or gateway: presets as data.

Read once from `presets/series/*.yaml`, which ship with the package; nothing here comes from a user.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from modelrollout.domain.metrics import Source
from modelrollout.domain.signals import UNITS, SeriesSelector

_OPERATORS = ("=", "!=", "=~", "!~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How series say where they come from."""

    source: Source
    arm: str
    """Label that tells the arms apart: the gateway's service, or the pod."""
    namespace: str | None
    """Label that holds the ModelDeployment's namespace; None: it is part of the arm's value."""
    target: tuple[str, ...]
    """Labels that name what was scraped."""


PODS = Place(source=Source.SERVER, arm="pod", namespace="namespace", target=("pod",))
"""Where the series of the arms' own pods come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One histogram by which latency is counted."""

    name: str
    """Of the metric: `latency`, or what it is a part of latency."""
    buckets: SeriesSelector
    unit: float
    """Seconds per unit of its bounds."""
    needs: str = ""
    """What has to be switched on for it, for messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPreset:
    name: str
    place: Place
    targets: SeriesSelector | None
    """A series that every scraped target exports, traffic or not; None: the arms' own series have to tell."""
    requests: SeriesSelector
    bad: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Which of the requests' series count bad ones: alternatives of (label, whole-value pattern)."""
    errors: SeriesSelector | None = None
    """Bad requests where they have series of their own."""
    latency: tuple[Latency, ...] = ()
    in_flight: SeriesSelector | None = None
    """Gauges of requests that are not answered yet, summed up; None: there is none per arm."""
    service: str = ""
    """Of a gateway: the arm's value as a pattern of {namespace}, {route} and {service}."""
    joins_dashes: bool = False
    """Whether the gateway writes runs of dashes as one."""
    needs: str = ""
    """What has to be set up for it, for messages."""
    impossible: str = ""
    """Why nothing can be compared by it; empty: it can."""

    @property
    def counts_errors(self) -> bool:
        return bool(self.bad) or self.errors is not None

    def is_bad(self, labels: Mapping[str, str]) -> bool:
        return any(
            all(re.fullmatch(pattern, labels.get(label, "")) is not None for label, pattern in alternative)
            for alternative in self.bad
        )

    def service_pattern(self, *, namespace: str, route: str, service: str) -> str:
        """A pattern of the gateway's label for one Service of ours behind one route of ours.

        Traefik joins the runs of letters and digits with single dashes, so `my--model` reads `my-model`.
        """
        names = {"namespace": namespace, "route": route, "service": service}
        if self.joins_dashes:
            names = {field: "-".join(re.findall(r"[^\W_]+", name)) for field, name in names.items()}
        return self.service.format(**names)


def series_for(source: Source, preset: str) -> SeriesPreset | None:
    """The series of a gateway (`traefik`) or runtime (`mlserver`); None: it has none, so nothing can be compared."""
    found = presets().get(preset)
    return found if found is not None and found.place.source is source else None


@cache
def presets() -> Mapping[str, SeriesPreset]:
    """The packaged presets by name."""
    folder = files("modelrollout.presets") / "series"
    texts = [(each.name, each.read_text(encoding="utf-8")) for each in folder.iterdir() if each.name.endswith(".yaml")]
    found = [parse_preset(yaml.safe_load(text), name) for name, text in sorted(texts)]
    return {preset.name: preset for preset in found}


def parse_preset(document: object, origin: str) -> SeriesPreset:
    """A preset from its YAML; ValueError names the file and the field."""
    body = _object(document, origin, _KEYS, needed=_NEEDED)
    source = Source(_text(body, "source", origin))
    bad = [_object(each, f"{origin}: bad", None) for each in _list(body, "bad", origin)]
    if body.get("service") is None and source is Source.GATEWAY and not body.get("impossible"):
        raise ValueError(f"{origin}: service: write the pattern of an arm's value")
    return SeriesPreset(
        name=_text(body, "name", origin),
        place=Place(
            source=source,
            arm=_text(body, "arm", origin),
            namespace=body.get("namespace"),
            target=tuple(str(label) for label in _list(body, "target", origin)),
        ),
        service=body.get("service", ""),
        joins_dashes=bool(body.get("joinsDashes", False)),
        targets=_selector(body["targets"], f"{origin}: targets") if "targets" in body else None,
        requests=_selector(body["requests"], f"{origin}: requests"),
        bad=tuple(tuple((str(label), str(pattern)) for label, pattern in each.items()) for each in bad),
        errors=_selector(body["errors"], f"{origin}: errors") if "errors" in body else None,
        latency=tuple(_latency(each, f"{origin}: latency") for each in _list(body, "latency", origin)),
        in_flight=_selector(body["inFlight"], f"{origin}: inFlight") if "inFlight" in body else None,
        needs=body.get("needs", ""),
        impossible=body.get("impossible", ""),
    )


_KEYS = frozenset(
    {"name", "source", "arm", "namespace", "target", "service", "joinsDashes"}
    | {"targets", "requests", "bad", "errors", "latency", "inFlight", "needs", "impossible"}
)
_NEEDED = frozenset({"name", "source", "arm", "target", "requests"})


def _latency(value: object, where: str) -> Latency:
    body = _object(value, where, frozenset({"name", "series", "matchers", "unit", "needs"}), needed={"name", "unit"})
    if body["unit"] not in UNITS:
        raise ValueError(f"{where}.unit: write one of {', '.join(UNITS)}")
    buckets = {key: body[key] for key in ("series", "matchers") if key in body}
    return Latency(
        name=_text(body, "name", where),
        buckets=_selector(buckets, where),
        unit=UNITS[body["unit"]],
        needs=body.get("needs", ""),
    )


def _selector(value: object, where: str) -> SeriesSelector:
    """`series: name`, `series: [one, other]`, or the bare name."""
    body = _object({"series": value} if isinstance(value, str) else value, where, frozenset({"series", "matchers"}))
    names = body.get("series")
    series = (names,) if isinstance(names, str) else tuple(names or ())
    if not series or not all(isinstance(name, str) for name in series):
        raise ValueError(f"{where}: series: write a name, or a list of names")
    matchers = tuple((str(label), str(sign), str(wanted)) for label, sign, wanted in body.get("matchers", ()))
    if any(sign not in _OPERATORS for _, sign, _ in matchers):
        raise ValueError(f"{where}: matchers: write one of {_OPERATORS}")
    return SeriesSelector(series=series, matchers=matchers)


def _object(
    value: object, where: str, allowed: frozenset[str] | None, *, needed: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: write an object")  # noqa: TRY004 -- a value, whoever wrote it
    unknown = sorted(set(value) - allowed) if allowed is not None else []
    missing = sorted(needed - set(value))
    if unknown or missing:
        raise ValueError(f"{where}: unknown {unknown}, missing {missing}")
    return dict(value)


def _list(body: Mapping[str, Any], name: str, origin: str) -> list[Any]:
    found = body.get(name, [])
    if not isinstance(found, list):
        raise ValueError(f"{origin}: {name}: write a list")  # noqa: TRY004 -- a value, whoever wrote it
    return found


def _text(body: Mapping[str, Any], name: str, origin: str) -> str:
    found = body.get(name)
    if not isinstance(found, str):
        raise ValueError(f"{origin}: {name}: write a text")  # noqa: TRY004 -- a value, whoever wrote it
    return found
