"""Serving runtimes as data: `modelrollout/presets/<name>.yaml`. Pure after the files were read once.

A preset says how a server is started, where it reads the model, how one sees that the model is loaded, which series
and load it shows. Keys are strict: a misspelt one fails at start.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from modelrollout import names
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.fragment import EMPTY, Fragment
from modelrollout.render.environment import read_document

CUSTOM = "custom"
_NONE = Fragment("[]")
MODEL_VOLUME = "model"
"""Name of the volume that brings the model; a user's own may not take it."""

_CLAIM = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


class Unloaded(StrEnum):
    """What the server does when its model does not load."""

    EXITS = "exits"
    """It ends by itself, be it with exit code 0: a container that ended before it was ever ready did not load."""
    STAYS = "stays"
    """It runs on without being ready."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    name: str
    number: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where metrics are scraped: a port by name, and the path."""

    port: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Texts may hold `{name}`, `{version}`, `{uri}`, `{path}` and `{port:<name>}`, filled in when rendered."""

    name: str
    ready: Fragment
    """Probe handler that succeeds once the model is loaded, and only then."""
    ports: tuple[Port, ...]
    model_path: str
    image: str | None = None
    run_as_user: int | None = None
    """None: the image's own user, which must be a number other than 0."""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    live: Fragment | None = None
    fetches: tuple[str, ...] = ()
    """URI schemes that the server reads by itself; pvc and oci are mounted for every preset."""
    metrics: Endpoint | None = None
    series: str | None = None
    """Name of the series preset in presets/series/; None: only the gateway's series can be compared."""
    load: Fragment = _NONE
    """Default autoscaling/v2 metrics."""
    resources: Fragment = EMPTY
    """Where the spec has none: without requests the autoscaler is blind."""
    sleep: int = 5
    """Seconds from leaving the endpoints to SIGTERM."""
    grace: int = 60
    unloaded: Unloaded = Unloaded.UNKNOWN
    tested: tuple[str, ...] = ()


_KEYS = frozenset(
    {
        "image",
        "runAsUser",
        "command",
        "args",
        "env",
        "ports",
        "model",
        "probes",
        "metrics",
        "series",
        "load",
        "resources",
        "drain",
        "unloaded",
        "tested",
    },
)


def parse(name: str, text: str) -> Preset:
    """A preset from its file; ValueError names the key that is wrong."""
    body = read_document(text)
    _strict(body, _KEYS, {"ports", "model", "probes", "drain", "unloaded", "tested"}, name)
    _strict(body["model"], frozenset({"path", "fetches"}), {"path", "fetches"}, f"{name}.model")
    _strict(body["probes"], frozenset({"ready", "live"}), {"ready"}, f"{name}.probes")
    _strict(body["drain"], frozenset({"sleep", "grace"}), {"sleep", "grace"}, f"{name}.drain")
    if "metrics" in body:
        _strict(body["metrics"], frozenset({"port", "path"}), {"port", "path"}, f"{name}.metrics")
    if names.HTTP_PORT not in body["ports"]:
        raise ValueError(f"{name}.ports: one must be named {names.HTTP_PORT}")
    env = body.get("env", {})
    if not all(isinstance(value, str) for value in env.values()):
        raise ValueError(f"{name}.env: every value is a text; quote it")
    return Preset(
        name=name,
        image=body.get("image"),
        run_as_user=body.get("runAsUser"),
        command=tuple(body.get("command", ())),
        args=tuple(body.get("args", ())),
        env=tuple(env.items()),
        ports=tuple(Port(name=port, number=int(number)) for port, number in body["ports"].items()),
        model_path=body["model"]["path"],
        fetches=tuple(body["model"]["fetches"]),
        ready=Fragment.of(body["probes"]["ready"]),
        live=Fragment.of(body["probes"]["live"]) if "live" in body["probes"] else None,
        metrics=Endpoint(**body["metrics"]) if "metrics" in body else None,
        series=body.get("series"),
        load=Fragment.of(body.get("load", [])),
        resources=Fragment.of(body.get("resources", {})),
        sleep=int(body["drain"]["sleep"]),
        grace=int(body["drain"]["grace"]),
        unloaded=Unloaded(body["unloaded"]),
        tested=tuple(body["tested"]),
    )


def _strict(body: object, allowed: frozenset[str], needed: set[str], where: str) -> None:
    if not isinstance(body, dict):
        raise TypeError(f"{where}: an object is wanted")
    if beyond := sorted(set(body) - allowed):
        raise ValueError(f"{where}: unknown {', '.join(beyond)}")
    if missing := sorted(needed - set(body)):
        raise ValueError(f"{where}: {', '.join(missing)} is missing")


