"""What really happened on the cluster, in order: watches of the kinds that matter, merged by resourceVersion.

A test waits for a fact here, without asking the API server again and again, and afterwards asks in which order
things came about. One etcd numbers all changes, so the order is the true one across kinds.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.e2e.api import Api, Live

KINDS = (
    "ModelDeployment",
    "HTTPRoute",
    "Deployment",
    "Service",
    "EndpointSlice",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Pod",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    version: int
    kind: str
    gone: bool
    live: Live
    at: float
    """Seconds of time.monotonic() when we heard of it."""

    @property
    def namespace(self) -> str:
        return str(self.live["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.live["metadata"]["name"])


class History:
    """Hears everything from its start on; lives as long as the session."""

    def __init__(self, api: Api) -> None:
        self._news = threading.Condition()
        self._changes: list[Change] = []
        self._now: dict[tuple[str, str, str], Live] = {}
        self._lost = ""
        for kind in KINDS:
            there, stream = api.watch(kind)
            for live in there:
                self._heard(kind, "ADDED", live)
            threading.Thread(target=self._listen, args=(kind, stream), name=f"watch {kind}", daemon=True).start()

    def get(self, kind: str, namespace: str, name: str) -> Live | None:
        with self._news:
            return self._now.get((kind, namespace, name))

    def all(self, kind: str, namespace: str) -> list[Live]:
        with self._news:
            return [live for (k, n, _), live in self._now.items() if (k, n) == (kind, namespace)]

    def of(self, namespace: str) -> list[Change]:
        """Everything that happened in a namespace, in the order in which it did."""
        with self._news:
            mine = [change for change in self._changes if change.namespace == namespace]
        return sorted(mine, key=lambda change: change.version)

    def until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Look whenever something changed; False when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            with self._news:
                heard = len(self._changes)
            if true():  # without the lock: it may ask others, and take its time
                return True
            with self._news:
                assert not self._lost, f"a watch ended: {self._lost}"
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                if len(self._changes) == heard:
                    self._news.wait(min(left, 1.0))  # what is asked may also look at things outside of the history

    def _listen(self, kind: str, stream: Iterator[Live]) -> None:
        try:
            for event in stream:
                self._heard(kind, event["type"], event["object"])
            ending = "without an error"
        except Exception as error:  # noqa: BLE001 -- whatever it was, whoever waits must hear of it
            ending = repr(error)
        with self._news:
            self._lost = f"{kind}: {ending}"
            self._news.notify_all()

    def _heard(self, kind: str, what: str, live: Live) -> None:
        metadata = live["metadata"]
        metadata.pop("managedFields", None)
        change = Change(
            version=int(metadata["resourceVersion"]), kind=kind, gone=what == "DELETED", live=live, at=time.monotonic()
        )
        key = (kind, change.namespace, change.name)
        with self._news:
            self._changes.append(change)
            if change.gone:
                self._now.pop(key, None)
            else:
                self._now[key] = live
            self._news.notify_all()


def weights_of(route: Live) -> dict[str, int]:
    """Weight by backend Service of an HTTPRoute of ours."""
    backends: list[dict[str, Any]] = route["spec"]["rules"][0]["backendRefs"]
    return {backend["name"]: backend.get("weight", 1) for backend in backends}


def raised_without_a_ready_pod(changes: list[Change]) -> list[str]:
    """Every time that a route gave more traffic to a Service that had no ready endpoint at that moment."""
    ready: dict[str, dict[str, int]] = {}
    before: dict[str, dict[str, int]] = {}
    wrong = []
    for change in changes:
        if change.kind == "EndpointSlice":
            service = change.live["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
            pieces = ready.setdefault(service, {})
            pieces[change.name] = 0 if change.gone else _ready_endpoints(change.live)
        if change.kind != "HTTPRoute" or change.gone or "modelrollout.dev/deployment" not in _labels(change.live):
            continue
        weights, previous = weights_of(change.live), before.get(change.name, {})
        before[change.name] = weights
        wrong += [
            f"{change.name}: {service} went from {previous.get(service, 0)} to {weight} with no ready endpoint"
            for service, weight in weights.items()
            if weight > previous.get(service, 0) and not sum(ready.get(service, {}).values())
        ]
    return wrong


def removed_under_traffic(changes: list[Change]) -> list[str]:
    """Every Deployment that went while the route of a ModelDeployment that stays still sent it requests."""
    weights: dict[str, int] = {}
    leaving: set[str] = set()
    wrong = []
    for change in changes:
        if change.kind == "HTTPRoute" and "modelrollout.dev/deployment" in _labels(change.live):
            weights = {} if change.gone else weights_of(change.live)
        if change.kind == "ModelDeployment" and (change.gone or "deletionTimestamp" in change.live["metadata"]):
            leaving.add(change.name)
        owner = _labels(change.live).get("modelrollout.dev/deployment", "")
        by_hand = change.live["metadata"].get("annotations", {}).get("e2e/by-hand")
        if change.kind == "Deployment" and change.gone and weights.get(change.name) and owner not in leaving:
            wrong += [] if by_hand else [f"{change.name} was removed at weight {weights[change.name]}"]
    return wrong


def _labels(live: Live) -> dict[str, str]:
    labels: dict[str, str] = live["metadata"].get("labels") or {}
    return labels


def _ready_endpoints(piece: Live) -> int:
    return sum(bool(each.get("conditions", {}).get("ready", True)) for each in piece.get("endpoints") or ())
