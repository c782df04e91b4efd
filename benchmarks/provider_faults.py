"""What a rollout does while its metrics provider fails in one way each, and afterwards: it holds, and goes on."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.arena import Arena, Ending, TookTooLongError, arena, say
from benchmarks.false_prometheus import OFF
from benchmarks.faults import FAULTS, Fault
from benchmarks.load import Request, sending
from benchmarks.provider import Provider, harmed
from benchmarks.result import Result, Table, Target
from demo.status import Condition, Status

RATE = 40.0
WEIGHT = 20
DEADLINE, NO_DATA_TIMEOUT = 9, 5
SPEC = {
    "rollout": {"steps": [{"weight": WEIGHT}, {"weight": 50, "minDuration": "1s", "deadline": "5s"}], "bake": "1s"},
    "analysis": {
        "poll": "1s",
        "minDuration": "3s",
        "deadline": f"{DEADLINE}s",
        "minRequests": 20,
        "noDataTimeout": f"{NO_DATA_TIMEOUT}s",
        "warmup": "1s",
    },
}
"""Times are hurried; metrics, margins and alpha are the defaults."""
SETTLING = 8.0
INTO_THE_STEP = 3.0
"""Seconds from the candidate's weight to the fault: before the deadline."""
LASTS = 20.0
"""Seconds: beyond the deadline and noDataTimeout."""
SOON = 60.0
CRASH_AFTER = 8.0
PODS_FAILED = ("CrashLoop", "ReadyPodsLost")
"""Why a candidate whose server exits again and again is taken back, whichever is seen first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a rollout did during a fault, and after it."""

    fault: Fault
    weights: tuple[int, ...]
    """The candidate's, one after the other, while the fault lasted; 0 once it is promoted."""
    ending: Ending | None
    """While it lasted; None: none, it was still at it."""
    told: Condition
    """AnalysisHealthy at the end of the fault."""
    held_after: float | None
    """Seconds from the fault to the phase Holding."""
    went_on_after: float | None = None
    """Seconds from the end of the fault until the candidate was promoted; None: it was not."""
    failed: int = 0
    """Requests of all users that failed meanwhile; no version fails any by itself."""

    @classmethod
    def of(
        cls, fault: Fault, before: Status, during: Sequence[tuple[Status, float]], *, began: float, version: str
    ) -> "Seen":
        statuses = [before, *(status for status, _ in during)]
        weights = [statuses[0].weight]
        for status in statuses:
            weights += [status.weight] if status.weight != weights[-1] else []
        return cls(
            fault=fault,
            weights=tuple(weights),
            ending=Ending.of(statuses[-1], version),
            told=statuses[-1].analysis_healthy,
            held_after=next((at - began for status, at in during if status.phase == "Holding"), None),
        )

    @property
    def stayed(self) -> bool:
        return self.weights == (WEIGHT,) and self.ending is None

    @property
    def as_wanted(self) -> bool:
        if not self.fault.reason:
            went_on = max(self.weights) > WEIGHT or self.ending is Ending.PROMOTED
            return went_on and self.held_after is None and self.went_on_after is not None and not self.failed
        told = self.told
        said = (told.status, told.reason) == ("Unknown", self.fault.reason) and self.fault.says in told.message
        return (
            self.stayed and said and self.held_after is not None and self.went_on_after is not None and not self.failed
        )

    @property
    def measured(self) -> str:
        if self.ending is not None:
            return str(self.ending)
        where = f"stays at {WEIGHT} %" if self.stayed else f"goes {' → '.join(map(str, self.weights))} %"
        held = f"holds after {self.held_after:.0f} s" if self.held_after is not None else "does not hold"
        after = "never goes on" if self.went_on_after is None else "goes on"
        return f"{where}, {held}, {self.told.status}/{self.told.reason}: “{self.told.message}”, then {after}"

    def row(self) -> tuple[str, ...]:
        held, went_on = ("–" if each is None else f"{each:.1f}" for each in (self.held_after, self.went_on_after))
        weights = " → ".join(map(str, self.weights))
        return (self.fault.what, weights, held, f"{self.told.status}/{self.told.reason}", went_on, str(self.failed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """A candidate whose server exits again and again while Prometheus is away."""

    ending: Ending | None
    reason: str
    seconds: float
    """From the candidate's weight to its end."""
    message: str

    @property
    def as_wanted(self) -> bool:
        return self.ending is Ending.ROLLED_BACK and self.reason in PODS_FAILED


def measure(repetitions: int | None) -> Result:
    """`repetitions`: how many of the faults, the first ones."""
    with arena() as here:
        provider = Provider(here.cluster)
        say("toxiproxy and the stand-in, and the operator through them")
        provider.begin(here.cluster)
        here.deploy_first(_manifest(here, "v0"))
        seen: list[tuple[Seen, float, float]] = []
        with sending(here.target(), rate=RATE, records=here.records):
            time.sleep(SETTLING)
            for number, fault in enumerate(FAULTS[:repetitions], start=1):
                began = time.time()
                seen.append((_one(here, provider, fault, f"v{number}"), began, time.time()))
            crashed = _crashing(here, provider)
        requests = here.requests
    return told([with_failures(each, requests, began, ended) for each, began, ended in seen], crashed)


def _manifest(here: Arena, version: str, **env: str) -> dict[str, Any]:
    return here.manifest(version, 0.0, env=env, **SPEC)


def _begun(here: Arena, manifest: dict[str, Any], version: str) -> None:
    """Until the candidate has been at its weight for a moment."""
    here.kubectl.apply(manifest)
    here.until(
        lambda status: status.weight == WEIGHT and status.candidate_version == version,
        f"{version} gets {WEIGHT} %",
        seconds=SOON,
    )
    time.sleep(INTO_THE_STEP)


def _one(here: Arena, provider: Provider, fault: Fault, version: str) -> Seen:
    _begun(here, _manifest(here, version), version)
    before, began = here.last, time.time()
    with harmed(provider):
        fault.happens(provider)
        seen = Seen.of(fault, before, list(here.during(LASTS)), began=began, version=version)
    if seen.ending is None:
        seen = replace(seen, went_on_after=_gone_on(here, version))
    elif seen.ending is Ending.PROMOTED:
        seen = replace(seen, went_on_after=0.0)
    say(f"{fault.what}: {'' if seen.as_wanted else 'NOT AS WANTED, '}{seen.measured}")
    return seen


def _gone_on(here: Arena, version: str) -> float | None:
    since = time.time()
    try:
        ending, _, at = here.until_ended(version, seconds=SOON)
    except TookTooLongError as error:
        say(str(error))
        return None
    return at - since if ending is Ending.PROMOTED else None


def _crashing(here: Arena, provider: Provider) -> Crashed:
    _begun(here, _manifest(here, "crashing", CRASH_AFTER=str(CRASH_AFTER)), "crashing")
    since = time.time() - INTO_THE_STEP
    with harmed(provider):
        provider.stop()
        try:
            ending, status, at = here.until_ended("crashing", seconds=SOON)
        except TookTooLongError as error:
            return Crashed(ending=None, reason="", seconds=SOON, message=str(error))
    say(f"crashing while Prometheus is away: {ending}, {status.aborted_reason}")
    return Crashed(ending=ending, reason=status.aborted_reason, seconds=at - since, message=status.message)


def with_failures(seen: Seen, requests: Sequence[Request], began: float, ended: float) -> Seen:
    return replace(seen, failed=sum(each.failed for each in requests if began <= each.answered <= ended))


def told(all_seen: Sequence[Seen], crashed: Crashed) -> Result:
    return Result(
        title="A metrics provider that fails in the middle of a healthy rollout",
        measured=f"A healthy candidate at {WEIGHT} % of {RATE:g} requests a second; {INTO_THE_STEP:g} s into the step "
        f"the provider fails for {LASTS:g} s, beyond the step's deadline ({DEADLINE} s) and noDataTimeout "
        f"({NO_DATA_TIMEOUT} s); then it is whole again. While it lasts, the weight is to stay, nothing is to be "
        "promoted or taken back, and AnalysisHealthy is to be Unknown and say why; afterwards the rollout is to go on "
        "to its end; no request may fail.",
        targets=(
            *(
                Target(what=each.fault.what, wanted=each.fault.wanted, measured=each.measured, met=each.as_wanted)
                for each in all_seen
            ),
            Target(
                what="stopped, and the candidate's server exits again and again",
                wanted=f"rolled back ({' or '.join(PODS_FAILED)})",
                measured=f"{crashed.ending or 'neither'} ({crashed.reason}) after {crashed.seconds:.0f} s",
                met=crashed.as_wanted,
            ),
        ),
        tables=(
            Table(
                title="Each fault",
                head=(
                    "",
                    "weight meanwhile, %",
                    "s until Holding",
                    "AnalysisHealthy",
                    "s from its end to promoted",
                    "failed requests",
                ),
                rows=tuple(each.row() for each in all_seen),
            ),
        ),
        remarks=(
            (
                "Operator in the cluster, two replicas, installed from manifests/install.yaml, with "
                "MODELROLLOUT_PROMETHEUS_URL set to toxiproxy 2.12 in front of Prometheus 3."
            ),
            (
                "“stand-in”: a real Prometheus cannot be made to give such an answer on demand; a small proxy of the "
                "benchmark asks the real one and falsifies what it said. “scrapes nothing any more”: its configuration "
                "is loaded anew without targets. All else is done to the real one, or to the way to it."
            ),
            (
                "A clock that is ahead stamps samples with times to come: the operator sees what was scraped "
                f"{OFF:g} s before as if it were now. A clock that is behind has nothing yet of the time that is "
                "asked for."
            ),
            f"Crashing: {crashed.message}",
        ),
    )
