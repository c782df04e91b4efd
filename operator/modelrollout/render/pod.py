"""What goes into a revision's pod template: preset and user input put together. Pure.

Only `spec.model` and `spec.runtime` (and the names) are looked at: nothing else of the spec may reach a pod.
Known fields are copied one by one; a field we do not know does not arrive.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from modelrollout import names
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.render.environment import Unrenderable
from modelrollout.render.manifest import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    NAME_LABEL,
    VERSION_LABEL,
    is_label_value,
)
from modelrollout.render.presets import MODEL_VOLUME, Port, Preset, ports_of, refusal, split_uri

CONTAINER = "server"
"""Name of the serving container."""

_TOKEN = re.compile(r"\{(name|version|uri|path|port:[a-z0-9-]+)\}")
Fill = Callable[[str, Callable[[str], str]], str | None]
"""Fills a preset's text in, each value through the escape that is given; None where a token has no value."""

_STARTUP_MARGIN = timedelta(seconds=30)
_STARTUP_PERIOD = 2
_PLACEMENT = (
    ("affinity", "affinity"),
    ("imagePullSecrets", "imagePullSecrets"),
    ("nodeSelector", "nodeSelector"),
    ("priorityClassName", "priorityClassName"),
    ("runtimeClassName", "runtimeClassName"),
    ("serviceAccountName", "serviceAccountName"),
    ("tolerations", "tolerations"),
)
_SECURITY = ("runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy", "supplementalGroups")


def labels_of(deployment: str, revision: str, version: str) -> dict[str, str]:
    """Labels of everything that is one revision's. A version that is no label value is left out."""
    return {
        NAME_LABEL: deployment,
        MANAGED_BY_LABEL: MANAGED_BY,
        **selector_of(deployment, revision),
        **({VERSION_LABEL: version} if is_label_value(version) else {}),
    }


def selector_of(deployment: str, revision: str) -> dict[str, str]:
    return {names.DEPLOYMENT_LABEL: deployment, names.REVISION_LABEL: revision}


def facts_of(md: ModelDeployment, preset: Preset) -> dict[str, object]:
    """All that templates/pod_template.yaml.j2 wants to know; Unrenderable where the input makes no pod."""
    model, wanted = md.model.mapping, md.runtime.mapping
    if remark := refusal(md.model, md.runtime):
        raise Unrenderable(remark.message, reason=remark.reason)
    ports = ports_of(preset, wanted)
    fill = _filler(md, preset, model, ports)
    grace = int(wanted.get("terminationGracePeriodSeconds", preset.grace))
    volumes, mounts = _volumes(model, wanted, preset)
    return {
        "labels": labels_of(md.key.name, md.revision, md.version),
        "annotations": _annotations(preset, ports),
        "grace": grace,
        "sleep": min(preset.sleep, grace // 2),
        "pod_security": _pod_security(preset, wanted),
        "placement": [*_placement(md, wanted)],
        "volumes": volumes,
        "mounts": mounts,
        "container": CONTAINER,
        "image": wanted.get("image") or preset.image,
        "program": [*_program(preset, wanted, fill)],
        "ports": [_port(port) for port in ports],
        **_probes(preset, wanted, md.ready_timeout, fill),
    }


def _filler(
    md: ModelDeployment,
    preset: Preset,
    model: Mapping[str, Any],
    ports: tuple[Port, ...],
) -> Fill:
    """One pass: what was filled in is never filled again."""
    uri = model.get("uri") or ""
    values = {
        "name": model.get("name") or md.key.name,
        "version": md.version,
        "uri": uri if split_uri(uri)[0] in preset.fetches else "",
        "path": preset.model_path,
        **{f"port:{port.name}": str(port.number) for port in ports},
    }

    def fill(text: str, escape: Callable[[str], str]) -> str | None:
        if not all(values.get(token) for token in _TOKEN.findall(text)):
            return None
        return _TOKEN.sub(lambda found: escape(values[found[1]]), text)

    return fill


def _literally(text: str) -> str:
    """The kubelet expands $(NAME) in env, command and args: `$$` is its way to write a dollar."""
    return text.replace("$", "$$")


def _annotations(preset: Preset, ports: tuple[Port, ...]) -> dict[str, str]:
    endpoint = preset.metrics
    port = next((port for port in ports if endpoint and port.name == endpoint.port), None)
    if endpoint is None or port is None:
        return {}
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port.number),
        "prometheus.io/path": endpoint.path,
    }


