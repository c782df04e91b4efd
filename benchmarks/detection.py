"""How long users meet a bad canary: from its first failure that a user saw to the last request that reached it."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import audit
from benchmarks.arena import NAMESPACE, Arena, arena, say, wait_without_pods_of_others
from benchmarks.exposure import Exposure
from benchmarks.load import Request, sending
from benchmarks.result import Result, Spread, Table, Target

REPETITIONS = 12
RATE = 50.0
WEIGHT = 10
ERROR_RATE = 0.5
BASE_ERROR_RATE = 0.005
LIMIT = 4.0
SPEC = {
    "rollout": {"steps": [{"weight": WEIGHT}, {"weight": 50}], "bake": "5s"},
    "analysis": {"poll": "1s"},
}
"""Everything else is the default: both metrics, their margins, alpha, minBad."""
SETTLING = 12.0
"""Seconds of traffic before the first canary, so that stable has a past in Prometheus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Seconds are counted from the first failure of the candidate that a user saw."""

    decided: float
    """The rollback is written into the status."""
    routed: float
    """The route is written without the candidate."""
    last: float
    """The last user was answered by the candidate."""
    reached: int
    """Requests that the candidate answered, from its first request on."""
    failed: int
    """Of those."""
    others_failed: int
    """Failures of everybody else, from the candidate's first request to its last: stable's own, and the gateway's."""

    @classmethod
    def of(cls, requests: Sequence[Request], writes: Sequence[audit.Asked], version: str) -> "Detection":
        seen = Exposure.of(requests, version)
        first, last = seen.first_bad, seen.last
        after = [each for each in writes if each.ended > first]
        routed = next(each.ended for each in after if each.verb == "patch" and each.resource == "httproutes")
        decided = max(
            each.ended for each in after if each.resource == "modeldeployments/status" and each.ended < routed
        )
        meanwhile = [each for each in requests if seen.begun <= each.answered <= last and each.version != version]
        return cls(
            decided=decided - first,
            routed=routed - first,
            last=last - first,
            reached=seen.reached,
            failed=seen.failed,
            others_failed=sum(each.failed for each in meanwhile),
        )

    def row(self, number: int) -> tuple[str, ...]:
        times = (f"{each:.2f}" for each in (self.decided, self.routed, self.last))
        return (str(number), *times, str(self.reached), str(self.failed), str(self.others_failed))


def measure(repetitions: int | None) -> Result:
    count = REPETITIONS if repetitions is None else repetitions
    with arena() as here:
        here.deploy_first(here.manifest("stable", BASE_ERROR_RATE, **SPEC))
        with sending(here.target(), rate=RATE, records=here.records):
            time.sleep(SETTLING)
            for number in range(1, count + 1):
                _one(here, f"bad-{number}")
        writes = [each for each in here.audited(audit.OPERATOR) if each.namespace == NAMESPACE]
        requests = here.requests
    return told([Detection.of(requests, writes, f"bad-{number}") for number in range(1, count + 1)])


def _one(here: Arena, version: str) -> None:
    time.sleep(random.random())
    here.kubectl.apply(here.manifest(version, ERROR_RATE, **SPEC))
    status, _ = here.until(
        lambda status: status.phase == "RolledBack" and status.aborted_version == version,
        f"version {version} is taken back",
        seconds=90,
    )
    say(f"{version}: {status.decisions[-1].message if status.decisions else status.message}")
    wait_without_pods_of_others(here)


def told(found: Sequence[Detection]) -> Result:
    last, failed = Spread.of([each.last for each in found]), Spread.of([each.failed for each in found])
    decided, routed = Spread.of([each.decided for each in found]), Spread.of([each.routed for each in found])
    parts = Spread.of([each.last - each.routed for each in found])
    return Result(
        title="How long users meet a bad canary",
        measured=f"A canary that fails {100 * ERROR_RATE:g} % of its requests, at {RATE:g} requests a second and "
        f"{WEIGHT} % weight, beside a stable version that fails {100 * BASE_ERROR_RATE:g} %; Prometheus scrapes every "
        "second, `analysis.poll` is 1s, everything else of the analysis is the default. From the moment at which a "
        "user was answered with the canary's first failure to the moment at which the last user was answered by the "
        "canary.",
        targets=(
            Target.at_most("seconds from the first failure to the last request, median", LIMIT, last.median, " s"),
        ),
        tables=(
            Table(
                title="In short",
                head=("from the first failure", "median", "min", "max"),
                rows=(
                    ("to the rollback in the status, s", *decided.cells()),
                    ("to the route without the canary, s", *routed.cells()),
                    ("**to the last request at the canary, s**", *last.cells()),
                    ("of that, the gateway after the route, s", *parts.cells()),
                    ("**failed requests of the canary**", *failed.cells(0)),
                ),
            ),
            Table(
                title="Each repetition",
                head=("", "decided, s", "routed, s", "last request, s", "requests", "failed", "others failed"),
                rows=tuple(each.row(number) for number, each in enumerate(found, start=1)),
            ),
        ),
        remarks=(
            (
                "Operator in the cluster, two replicas, installed from manifests/install.yaml; Traefik behind the "
                "Gateway API; everything, users included, on this machine."
            ),
            (
                "The server is a user's own image (`preset: custom`, `analysis.source: gateway`): a few lines of "
                "Python that answer in about a millisecond, so that two cores measure the rollout and not the model."
            ),
            (
                "The canary is bad from its first request on. One that turns bad later has good requests "
                "behind it, which weigh against the bad ones: it takes longer."
            ),
            (
                "“decided” and “routed” are the API server's own times from its audit log; failures are those that "
                "users saw. “requests” and “failed” count all of the canary, those before its first failure too. "
                "“others failed”: in the same time, stable's 0.5 % and whatever the gateway itself failed."
            ),
        ),
    )
