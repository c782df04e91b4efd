"""A ModelDeployment as the API server sent it becomes a value, once, at the border. Pure.

Never raises: what cannot be used is an `InvalidSpec` whose message names the field. The CRD's rules are repeated
here where something depends on them, for objects that are older than a rule; the
defaults too, since tests and files have no API server to fill them in.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from modelrollout import names
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.fragment import EMPTY, Fragment
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import (
    GatewayApi,
    InvalidSpec,
    Key,
    ModelDeployment,
    Pause,
    RolloutPlan,
    RouterName,
    Scaling,
    ScalingMode,
    Step,
    Traffic,
)
from modelrollout.domain.parse_analysis import analysis_settings, read_analysis
from modelrollout.domain.parse_fields import Field, Wrong
from modelrollout.domain.revision import revision_name

DEFAULT_STEPS = (Step(weight=5), Step(weight=25), Step(weight=50))
READY_TIMEOUT = timedelta(minutes=10)
BAKE = timedelta(minutes=10)
HISTORY_LIMIT = 5

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_SERVED_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.+]*[A-Za-z0-9])?", re.ASCII)
_URI = re.compile(r"pvc://[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?(/([^/\n].*)?)?", re.ASCII)
_UNSAFE_PATH = re.compile(r"(^|/)\.\.?(/|$)|[\s\x00-\x1f\x7f]", re.ASCII)
_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_OBJECTS = ("resources", "probes", "nodeSelector", "affinity", "securityContext")
_LISTS = (
    *("command", "args", "env", "envFrom", "ports", "volumes", "volumeMounts"),
    *("tolerations", "topologySpread", "imagePullSecrets"),
)
_MODEL_PATH = "/mnt/models"
_MAX_REPLICAS = 10_000
_MAX_HISTORY = 50


def parse(body: Mapping[str, Any]) -> ModelDeployment | InvalidSpec:
    """The spec as values, or what is wrong with it."""
    metadata = body.get("metadata")
    identity = metadata if isinstance(metadata, Mapping) else {}
    key = Key(namespace=_text(identity.get("namespace")), name=_text(identity.get("name")))
    uid = _text(identity.get("uid"))
    generation = identity.get("generation")
    generation = generation if isinstance(generation, int) and not isinstance(generation, bool) else 0
    try:
        return _read(Field("", body), key, uid, generation)
    except Wrong as wrong:
        brakes = _brakes(body, key, uid, generation)
        return InvalidSpec(key=key, uid=uid, generation=generation, message=str(wrong), brakes=brakes)


def _brakes(body: Mapping[str, Any], key: Key, uid: str, generation: int) -> ModelDeployment | None:
    """The same object with its traffic only, where that can be read; it can move no candidate forward."""
    spec = body.get("spec")
    traffic = spec.get("traffic") if isinstance(spec, Mapping) else None
    stand_in = {"model": {"version": "0"}, "runtime": {"preset": "custom", "image": "none"}, "paused": True}
    if traffic is not None:
        stand_in["traffic"] = traffic
    try:
        return _read(Field("", {"metadata": body.get("metadata"), "spec": stand_in}), key, uid, generation)
    except Wrong:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _read(body: Field, key: Key, uid: str, generation: int) -> ModelDeployment:
    name = body["metadata"]["name"].needed("write a name")
    name.matching(_NAME, "begin with a letter, then lower-case letters, digits and -")
    if len(key.name) > names.MAX_NAME:
        name.wrong(f"has {len(key.name)} characters; use at most {names.MAX_NAME}")
    spec = body["spec"].needed("write model and runtime").branch()
    model = spec["model"].needed("write at least its version").branch()
    runtime = spec["runtime"].needed("write at least a preset").branch()
    version = _model(model)
    ready_timeout = _runtime(runtime, has_uri=model["uri"].given)
    traffic = _traffic(spec["traffic"])
    by_gateway = traffic.router is RouterName.GATEWAY_API
    analysis, analysis_text = _analysis(spec["analysis"].branch(), by_gateway=by_gateway)
    model_fragment, runtime_fragment = model.fragment(), runtime.fragment()
    return ModelDeployment(
        key=key,
        uid=uid,
        generation=generation,
        revision=revision_name(model_fragment, runtime_fragment),
        model=model_fragment,
        runtime=runtime_fragment,
        version=version,
        preset=runtime["preset"].text(),
        ready_timeout=ready_timeout,
        scaling=_scaling(spec["scaling"]),
        traffic=traffic,
        rollout=_rollout(spec["rollout"]),
        analysis=analysis,
        analysis_text=analysis_text,
        paused=spec["paused"].yes(default=False),
    )


def _model(model: Field) -> str:
    """The version; the rest is the renderer's."""
    if model["name"].given:
        model["name"].matching(_SERVED_NAME, "write letters and digits, with - _ . between them")
    if model["uri"].given:
        wish = "write pvc://<claim>/<path>, or leave it out when the model is part of the image"
        uri = model["uri"].matching(_URI, wish)
        if _UNSAFE_PATH.search(uri.removeprefix("pvc://")):
            model["uri"].wrong("cannot be used; write a plain path: no . or .. in it, and no blanks")
    version = model["version"].needed('write one, as in version: "3"')
    return version.matching(_VERSION, "write letters and digits, with - _ . + between them")


