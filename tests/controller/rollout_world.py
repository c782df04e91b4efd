"""One model behind a gateway, from the first walk on: real walks and a real HTTP provider, the rest and time simulated.

Requests arrive evenly, so that every run is the same: `rps` a second, shared by the weights that are in the route.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import floor
from typing import Any

from modelrollout import names
from modelrollout.cluster.kinds import DEPLOYMENT, HTTP_ROUTE, POD, Live
from modelrollout.cluster.observe import observe
from modelrollout.controller.evidence_store import BackgroundMeasurements
from modelrollout.controller.reconcile import reconcile
from modelrollout.measure.instruments import Instruments
from modelrollout.measure.prober import PrometheusProber
from modelrollout.measure.providers import Providers
from tests.controller.walking import KEY, World
from tests.fakeapi.memory import MODEL_DEPLOYMENT
from tests.measure.http_server import Asked, Script, matrix, patient, serving

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SCRAPE = 5.0
PARENT = {"name": "public", "namespace": "infra"}
ROUTE = f"httproute-{KEY.namespace}-{KEY.name}-gw-infra-public-svc-{KEY.namespace}"
Labels = tuple[tuple[str, str], ...]


@dataclass(kw_only=True)
class Gateway:
    """Counts requests per service and is scraped; knows nothing of what is asked."""

    rps: float = 60.0
    bad: dict[str, float] = field(default_factory=dict)
    """Share of errors by revision."""
    counts: dict[Labels, float] = field(default_factory=dict)
    samples: dict[Labels, list[tuple[float, int]]] = field(default_factory=dict)

    def serve(self, seconds: float, weights: dict[str, int]) -> None:
        for revision, weight in weights.items():
            share = self.bad.get(revision, 0.01)
            for code, part in (("200", 1 - share), ("500", share)):
                service = f"{ROUTE}-{KEY.name}-{revision}-0@kubernetesgateway"
                labels = (("code", code), ("instance", "gw"), ("job", "traefik"), ("service", service))
                self.counts[labels] = self.counts.get(labels, 0.0) + self.rps * weight / 100 * part * seconds

    def scrape(self, at: float) -> None:
        for labels, count in self.counts.items():
            if count:
                self.samples.setdefault(labels, []).append((at, floor(count)))


@dataclass(kw_only=True)
class Metrics:
    """What the provider makes of the gateway's samples."""

    gateway: Gateway
    until: float | None = None
    """Nothing is scraped after it."""
    skew: float = 0.0
    """Seconds by which its clock is ahead."""
    late: float = 0.0
    """Seconds after which a sample can be asked for."""
    now: float = 0.0
    value: str = ""
    """Instead of each value."""
    burns: float | None = None
    """Share of bad requests of the whole service, whatever the gateway counted; None: what it counted."""
    asked_for_service: list[float] = field(default_factory=list)
    """When the whole service was asked for."""

    def answer(self, asked: Asked) -> bytes:
        if asked.query.startswith("(label_replace("):
            return self._service(asked)
        name, rest, span = re.fullmatch(r"(\w+)(.*)\[(\d+)s\]", asked.query).groups()  # type: ignore[union-attr]
        wanted = re.findall(r'service=~"(.*)"', rest)
        if name == "traefik_config_last_reload_success":
            times = sorted({at for samples in self.gateway.samples.values() for at, _ in samples})
            return matrix(({"job": "traefik", "instance": "gw"}, self._values([(at, 1) for at in times], asked, span)))
        if name != "traefik_service_requests_total":
            return matrix()
        rows = [
            (dict(labels), self._values(samples, asked, span))
            for labels, samples in self.gateway.samples.items()
            if re.fullmatch(wanted[0], dict(labels)["service"])
        ]
        return matrix(*(row for row in rows if row[1]))

    def _service(self, asked: Asked) -> bytes:
        """Increases per code over each window, as Prometheus would have summed them."""
        self.asked_for_service.append(asked.time)
        parts = re.findall(r'service=~"(.*?)"\}\[(\d+)s\]\)\), "(\w+)", "(.*?)"', asked.query)
        rows = []
        for pattern, span, label, part in parts:
            counted: dict[str, float] = {}
            for labels, samples in self.gateway.samples.items():
                told = dict(labels)
                kept = [n for at, n in samples if asked.time - int(span) < at <= asked.time]
                if kept and re.fullmatch(pattern, told["service"]):
                    counted[told["code"]] = counted.get(told["code"], 0.0) + kept[-1] - kept[0]
            if self.burns is not None:
                counted = {"200": 1000 * (1 - self.burns), "500": 1000 * self.burns}
            rows += [({"code": code, label: part}, [[asked.time, str(n)]]) for code, n in counted.items()]
        return matrix(*rows)

    def _values(self, samples: list[tuple[float, int]], asked: Asked, span: str) -> list[list[object]]:
        until = self.now - self.late if self.until is None else self.until
        kept = [(at + self.skew, n) for at, n in samples if at <= until]
        return [[at, self.value or str(n)] for at, n in kept if asked.time - int(span) < at <= asked.time]


