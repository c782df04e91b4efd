"""A walk's ports in memory: the real observation, decision and rendering around a fake API."""

from typing import Any

from prometheus_client import CollectorRegistry

from modelrollout.cluster.observe import observe
from modelrollout.controller.evidence_store import EvidenceStore
from modelrollout.controller.ports import Ports, TrafficRouter
from modelrollout.domain.model_deployment import Key
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Measure
from modelrollout.render.templates import Templates
from modelrollout.routers.gateway_api import GatewayApiRouter
from modelrollout.routers.replica_ratio import ReplicaRatioRouter
from modelrollout.telemetry import Telemetry
from tests.fakeapi.documents import a_model_deployment
from tests.fakeapi.memory import MemoryApi

KEY = Key(namespace="shop", name="sentiment")
TEMPLATES = Templates.load()


class Measurements:
    def __init__(self) -> None:
        self.started: list[Measure] = []

    def start(self, action: Measure, observed: Observed) -> None:
        self.started.append(action)


class World:
    def __init__(self) -> None:
        self.api = MemoryApi()
        self.measurements = Measurements()
        self.evidence = EvidenceStore()
        self.forgotten: list[Key] = []
        self.telemetry = Telemetry(CollectorRegistry())
        store = self.api.store
        routers: dict[str, TrafficRouter] = {
            "gatewayAPI": GatewayApiRouter(self.api, TEMPLATES, store.children),
            "replicaRatio": ReplicaRatioRouter(self.api, TEMPLATES, store.children),
        }
        self.ports = Ports(
            observe=lambda key: observe(key, store, routers, self.evidence.of, lambda _: None),
            children=store.children,
            api=self.api,
            routers=routers,
            templates=TEMPLATES,
            measurements=self.measurements,
            telemetry=self.telemetry,
            forget=self.forgotten.append,
        )

    def a_model_deployment(self, **spec: Any) -> None:
        self.api.put(a_model_deployment(KEY.name, namespace=KEY.namespace, **spec))

    def observed(self) -> Observed:
        observed = self.ports.observe(KEY)
        assert observed is not None
        return observed