def _runtime(runtime: Field, *, has_uri: bool) -> timedelta:
    """The ready timeout; of the rest only what the renderer leans on."""
    preset = runtime["preset"].needed("name a preset such as mlserver, or custom").text()
    for name in _OBJECTS:
        runtime[name].branch()
    for name in _LISTS:
        runtime[name].elements()
    if runtime["image"].given:
        runtime["image"].text()
    for port in runtime["ports"].elements():
        port["containerPort"].needed("write a number").whole(1, 65_535)
    if preset == "custom":
        runtime["image"].needed("preset: custom needs one")
    for field, key in (("ports", "name"), ("env", "name"), ("volumes", "name"), ("volumeMounts", "mountPath")):
        _once(runtime[field], key)
    volumes = {volume["name"].text() for volume in runtime["volumes"].elements()}
    for mount in runtime["volumeMounts"].elements():
        if mount["name"].needed("name one of volumes").text() not in volumes:
            mount["name"].wrong("is none of volumes")
        if has_uri and mount["mountPath"].value == _MODEL_PATH:
            mount["mountPath"].wrong("is where the model of spec.model.uri is mounted; take another")
    grace = runtime["terminationGracePeriodSeconds"]
    if grace.given:
        grace.whole(1, 86_400)
    timeout = runtime["readyTimeout"]
    return timeout.time(above_zero=True) if timeout.given else READY_TIMEOUT


def _once(listed: Field, key: str) -> None:
    seen: set[str] = set()
    for each in listed.elements():
        text = each[key].needed(f"write its {key}").text()
        if text in seen:
            each[key].wrong("is there twice")
        seen.add(text)


def _scaling(field: Field) -> Scaling:
    of_hpa = field.has("minReplicas", "maxReplicas", "metrics", "behavior")
    default = ScalingMode.HPA if of_hpa else ScalingMode.FIXED
    mode = ScalingMode(field["mode"].one_of(*ScalingMode)) if field["mode"].given else default
    replicas = field["replicas"].whole(1, _MAX_REPLICAS) if field["replicas"].given else 1
    if mode is not ScalingMode.HPA:
        if of_hpa:
            field[of_hpa[0]].wrong(f"is not looked at with mode: {mode}; remove it, or write mode: hpa")
        return Scaling(mode=mode, replicas=replicas)
    most = field["maxReplicas"].needed("autoscaling needs a ceiling").whole(1, _MAX_REPLICAS)
    least = field["minReplicas"].whole(1, _MAX_REPLICAS) if field["minReplicas"].given else 1
    if least > most:
        field["minReplicas"].wrong(f"is above maxReplicas {most}; raise maxReplicas")
    for metric in field["metrics"].elements():
        metric["type"].needed("write the kind of metric").text()
    field["behavior"].branch()
    return Scaling(
        mode=mode,
        replicas=replicas,
        min_replicas=least,
        max_replicas=most,
        metrics=field["metrics"].fragment() if field["metrics"].given else Fragment("[]"),
        behavior=field["behavior"].fragment() if field["behavior"].given else EMPTY,
    )


