"""Where one test plays: a namespace, what it applies there, what it waits for."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo import users
from demo.load import Target, sending
from tests.e2e.api import Live
from tests.e2e.history import KINDS, Change, weights_of
from tests.e2e.operators import Operators
from tests.e2e.specs import BY_TIME, Document, a_rollout, a_server, through_the_gateway
from tests.e2e.world import World

PATIENCE = 60.0
"""Seconds: far beyond what anything here takes; whoever waits them out has failed."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a ModelDeployment."""

    live: Live

    @property
    def status(self) -> dict[str, Any]:
        return self.live.get("status") or {}

    @property
    def rollout(self) -> dict[str, Any]:
        return self.status.get("rollout") or {}

    @property
    def is_current(self) -> bool:
        return bool(self.status.get("observedGeneration") == self.live["metadata"]["generation"])

    @property
    def phase(self) -> str:
        return str(self.status.get("phase", ""))

    @property
    def message(self) -> str:
        return str(self.status.get("message", ""))

    @property
    def stable(self) -> str:
        return str(self.rollout.get("stable") or "")

    @property
    def candidate(self) -> str:
        return str(self.rollout.get("candidate") or "")

    @property
    def weight(self) -> int:
        return int(self.rollout.get("weight", 0))

    @property
    def aborted(self) -> dict[str, Any]:
        return self.rollout.get("aborted") or {}

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Action and revision of each, the oldest first."""
        return [(each["action"], each.get("revision", "")) for each in self.status.get("decisions", [])]

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason."""
        found = self._found(kind)
        return found.get("status", ""), found.get("reason", "")

    def said(self, kind: str) -> str:
        return str(self._found(kind).get("message", ""))

    def _found(self, kind: str) -> dict[str, Any]:
        conditions: list[dict[str, Any]] = self.status.get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    def is_stable(self) -> bool:
        return self.is_current and self.phase == "Stable" and self.condition("Ready")[0] == "True"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    world: World
    operators: Operators
    namespace: str
    notes: list[tuple[str, object]] = field(default_factory=list)
    """What was measured, for the report."""

    def model(self, version: str = "1", name: str = "model", **given: Any) -> Document:
        """Our little server behind the Gateway, by time alone; `given` replaces parts of the spec."""
        spec = {
            "model": {"version": version},
            "runtime": a_server(self.world.image),
            "traffic": through_the_gateway(self.host(name)),
            "rollout": a_rollout(20, 50),
            "analysis": BY_TIME,
            **given,
        }
        metadata = {"name": name, "namespace": self.namespace}
        return {
            "apiVersion": "modelrollout.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": metadata,
            "spec": spec,
        }

    def host(self, name: str = "model") -> str:
        return f"{name}.{self.namespace}.example.com"

    def apply(self, document: Document) -> None:
        self._heard(self.world.api.apply(document))

    def deploy(self, document: Document) -> str:
        """Apply it and wait until it is Stable; the revision that serves."""
        self.apply(document)
        return self.until_stable(document["metadata"]["name"]).stable

    def look(self, name: str = "model") -> Look:
        live = self.world.history.get("ModelDeployment", self.namespace, name)
        return Look(live or {"metadata": {"generation": 0}})

    def child(self, kind: str, name: str = "model") -> Live:
        live = self.world.history.get(kind, self.namespace, name)
        assert live is not None, f"no {kind} {name}"
        return live

    def names(self, kind: str) -> set[str]:
        return {live["metadata"]["name"] for live in self.world.history.all(kind, self.namespace)}

    def command(self, command: str, name: str = "model") -> None:
        patch = {"metadata": {"annotations": {"modelrollout.dev/command": command}}}
        self._heard(self.world.api.merge("ModelDeployment", self.namespace, name, patch))

    def change(self, spec: Document, name: str = "model") -> None:
        """As `kubectl patch --type=merge` does."""
        self._heard(self.world.api.merge("ModelDeployment", self.namespace, name, {"spec": spec}))

    def weights(self, name: str = "model") -> dict[str, int]:
        """Of the route, by revision."""
        live = self.world.history.get("HTTPRoute", self.namespace, name)
        seen = weights_of(live) if live else {}
        return {service.removeprefix(f"{name}-"): weight for service, weight in seen.items()}

    def until(self, what: str, true: Callable[[Look], bool], name: str = "model", seconds: float = PATIENCE) -> Look:
        """Wait for a fact about a ModelDeployment whose operator has seen its present spec."""
        looks = [self.look(name)]

        def so() -> bool:
            looks.append(self.look(name))
            return looks[-1].is_current and true(looks[-1])

        self.until_so(what, so, name=name, seconds=seconds)
        return looks[-1]

    def until_so(self, what: str, true: Callable[[], bool], *, name: str = "model", seconds: float = PATIENCE) -> None:
        if not self.world.history.until(true, seconds):
            raise AssertionError(f"not within {seconds:.0f} s: {what}\n{self._scene(name)}")

    def until_stable(self, name: str = "model") -> Look:
        return self.until("Stable and Ready", Look.is_stable, name)

    def until_weight(self, weight: int, name: str = "model") -> Look:
        """Until the candidate has that weight, decided and seen on the route."""
        return self.until(
            f"weight {weight} in effect",
            lambda look: look.weight == weight and self.weights(name).get(look.candidate) == weight,
            name,
        )

    def stays(self, seconds: float, true: Callable[[Look], bool], name: str = "model") -> None:
        """For what must not happen: nothing tells of it, so there is only time."""
        changed = self.world.history.until(lambda: not true(self.look(name)), seconds)
        assert not changed, self._scene(name)

    def happened(self) -> list[Change]:
        return self.world.history.of(self.namespace)

    def route_of(self, revision: str, name: str = "model") -> list[int]:
        """The weights that the route gave to a revision, one after the other."""
        service, told = f"{name}-{revision}", [0]
        for change in self.happened():
            if change.kind == "HTTPRoute" and change.name == name and not change.gone:
                weight = weights_of(change.live).get(service, 0)
                told += [weight] if weight != told[-1] else []
        return told[1:]

    @contextmanager
    def requests(
        self, rate: float, name: str = "model", path: str = "/"
    ) -> Iterator[Callable[[], Sequence[users.Record]]]:
        """Users, through the Gateway, open loop; gives what they have seen so far."""
        target = Target(url=f"http://{self.world.gateway}{path}", host=self.host(name))
        with tempfile.TemporaryDirectory(prefix="modelrollout-e2e-") as folder:
            records = Path(folder) / "requests.tsv"
            records.touch()
            with sending(target, rate=rate, records=records):
                yield lambda: users.read(records.read_text().splitlines(keepends=True))

    def _heard(self, written: Live) -> None:
        """Until the history knows what we wrote: what is older would look as if it were settled already."""
        kind, name = written["kind"], written["metadata"]["name"]
        if kind not in KINDS:
            return

        def known() -> bool:
            live = self.world.history.get(kind, self.namespace, name)
            return bool(
                live and int(live["metadata"]["resourceVersion"]) >= int(written["metadata"]["resourceVersion"])
            )

        self.until_so(f"the watch tells of {kind} {name}", known, name=name)

    def _scene(self, name: str) -> str:
        """For whoever reads a failed test."""
        status = json.dumps(self.look(name).status, indent=1)
        pods = [
            f"{pod['metadata']['name']} {json.dumps(pod.get('status', {}).get('containerStatuses', pod['status']))[:400]}"
            for pod in self.world.history.all("Pod", self.namespace)
        ]
        moment = time.strftime("%H:%M:%S")
        return "\n".join((moment, status, f"route: {self.weights(name)}", *pods, self.operators.last_words()))
