"""How many healthy rollouts a real cluster takes back: both versions fail equally often, so every one is a mistake."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.arena import Arena, Ending, arena, say, wait_without_pods_of_others
from benchmarks.load import Request, sending
from benchmarks.result import Result, Spread, Table, Target

REPETITIONS = 10
RATE = 150.0
BASE_ERROR_RATE = 0.005
SPEC = {
    "rollout": {
        "steps": [{"weight": weight, "minDuration": "6s", "deadline": "12s"} for weight in (10, 50)],
        "bake": "3s",
    },
    "analysis": {"poll": "1s", "minDuration": "6s", "deadline": "12s", "minRequests": 100, "warmup": "3s"},
}
"""Only times are hurried; metrics, margins and alpha are the defaults."""
PATIENCE = 120.0
SETTLING = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    version: str
    ending: Ending
    seconds: float
    """From `kubectl apply`."""
    requests: int
    """That the candidate answered until the end."""
    failed: int
    elsewhere: int
    """Requests that nobody answered, or the gateway itself did."""
    message: str

    @property
    def undone(self) -> bool:
        return self.ending is Ending.ROLLED_BACK

    def row(self) -> tuple[str, ...]:
        share = f"{100 * self.failed / self.requests:.2f} %" if self.requests else "–"
        return (
            self.version,
            self.ending,
            f"{self.seconds:.1f}",
            str(self.requests),
            f"{self.failed} ({share})",
            str(self.elsewhere),
            self.message,
        )


def measure(repetitions: int | None) -> Result:
    count = REPETITIONS if repetitions is None else repetitions
    with arena() as here:
        here.deploy_first(here.manifest("v0", BASE_ERROR_RATE, **SPEC))
        with sending(here.target(), rate=RATE, records=here.records):
            time.sleep(SETTLING)
            spans = [_one(here, f"v{number}") for number in range(1, count + 1)]
        requests = here.requests
    return told([span.rollout(requests) for span in spans])


def _one(here: Arena, version: str) -> "Span":
    began = time.time()
    here.kubectl.apply(here.manifest(version, BASE_ERROR_RATE, **SPEC))
    ending, status, ended = here.until_ended(version, seconds=PATIENCE)
    message = next((each.message for each in reversed(status.decisions) if each.verdict), "")
    say(f"{version}: {ending} after {ended - began:.1f} s. {message}")
    wait_without_pods_of_others(here)
    return Span(version=version, ending=ending, began=began, ended=ended, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A rollout as its status told it; the users' side is read from the requests afterwards."""

    version: str
    ending: Ending
    began: float
    ended: float
    message: str

    def rollout(self, requests: Sequence[Request]) -> Rollout:
        during = [each for each in requests if self.began <= each.answered <= self.ended]
        mine = [each for each in during if each.version == self.version]
        return Rollout(
            version=self.version,
            ending=self.ending,
            seconds=self.ended - self.began,
            requests=len(mine),
            failed=sum(each.failed for each in mine),
            elsewhere=sum(not each.version for each in during),
            message=self.message,
        )


def told(rollouts: Sequence[Rollout]) -> Result:
    lasted = Spread.of([each.seconds for each in rollouts])
    lost = sum(each.elsewhere for each in rollouts)
    return Result(
        title="Healthy rollouts that were undone, on a cluster",
        measured=f"Both versions fail {100 * BASE_ERROR_RATE:g} % of their requests, at {RATE:g} requests a second "
        "through the Gateway; Prometheus scrapes and the operator polls every second; steps 10 → 50 → 100 %, 6 to "
        "12 s each, then a bake of 3 s. Errors and latency are judged with the default margins and alpha = 0.01; no "
        "proof of equality can be had in seconds, so steps end at their deadline with nothing against the candidate.",
        targets=(
            Target.none("healthy rollouts rolled back", sum(each.undone for each in rollouts), len(rollouts)),
            Target(
                what="requests that nobody answered, or the gateway failed",
                wanted="none",
                measured=str(lost),
                met=not lost,
            ),
        ),
        tables=(
            Table(
                title="Each rollout",
                head=("version", "ending", "s from apply", "requests", "failed", "unanswered", "last judgement"),
                rows=tuple(each.row() for each in rollouts),
            ),
            Table(
                title="Seconds from kubectl apply to the end",
                head=("median", "min", "max"),
                rows=(lasted.cells(1),),
            ),
        ),
        remarks=(
            (
                "Operator in the cluster, two replicas, installed from manifests/install.yaml; Traefik behind the "
                "Gateway API; everything, users included, on this machine."
            ),
            (
                "The server is a user's own image (`preset: custom`, `analysis.source: gateway`): a few lines of "
                "Python that answer in about a millisecond. “requests” and “failed” are the candidate's, as users "
                "saw them."
            ),
        ),
    )
