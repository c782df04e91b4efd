"""CPU of one walk, station by station, in this process: real objects, real code, and no requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import median

from prometheus_client import CollectorRegistry

from modelrollout.cluster.kinds import Live
from modelrollout.cluster.observe import observe
from modelrollout.cluster.store import WatchStore
from modelrollout.controller.carry_out import carry_out
from modelrollout.controller.evidence_store import EvidenceStore
from modelrollout.controller.ports import Ports
from modelrollout.controller.reconcile import reconcile
from modelrollout.decide.evidence import absorb, begin, enter_step, measure_since
from modelrollout.decide.plan import plan
from modelrollout.decide.report import status_of
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import Key
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Measure
from modelrollout.render.presets import refusal
from modelrollout.render.templates import Templates
from modelrollout.routers.gateway_api import GatewayApiRouter
from modelrollout.telemetry import Telemetry
from tests.decide.simulated import ARMS, World

BATCHES = 7
SECONDS_OF_EVIDENCE = 40
"""Below a minute: then the evidence is saved, by a walk that is no usual one."""


class WroteError(AssertionError):
    """A walk that should have written nothing did."""


class Silent:
    """An API that answers writes of the status at once, keeps nothing, and counts them; no other write may come."""

    def __init__(self) -> None:
        self.statuses = 0

    async def patch_status(self, observed: Observed, status: Fragment) -> Live:
        self.statuses += 1
        return {"metadata": {"name": observed.key.name}, "status": status.mapping}

    async def event(self, observed: Observed, *, reason: str, message: str, warning: bool) -> None: ...

    async def apply(self, manifest: Fragment, *, resource_version: str | None = None) -> Live:
        about = manifest.mapping
        raise WroteError(f"apply {about['kind']} {about['metadata']['name']}, seen at {resource_version}")

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Live | None:
        raise WroteError(f"get {api_version} {kind} {namespace}/{name}")

    async def delete(self, live: Live) -> None:
        raise WroteError(f"delete {live['kind']}")

    async def scale(self, live: Live, replicas: int) -> None:
        raise WroteError(f"scale {live['metadata']['name']} to {replicas}")


class Asked:
    """Takes measurements and asks nobody."""

    def __init__(self) -> None:
        self.last: tuple[Measure, Key] | None = None

    def start(self, action: Measure, observed: Observed) -> None:
        self.last = action, observed.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """All that a walk touches."""

    ports: Ports
    api: Silent
    asked: Asked
    evidence: EvidenceStore

    @classmethod
    def of(cls, lives: Sequence[Live]) -> "Desk":
        store, evidence, templates = WatchStore(), EvidenceStore(), Templates.load()
        for live in lives:
            store.put(live)
        api, asked = Silent(), Asked()
        routers = {"gatewayAPI": GatewayApiRouter(api, templates, store.children)}
        ports = Ports(
            observe=lambda key: observe(
                key, store, routers, evidence.of, lambda desired: refusal(desired.model, desired.runtime)
            ),
            children=store.children,
            api=api,
            routers=routers,
            templates=templates,
            measurements=asked,
            telemetry=Telemetry(CollectorRegistry()),
            forget=lambda _: None,
        )
        return cls(ports=ports, api=api, asked=asked, evidence=evidence)

    def observed(self, key: Key) -> Observed:
        observed = self.ports.observe(key)
        assert observed is not None
        return observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Microseconds of CPU of each station, and of the whole."""

    observe: float
    plan: float
    render: float
    """Render every object that should be there and compare it with what is."""
    report: float
    whole: float

    def cells(self) -> tuple[str, ...]:
        return tuple(f"{each:.0f}" for each in (self.observe, self.plan, self.render, self.report, self.whole))