@cache
def presets() -> Mapping[str, Preset]:
    """The packaged presets by name."""
    folder = resources.files("modelrollout.presets")
    found = {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }
    return MappingProxyType({name: parse(name, found[name]) for name in sorted(found)})


def refusal(model: Fragment, runtime: Fragment) -> Remark | None:
    """Why no pod can be made of this, as far as the operator's own presets tell; None: nothing speaks against it."""
    wanted = runtime.mapping
    name = wanted.get("preset") or CUSTOM
    preset = presets().get(name)
    if preset is None:
        return Remark(
            reason=Reason.UNKNOWN_PRESET,
            message=f"spec.runtime.preset: {name} is not known here. Use one of {', '.join(presets())}.",
        )
    if not (wanted.get("image") or preset.image):
        return Remark(
            reason=Reason.INVALID_SPEC,
            message=f"spec.runtime.image is missing: the preset {name} has none of its own. Name your server's image.",
        )
    if clash := _clash(preset, wanted):
        return Remark(reason=Reason.PORT_CLASH, message=clash)
    if wrong := _unmountable(model.mapping.get("uri"), preset, wanted):
        return Remark(reason=Reason.INVALID_SPEC, message=wrong)
    return None


def ports_of(preset: Preset, wanted: Mapping[str, Any]) -> tuple[Port, ...]:
    """The preset's ports, those that the user named likewise replaced, then the user's own."""
    own = tuple(_ports(wanted))
    taken = {port.name for port in own}
    return (*(port for port in preset.ports if port.name not in taken), *own)


def _ports(wanted: Mapping[str, Any]) -> Iterator[Port]:
    for port in wanted.get("ports") or ():
        yield Port(
            name=port.get("name") or "",
            number=int(port["containerPort"]),
            protocol=port.get("protocol") or "TCP",
        )


def _clash(preset: Preset, wanted: Mapping[str, Any]) -> str | None:
    own = tuple(_ports(wanted))
    ports = ports_of(preset, wanted)
    for index, one in enumerate(ports):
        for other in ports[index + 1 :]:
            first, second = (port.name or "one without a name" for port in (one, other))
            if one.name and one.name == other.name:
                return f"spec.runtime.ports: two are named {one.name} ({one.number} and {other.number}). Rename one."
            if (one.number, one.protocol) == (other.number, other.protocol):
                advice = "Give one of them another number."
                if one not in own:
                    advice = f"{first} is the preset's: name yours {first} to replace it, or take another number."
                return f"spec.runtime.ports: {first} and {second} are both {one.number}. {advice}"
    return None


def split_uri(uri: str) -> tuple[str, str, str]:
    """Scheme, authority and path, nothing decoded.

    >>> split_uri("pvc://models/sentiment/3")
    ('pvc', 'models', 'sentiment/3')
    """
    scheme, _, rest = uri.partition("://")
    authority, _, path = rest.partition("/")
    return scheme, authority, path


def _unmountable(uri: str | None, preset: Preset, wanted: Mapping[str, Any]) -> str | None:
    if not uri:
        return None
    scheme, authority, path = split_uri(uri)
    if scheme in preset.fetches:
        return None
    if scheme == "pvc":
        if _CLAIM.fullmatch(authority) is None:
            return "spec.model.uri: pvc:// is followed by the name of a PersistentVolumeClaim, as in pvc://models/3."
        if any(part in {"..", "."} for part in path.split("/")) or path.startswith("/"):
            return "spec.model.uri: the path in the claim may not leave it; write it without `.`, `..` and `//`."
    elif scheme == "oci":
        if not authority or not path:
            return "spec.model.uri: oci:// is followed by an image reference, as in oci://registry.example/models/a:3."
    else:
        return (
            f"spec.model.uri: the preset {preset.name} does not read {scheme}://. "
            "Use pvc://, or bake the model into the image and leave uri out."
        )
    if any(volume.get("name") == MODEL_VOLUME for volume in wanted.get("volumes") or ()):
        return f"spec.runtime.volumes: {MODEL_VOLUME} is the name of the volume that brings the model. Rename yours."
    if any(mount.get("mountPath", "").rstrip("/") == preset.model_path for mount in wanted.get("volumeMounts") or ()):
        return f"spec.runtime.volumeMounts: {preset.model_path} is where spec.model.uri is mounted. Take another path."
    return None
