"""What becomes of candidates that are worse in one way each, and of good ones while something else goes wrong."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import inf

from benchmarks.arena import NAMESPACE, Arena, Ending, TookTooLongError, arena, say
from benchmarks.exposure import Exposure, usual_limit
from benchmarks.load import Request, sending
from benchmarks.regressions import BACK, BASE_ERROR_RATE, CANARY, STABLE, WAVES, Case
from benchmarks.result import Result, Table, Target
from demo.status import Status

SETTLING = 12.0
"""Seconds of traffic before the canary, so that stable has a past in Prometheus."""
INTO_THE_STEP = 4.0
"""Seconds after a weight was seen until something befalls the pods."""
AFTERWARDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    case: Case
    ending: Ending | None
    """None: it came to none of them; the message says what was seen instead."""
    reason: str = ""
    message: str = ""
    exposure: Exposure | None = None
    """From the first bad answer on; None where the candidate gave none."""
    others_failed: int = 0
    """Requests that stable failed meanwhile, or the gateway, or that nobody answered."""

    @property
    def as_wanted(self) -> bool:
        return self.ending is self.case.wanted and (self.ending is not BACK or self.reason == "Regressed")

    @property
    def seen(self) -> str:
        if self.ending is None:
            return "neither of these"
        return f"{self.ending} ({self.reason})" if self.reason else str(self.ending)

    def row(self) -> tuple[str, ...]:
        case, exposure, others = self.case, self.exposure, str(self.others_failed)
        if exposure is None:
            return (case.what, f"{case.rate:g}", "–", "–", "0", "–", others)
        seconds = f"{exposure.seconds:.1f}" if self.ending is BACK else "–"
        slow = str(exposure.slow) if case.latency else "–"
        return (case.what, f"{case.rate:g}", seconds, str(exposure.reached), str(exposure.failed), slow, others)


def measure(repetitions: int | None) -> Result:
    del repetitions
    with arena() as here:
        return told([played for wave in WAVES for played in _together(here, wave)])


def _together(here: Arena, wave: Sequence[Case]) -> Iterator[Played]:
    say(f"{len(wave)} rollouts at once, {sum(case.rate for case in wave):g} requests a second")
    with ThreadPoolExecutor(len(wave)) as pool:
        yield from pool.map(lambda case: _play(here, case), wave)


def _play(everything: Arena, case: Case) -> Played:
    with everything.another(case.name) as here:
        try:
            played = _rolled_out(here, case)
        except TookTooLongError as error:
            played = Played(case=case, ending=None, message=str(error))
        here.kubectl("delete", "modeldeployment", here.name, "-n", NAMESPACE, "--wait=false")
    say(f"{case.what}: {played.seen}{'' if played.as_wanted else f', WANTED {case.wanted}'}. {played.message}")
    return played


def _rolled_out(here: Arena, case: Case) -> Played:
    here.deploy_first(case.manifest(here, STABLE))
    with sending(here.target(), rate=case.rate, records=here.records):
        time.sleep(SETTLING)
        since = time.time()
        here.kubectl.apply(case.manifest(here, CANARY))
        if case.turn is not None:
            here.until(_at(case.turn.weight), f"the candidate gets {case.turn.weight} %", seconds=90)
            time.sleep(INTO_THE_STEP)
            since = time.time()
            case.turn.happens(here)
        played = _ended(here, case)
        time.sleep(AFTERWARDS)
    return with_exposure(played, here.requests, since)


def _at(weight: int) -> Callable[[Status], bool]:
    return lambda status: status.weight == weight


def _ended(here: Arena, case: Case) -> Played:
    try:
        ending, status, _ = here.until_ended(CANARY, seconds=case.patience)
    except TookTooLongError:
        last = here.last
        if last.phase != "Holding" or (case.turn is not None and last.weight != case.turn.weight):
            raise
        told = last.analysis_healthy
        return Played(case=case, ending=Ending.HELD, reason=told.reason, message=f"{last.message} {told.message}")
    judged = next((each for each in reversed(status.decisions) if each.verdict), None)
    return Played(
        case=case, ending=ending, reason=status.aborted_reason, message=judged.message if judged else status.message
    )


def with_exposure(played: Played, requests: Sequence[Request], since: float) -> Played:
    """`since`: when the candidate was applied, or turned bad."""
    case = played.case
    limit = usual_limit(requests, STABLE, since=since) if case.latency else inf
    try:
        exposure = Exposure.of(requests, CANARY, since=since, slow_above=limit)
    except ValueError:
        exposure = None
    others = sum(each.failed for each in requests if each.version != CANARY and each.answered >= since)
    return replace(played, exposure=exposure, others_failed=others)


def told(all_played: Sequence[Played]) -> Result:
    return Result(
        title="Regressions of every kind, on a cluster",
        measured=f"Stable fails {100 * BASE_ERROR_RATE:g} % of its requests, and so does the candidate where nothing "
        "else is said. Prometheus scrapes and the operator polls every second; errors and latency are judged with the "
        "default margins, alpha and minBad. What happens in the middle of a rollout happens four seconds after the "
        "candidate got its weight. Wanted is the ending that docs/concepts/judging.md promises.",
        targets=tuple(
            Target(
                what=f"candidate {played.case.what}" if played.case.wanted is BACK else played.case.what,
                wanted=f"{played.case.wanted} (Regressed)" if played.case.wanted is BACK else str(played.case.wanted),
                measured=played.seen,
                met=played.as_wanted,
            )
            for played in all_played
        ),
        tables=(
            Table(
                title="What users met",
                head=(
                    "",
                    "requests a second",
                    "s from the first bad answer to the last request",
                    "requests at the candidate",
                    "failed",
                    "slow",
                    "others failed",
                ),
                rows=tuple(played.row() for played in all_played),
            ),
            Table(
                title="What the operator said",
                head=("", "message"),
                rows=tuple((played.case.what, played.message) for played in all_played),
            ),
        ),
        remarks=(
            (
                "Operator in the cluster, two replicas, installed from manifests/install.yaml; Traefik behind the "
                "Gateway API; everything, users included, on this machine, several rollouts at once."
            ),
            (
                "A bad answer is one that failed; where latency differs, also one slower than 19 of 20 of stable's in "
                "the same time, so that about 5 % of a healthy version's answers are “slow”. The candidate's requests "
                "are counted from `kubectl apply`, or from the moment at which something happened. “others failed”: "
                "meanwhile, by stable or by the gateway."
            ),
            "Each is played once: how long a small regression takes varies by a factor of two and more.",
            (
                "Where latency differs, stable answers in 40 ms (median, lognormal). Nothing is compared before "
                "stable has had 1000 requests in the rollout, from which the edges are chosen: that is most of the "
                "time shown."
            ),
            (
                "With `source: server` the servers export MLServer's series (`preset: mlserver`, but the benchmark's "
                "own little server): a stand-in for MLServer. Only errors are judged there."
            ),
        ),
    )
