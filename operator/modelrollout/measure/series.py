"""Which series tell requests, errors and latency of a runtime or gateway: presets as data.

Read once from `presets/series/*.yaml`, which ship with the package; nothing here comes from a user.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from modelrollout.domain.analysis import Source

_OPERATORS = ("=", "!=", "=~", "!~")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPreset:
    name: str
    source: Source
    target: tuple[str, ...]
    """Labels that name what was scraped."""
    arm: str
    """Label that tells the arms apart: the gateway's service, or the pod."""
    targets: str
    """A series that every scraped target exports, traffic or not."""
    requests: str
    bad_label: str
    bad_pattern: str
    """Whole-value pattern of `bad_label`."""
    latency: str | None
    unit: float
    """Seconds per unit of the latency series' bounds."""
    service: str = ""
    matchers: tuple[tuple[str, str, str], ...] = ()
    """On requests and latency: (label, operator, value)."""

    def is_bad(self, labels: Mapping[str, str]) -> bool:
        return re.fullmatch(self.bad_pattern, labels.get(self.bad_label, "")) is not None

    def service_pattern(self, *, namespace: str, route: str, service: str) -> str:
        """A pattern of the gateway's label for one Service of ours behind one route of ours.

        Traefik joins the runs of letters and digits with single dashes, so `my--model` reads `my-model`.
        """
        plain = {"namespace": namespace, "route": route, "service": service}
        return self.service.format(**{field: "-".join(re.findall(r"[^\W_]+", name)) for field, name in plain.items()})


def series_for(source: Source, preset: str) -> SeriesPreset | None:
    """The series of a gateway (`traefik`) or runtime (`mlserver`); None: it has none, so nothing can be compared."""
    found = _presets().get(preset)
    return found if found is not None and found.source is source else None


@cache
def _presets() -> Mapping[str, SeriesPreset]:
    folder = files("modelrollout.presets") / "series"
    texts = [(each.name, each.read_text(encoding="utf-8")) for each in folder.iterdir() if each.name.endswith(".yaml")]
    presets = [parse_preset(yaml.safe_load(text), name) for name, text in texts]
    return {preset.name: preset for preset in presets}


def parse_preset(document: object, origin: str) -> SeriesPreset:
    """A preset from its YAML; ValueError names the file and the field."""
    fields = dict(document) if isinstance(document, Mapping) else {}
    bad = fields.pop("bad", None)
    unknown = set(fields) - {"name", "source", "target", "arm", "service", "targets", "requests", "matchers"}
    unknown -= {"latency", "unit"}
    if unknown or not isinstance(bad, Mapping) or set(bad) != {"label", "pattern"}:
        raise ValueError(f"{origin}: unknown field {sorted(unknown)}, or bad is not {{label, pattern}}")
    for name in ("name", "source", "arm", "targets", "requests"):
        if not isinstance(fields.get(name), str):
            raise ValueError(f"{origin}: {name}: write a text")  # noqa: TRY004 -- a value, whoever wrote it
    matchers = tuple((str(label), str(sign), str(value)) for label, sign, value in fields.get("matchers", ()))
    if any(sign not in _OPERATORS for _, sign, _ in matchers):
        raise ValueError(f"{origin}: matchers: write one of {_OPERATORS}")
    return SeriesPreset(
        name=fields["name"],
        source=Source(fields["source"]),
        target=tuple(fields["target"]),
        arm=fields["arm"],
        service=fields.get("service", ""),
        targets=fields["targets"],
        requests=fields["requests"],
        matchers=matchers,
        bad_label=str(bad["label"]),
        bad_pattern=str(bad["pattern"]),
        latency=fields.get("latency"),
        unit=float(fields.get("unit", 1)),
    )