def _traffic(field: Field) -> Traffic:
    router = RouterName(field["router"].one_of(*RouterName)) if field["router"].given else RouterName.REPLICA_RATIO
    gateway = field["gatewayAPI"]
    parents = gateway["parentRefs"]
    for parent in parents.elements():
        parent["name"].needed("name the Gateway").text()
    if router is RouterName.GATEWAY_API and not parents.elements():
        raise Wrong(f"{parents.path}: router: gatewayAPI needs one; write [{{name: <your Gateway>}}]")
    wish = "write a host name such as sentiment.example.com"
    hostnames = tuple(host.matching(_HOST, wish) for host in gateway["hostnames"].elements())
    timeout = gateway["timeout"]
    if timeout.given:
        timeout.time(above_zero=True)
    return Traffic(
        port=field["port"].whole(1, 65_535) if field["port"].given else 80,
        router=router,
        gateway_api=GatewayApi(
            parent_refs=parents.fragment() if parents.given else Fragment("[]"),
            hostnames=hostnames,
            timeout=timeout.text() if timeout.given else None,
        ),
    )


def _rollout(field: Field) -> RolloutPlan:
    steps = field["steps"]
    bake, history = field["bake"], field["historyLimit"]
    ladder = tuple(_step(step) for step in steps.elements()) if steps.given else DEFAULT_STEPS
    try:
        return RolloutPlan(
            steps=ladder,
            bake=bake.time() if bake.given else BAKE,
            history_limit=history.whole(1, _MAX_HISTORY) if history.given else HISTORY_LIMIT,
        )
    except Wrong:
        raise
    except ValueError as error:
        raise Wrong(f"spec.rollout.{error}") from error


def _step(field: Field) -> Step:
    field["weight"].needed("write a weight below 100")
    weight = field["weight"].whole(-(2**31), 2**31)
    least, deadline, pause = field["minDuration"], field["deadline"], field["pause"]
    if least.given and deadline.given and least.time() > deadline.time(above_zero=True):
        least.wrong(f"is longer than deadline {deadline.text()}; raise deadline")
    try:
        return Step(
            weight=weight,
            min_duration=least.time() if least.given else None,
            deadline=deadline.time(above_zero=True) if deadline.given else None,
            pause=_pause(pause) if pause.given else None,
        )
    except Wrong:
        raise
    except ValueError as error:
        raise Wrong(f"{field.path}.{error}") from error


def _pause(field: Field) -> Pause:
    if field.value is True:
        return Pause()
    if not isinstance(field.value, str):
        field.wrong("is not possible; write true to wait for a person, or a duration such as 30m")
    return Pause(duration=field.time())


def _analysis(field: Field, *, by_gateway: bool) -> tuple[AnalysisSettings, str]:
    """The settings, and the text to freeze: whose series are read depends on the router, so it is written out."""
    source = field["source"]
    if source.given and source.one_of(*Source) == Source.GATEWAY and not by_gateway:
        source.wrong("needs traffic.router: gatewayAPI; write server, or leave it out")
    effective = {name: value for name, value in field.mapping().items() if value is not None}
    effective.setdefault("source", str(Source.GATEWAY if by_gateway else Source.SERVER))
    complete = Field(field.path, effective)
    return read_analysis(complete), complete.fragment().text


__all__ = ["DEFAULT_STEPS", "READY_TIMEOUT", "analysis_settings", "parse"]