def _pod_security(preset: Preset, wanted: Mapping[str, Any]) -> dict[str, object]:
    own = wanted.get("securityContext") or {}
    given = {field: own[field] for field in _SECURITY if own.get(field) not in (None, [])}
    default = {"runAsUser": preset.run_as_user} if preset.run_as_user is not None else {}
    return {**default, **given, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def _placement(md: ModelDeployment, wanted: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for field, key in _PLACEMENT:
        if wanted.get(key):
            yield field, wanted[key]
    spread = wanted.get("topologySpread")
    if spread is None:
        spread = [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}]
    if spread:
        ours = {"labelSelector": {"matchLabels": selector_of(md.key.name, md.revision)}}
        yield "topologySpreadConstraints", [{**ours, **each} for each in spread]


def _program(
    preset: Preset,
    wanted: Mapping[str, Any],
    fill: Fill,
) -> Iterator[tuple[str, object]]:
    """Command, args, env: the preset's, unless the user has their own. Args alone keep the preset's command."""
    command = wanted.get("command") or [fill(each, _literally) or "" for each in preset.command]
    default_args = () if wanted.get("command") else preset.args
    args = wanted.get("args") or [fill(each, _literally) or "" for each in default_args]
    own = {each["name"]: each for each in wanted.get("env") or ()}  # the last of a name wins, as in a container
    filled = ((name, fill(text, _literally)) for name, text in preset.env if name not in own)
    env = [*({"name": name, "value": value} for name, value in filled if value), *own.values()]
    for field, value in (
        ("imagePullPolicy", wanted.get("imagePullPolicy")),
        ("command", command),
        ("args", args),
        ("env", env),
        ("envFrom", wanted.get("envFrom")),
        ("resources", wanted.get("resources") or preset.resources.mapping),
    ):
        if value:
            yield field, value


def _port(port: Port) -> dict[str, object]:
    named = {"name": port.name} if port.name else {}
    return {**named, "containerPort": port.number, "protocol": port.protocol}


def _probes(
    preset: Preset,
    wanted: Mapping[str, Any],
    ready_timeout: timedelta,
    fill: Fill,
) -> dict[str, object]:
    """Made for slow loading: nothing is killed before readyTimeout is over, and then liveness is lenient."""
    own = {kind: _tidy(probe) for kind, probe in (wanted.get("probes") or {}).items()}
    readiness = own.get("readiness") or {
        **_handler(preset.ready.mapping, fill),
        "periodSeconds": 3,
        "timeoutSeconds": 3,
        "failureThreshold": 3,
    }
    liveness = own.get("liveness")
    if liveness is None and preset.live is not None:
        liveness = {
            **_handler(preset.live.mapping, fill),
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        }
    handler = {kind: readiness[kind] for kind in ("httpGet", "tcpSocket", "exec", "grpc") if kind in readiness}
    startup = own.get("startup") or {
        **handler,
        "periodSeconds": _STARTUP_PERIOD,
        "timeoutSeconds": readiness.get("timeoutSeconds") or 3,
        "failureThreshold": math.ceil((ready_timeout + _STARTUP_MARGIN).total_seconds() / _STARTUP_PERIOD),
    }
    return {"startup": startup, "readiness": readiness, "liveness": liveness}


def _tidy(value: Any) -> Any:
    """Without the empty texts for which the API server would write a default of its own (`path: ""`)."""
    if isinstance(value, dict):
        return {key: _tidy(each) for key, each in value.items() if each not in (None, "")}
    return value


def _handler(
    handler: Mapping[str, Any],
    fill: Fill,
) -> dict[str, object]:
    get = handler.get("httpGet")
    if get is None:
        return dict(handler)
    return {"httpGet": {**get, "path": fill(get["path"], lambda text: quote(text, safe="")) or "/"}}


def _volumes(
    model: Mapping[str, Any],
    wanted: Mapping[str, Any],
    preset: Preset,
) -> tuple[list[object], list[object]]:
    """The model's volume first, read-only, then the user's."""
    volumes: list[object] = []
    mounts: list[object] = []
    uri = model.get("uri") or ""
    scheme, authority, path = split_uri(uri)
    mount: dict[str, object] = {"name": MODEL_VOLUME, "mountPath": preset.model_path, "readOnly": True}
    if scheme == "pvc":
        volumes.append({"name": MODEL_VOLUME, "persistentVolumeClaim": {"claimName": authority, "readOnly": True}})
        mounts.append({**mount, "subPath": path.rstrip("/")} if path.rstrip("/") else mount)
    elif scheme == "oci":
        volumes.append({"name": MODEL_VOLUME, "image": {"reference": f"{authority}/{path}"}})
        mounts.append(mount)
    volumes.extend(wanted.get("volumes") or ())
    mounts.extend(wanted.get("volumeMounts") or ())
    return volumes, mounts
