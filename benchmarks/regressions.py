"""Candidates that are worse in one way each, and good ones while something else goes wrong: how each is to end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.arena import Arena, Ending
from benchmarks.upsets import pods_go, servers_become

BASE_ERROR_RATE = 0.005
MEDIAN = 0.04
"""Seconds in which stable answers, where latency is what differs: among the buckets of the gateway."""
STABLE, CANARY = "stable", "canary"
BAKE = "3s"
ANALYSIS = {"poll": "1s", "minDuration": "5s", "minRequests": 30, "warmup": "3s", "noDataTimeout": "8s"}
"""Only times and minRequests are hurried; metrics, margins and alpha are the defaults."""
HELD_FOR = 40.0
"""Seconds for which nothing may move where holding is wanted: beyond the deadline and noDataTimeout."""
FROM_SERVERS: Mapping[str, Any] = {"source": "server", "metrics": [{"name": "errors"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What happens in the middle of the rollout, a moment after the candidate got the weight."""

    weight: int
    happens: Callable[[Arena], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    what: str
    wanted: Ending
    rate: float
    weights: tuple[int, ...] = (20, 50)
    deadline: int = 20
    """Seconds of each step."""
    latency: float = 0.0
    """Seconds of stable's median answer; 0: at once."""
    canary_error_rate: float = BASE_ERROR_RATE
    canary_slower: float = 1.0
    turn: Turn | None = None
    analysis: Mapping[str, Any] = field(default_factory=dict)

    @property
    def patience(self) -> float:
        return HELD_FOR if self.wanted is Ending.HELD else self.deadline * len(self.weights) + 30.0

    @property
    def from_servers(self) -> bool:
        return self.analysis.get("source") == "server"

    def manifest(self, here: Arena, version: str) -> dict[str, Any]:
        canary = version == CANARY
        env = {"LATENCY": str(self.latency * (self.canary_slower if canary else 1))}
        runtime: dict[str, Any] = {}
        if self.from_servers:
            env |= {"PORT": "8080", "METRICS_PORT": "8082", "MODEL_VERSION": version}
            runtime = {"preset": "mlserver"}
        return here.manifest(
            version,
            self.canary_error_rate if canary else BASE_ERROR_RATE,
            env=env,
            runtime=runtime,
            rollout={"steps": [{"weight": weight} for weight in self.weights], "bake": BAKE},
            analysis={**ANALYSIS, "deadline": f"{self.deadline}s", **self.analysis},
        )


def _both_fail(here: Arena) -> None:
    servers_become(here, "stable", error_rate="0.2")
    servers_become(here, "candidate", error_rate="0.2")


BACK, ON, HELD = Ending.ROLLED_BACK, Ending.PROMOTED, Ending.HELD
LATE = Turn(weight=50, happens=lambda here: servers_become(here, "candidate", error_rate="0.2"))
BOTH = Turn(weight=20, happens=_both_fail)
RESTART = Turn(weight=20, happens=lambda here: pods_go(here, "stable"))
LOST = Turn(weight=20, happens=lambda here: servers_become(here, "candidate", metrics="off"))
WAVES = (
    (
        Case(
            name="errors-50",
            what="fails 50 %",
            wanted=BACK,
            rate=10,
            weights=(10, 50),
            deadline=60,
            canary_error_rate=0.5,
        ),
        Case(name="errors-5", what="fails 5 %", wanted=BACK, rate=20, deadline=150, canary_error_rate=0.05),
        Case(
            name="errors-1-5",
            what="fails 1.5 %",
            wanted=BACK,
            rate=90,
            weights=(50,),
            deadline=420,
            canary_error_rate=0.015,
        ),
    ),
    (
        Case(
            name="slower-by-half",
            what="50 % slower",
            wanted=BACK,
            rate=25,
            deadline=150,
            latency=MEDIAN,
            canary_slower=1.5,
        ),
        Case(
            name="slower-x3",
            what="three times as slow",
            wanted=BACK,
            rate=25,
            deadline=150,
            latency=MEDIAN,
            canary_slower=3,
        ),
        Case(name="late", what="fails 20 %, in the last step only", wanted=BACK, rate=20, weights=(10, 50), turn=LATE),
        Case(name="both", what="both versions begin to fail 20 %", wanted=ON, rate=15, turn=BOTH),
        Case(name="restart", what="all stable pods restart", wanted=ON, rate=15, turn=RESTART),
        Case(
            name="restart-server",
            what="all stable pods restart, `source: server`",
            wanted=ON,
            rate=15,
            turn=RESTART,
            analysis=FROM_SERVERS,
        ),
        Case(
            name="unmeasured",
            what="loses its metrics endpoint, `source: server`",
            wanted=HELD,
            rate=15,
            turn=LOST,
            analysis=FROM_SERVERS,
        ),
    ),
)
"""Played at the same time within a wave: together about 120 requests a second."""