class Rollout:
    """The world of one ModelDeployment. `pass_time` lets everything happen that happens meanwhile."""

    def __init__(self, script: Script, **settings: object) -> None:
        self.script, self.gateway = script, Gateway()
        self.metrics = Metrics(gateway=self.gateway)
        script.answer = self.metrics.answer
        self.now = START.timestamp()
        self._scraped = self.now
        provider = patient(script, **settings)
        self.providers = Providers((provider,), monotonic=self._clock, now=self._clock, window=0.0)
        self.world = World()
        store, routers = self.world.api.store, self.world.ports.routers
        self.measurements = BackgroundMeasurements(
            PrometheusProber(self.providers, Instruments()),
            self.world.evidence,
            ring=lambda _: None,
            ring_after=lambda _key, _seconds: None,
            on_measured=lambda _seconds, _failed: None,
            monotonic=self._clock,
        )
        self.ports = replace(
            self.world.ports,
            observe=lambda key: observe(
                key, store, routers, self.world.evidence.of, self.providers.unknown, lags=self.providers.lags
            ),
            measurements=self.measurements,
        )
        self._tick()

    def _clock(self) -> float:
        return self.now

    def _tick(self) -> None:
        """Its answers carry the time of its own clock."""
        self.metrics.now = self.now
        dated = datetime.fromtimestamp(self.now + self.metrics.skew, UTC)
        self.script.headers = {"Date": format_datetime(dated, usegmt=True)}

    # ------------------------------------------------------------------ what a person does and sees

    def apply(self, version: str, **analysis: Any) -> None:
        live = self.world.api.store.model_deployment(KEY)
        self.world.a_model_deployment(
            model={"version": version},
            traffic={"router": "gatewayAPI", "gatewayAPI": {"parentRefs": [PARENT]}},
            rollout={"steps": [{"weight": 20}, {"weight": 50}], "bake": "10s"},
            analysis={
                "poll": "10s",
                "minDuration": "30s",
                "deadline": "60s",
                "noDataTimeout": "30s",
                "metrics": [{"name": "errors"}],
                **analysis,
            },
        )
        if live is not None:  # the status and its generation stay
            now = self.world.api.one(MODEL_DEPLOYMENT, KEY.name)
            generation = live["metadata"]["generation"] + 1
            metadata = {**now["metadata"], "generation": generation}
            self.world.api.put({**now, "metadata": metadata, "status": live["status"]})

    def command(self, text: str) -> None:
        now = self.world.api.one(MODEL_DEPLOYMENT, KEY.name)
        annotations = {names.COMMAND_ANNOTATION: text}
        self.world.api.put({**now, "metadata": {**now["metadata"], "annotations": annotations}})

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.world.api.one(MODEL_DEPLOYMENT, KEY.name)["status"]
        return found

    @property
    def weight(self) -> int:
        found: int = self.status["rollout"]["weight"]
        return found

    def condition(self, kind: str) -> tuple[str, str, str]:
        told = next(each for each in self.status["conditions"] if each["type"] == kind)
        return told["status"], told["reason"], told["message"]

    def decided(self) -> list[str]:
        return [each["action"] for each in self.status.get("decisions", [])]

    def status_writes(self) -> int:
        return sum(verb == "status" for verb, _, _ in self.world.api.asked)

    # ------------------------------------------------------------------ time

    async def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            wake = await self._walk_to_rest()
            step = 5.0 if wake is None else min(max(wake.total_seconds(), 0.01), 5.0)
            self._advance(min(step, end - self.now))

    async def until(self, phase: str, *, seconds: float = 400.0) -> None:
        end = self.now + seconds
        await self.pass_time(1.0)
        while self.status["phase"] != phase:
            assert self.now < end, f"{phase} never came: {self.status['phase']}, {self.status['message']}"
            await self.pass_time(1.0)

    async def _walk_to_rest(self) -> timedelta | None:
        for _ in range(60):
            wake = await reconcile(KEY, self.ports, datetime.fromtimestamp(self.now, UTC))
            moved = self._cluster_moves()
            under_way = list(self.measurements._under_way.values())
            await asyncio.gather(*under_way)
            if wake != timedelta(0) and not moved and not under_way:
                return wake
        raise AssertionError("it never comes to rest")

    def _advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            to = min(self._scraped + SCRAPE, end)
            self.gateway.serve(to - self.now, self._weights())
            self.now = to
            if self.now >= self._scraped + SCRAPE:
                self._scraped += SCRAPE
                self.gateway.scrape(self.now)
        self._tick()

    def _weights(self) -> dict[str, int]:
        route = self.world.api.store.get(HTTP_ROUTE, KEY.namespace, KEY.name)
        if route is None:
            return {}
        prefix = names.workload_name(KEY.name, "")
        backends = route["spec"]["rules"][0]["backendRefs"]
        return {each["name"].removeprefix(prefix): each.get("weight", 1) for each in backends}

    # ------------------------------------------------------------------ what the cluster's controllers do

    def _cluster_moves(self) -> bool:
        """Pods for each Deployment, ready at once; an answer of the gateway for the route. Whether anything moved."""
        api, moved = self.world.api, False
        deployments = {each["metadata"]["name"]: each for each in api.store.of_kind(DEPLOYMENT)}
        for name, deployment in deployments.items():
            if api.store.get(POD, KEY.namespace, f"{name}-5d9f8c6b5-x2x4z") is None:
                self._start_pod(name, deployment["metadata"]["labels"][names.REVISION_LABEL])
                moved = True
        route = api.store.get(HTTP_ROUTE, KEY.namespace, KEY.name)
        if route is not None and _answered(route) != route["metadata"]["generation"]:
            told = [
                {"type": kind, "status": "True", "observedGeneration": route["metadata"]["generation"]}
                for kind in ("Accepted", "ResolvedRefs")
            ]
            api.put({**route, "status": {"parents": [{"parentRef": PARENT, "conditions": told}]}})
            moved = True
        return moved

    def _start_pod(self, workload: str, revision: str) -> None:
        began = datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        labels = {
            "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
            names.DEPLOYMENT_LABEL: KEY.name,
            names.REVISION_LABEL: revision,
        }
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{workload}-5d9f8c6b5", "controller": True}
        pod = {
            "name": f"{workload}-5d9f8c6b5-x2x4z",
            "namespace": KEY.namespace,
            "labels": labels,
            "creationTimestamp": began,
            "ownerReferences": [{**owner, "uid": "rs"}],
        }
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": began}
        container = {"name": "server", "ports": [{"name": "http", "containerPort": 8080}]}
        self.world.api.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": pod,
                "spec": {"nodeName": "n", "containers": [container]},
                "status": {"phase": "Running", "startTime": began, "conditions": [ready], "containerStatuses": []},
            }
        )
        endpoint = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}
        self.world.api.put(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{workload}-abcde",
                    "namespace": KEY.namespace,
                    "labels": {**labels, "kubernetes.io/service-name": workload},
                },
                "addressType": "IPv4",
                "endpoints": [{**endpoint, "targetRef": {"kind": "Pod", "name": pod["name"]}}],
            }
        )


def _answered(route: Live) -> int:
    parents = (route.get("status") or {}).get("parents") or [{"conditions": [{"observedGeneration": 0}]}]
    found: int = parents[0]["conditions"][0]["observedGeneration"]
    return found


@contextmanager
def a_rollout(**settings: object) -> Iterator[Rollout]:
    with serving(Script()) as script:
        rollout = Rollout(script, **settings)
        yield rollout
        rollout.providers.close()


async def at_first_step(rollout: Rollout, *, bad: float = 0.01) -> str:
    """Version 1 serves, version 2 has had 20 % for a few seconds; its revision."""
    rollout.apply("1")
    await rollout.until("Stable")
    rollout.apply("2")
    await rollout.until("Progressing")
    while rollout.weight != 20:
        await rollout.pass_time(1.0)
    candidate: str = rollout.status["rollout"]["candidate"]
    rollout.gateway.bad[candidate] = bad
    return candidate