async def walked(desk: Desk, keys: Sequence[Key], now: datetime, *, rounds: int) -> Walk:
    """Each key in turn, `rounds` times in a batch; the median batch."""
    ports = desk.ports
    observed = {key: desk.observed(key) for key in keys}
    live = {key: ports.children(key) for key in keys}
    plans = {key: plan(observed[key], now) for key in keys}
    outcomes = {key: await carry_out(plans[key].actions, observed[key], live[key], ports) for key in keys}

    async def observing(key: Key) -> None:
        ports.observe(key)

    async def planning(key: Key) -> None:
        plan(observed[key], now)

    async def rendering(key: Key) -> None:
        await carry_out(plans[key].actions, observed[key], live[key], ports)

    async def reporting(key: Key) -> None:
        status_of(observed[key], plans[key], outcomes[key], now)

    async def whole(key: Key) -> None:
        await reconcile(key, ports, now)

    return Walk(
        observe=await _cost(observing, keys, rounds),
        plan=await _cost(planning, keys, rounds),
        render=await _cost(rendering, keys, rounds),
        report=await _cost(reporting, keys, rounds),
        whole=await _cost(whole, keys, rounds),
    )


async def _cost(work: Callable[[Key], Awaitable[None]], keys: Sequence[Key], rounds: int) -> float:
    """Microseconds of CPU of one call: the median of some batches."""
    batches = []
    for _ in range(BATCHES):
        began = time.process_time_ns()
        for _ in range(rounds):
            for key in keys:
                await work(key)
        batches.append((time.process_time_ns() - began) / 1000 / rounds / len(keys))
        await asyncio.sleep(0)
    return median(batches)


def with_evidence(desk: Desk, key: Key) -> datetime:
    """Give a canary some evidence, as polls of every second would have left it; the time just after."""
    observed = desk.observed(key)
    intent = observed.intent
    assert intent.stable and intent.candidate and intent.since and intent.started_at
    shift = intent.since.timestamp() - _BEGAN
    grown = _gathered(seconds=SECONDS_OF_EVIDENCE)[0]
    assert grown.last_eval is not None
    evidence = replace(
        grown,
        stable=intent.stable,
        candidate=intent.candidate,
        attempt=str(intent.attempt),
        started_at=intent.started_at.timestamp(),
        step=0,
        step_at=intent.since.timestamp(),
        weight=intent.weight,
        last_eval=round(grown.last_eval + shift, 3),
        block_start=grown.block_start + shift,
        last_data_at=grown.last_data_at + shift,
        recent=tuple(replace(each, start=each.start + shift, end=each.end + shift) for each in grown.recent),
    )
    desk.evidence.put(key, observed.uid, evidence)
    return datetime.fromtimestamp(evidence.last_eval or 0.0, UTC) + timedelta(seconds=1.6)


_BEGAN = 65.0
_SETTINGS = AnalysisSettings(poll=timedelta(seconds=1), warmup=timedelta(0))


def _gathered(seconds: int) -> tuple[Evidence, World]:
    world = World(seed=1, rps=100, scrape=1.0)
    world.run_to(_BEGAN)
    evidence = begin(_SETTINGS, stable="old", candidate="new", attempt="1", steps=2, at=_BEGAN)
    world.weight = 10
    evidence = enter_step(evidence, _SETTINGS, step=0, weight=10, at=_BEGAN)
    for second in range(1, seconds + 1):
        world.run_to(_BEGAN + second)
        evidence = absorb(evidence, _SETTINGS, world.poll(world.now, measure_since(evidence)), ARMS)
    return evidence, world


def cost_of_a_poll(rounds: int = 100) -> float:
    """Microseconds of CPU until the answers of one poll have joined the evidence."""
    evidence, world = _gathered(SECONDS_OF_EVIDENCE)
    world.run_to(world.now + 1)
    poll = world.poll(world.now, measure_since(evidence))
    batches = []
    for _ in range(BATCHES):
        began = time.process_time_ns()
        for _ in range(rounds):
            absorb(evidence, _SETTINGS, poll, ARMS)
        batches.append((time.process_time_ns() - began) / 1000 / rounds)
    return median(batches)
