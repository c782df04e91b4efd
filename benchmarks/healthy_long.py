"""How the evidence against a healthy candidate behaves for a long time, at three levels of traffic at once."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import exp, log

from benchmarks.arena import Arena, Ending, arena, say
from benchmarks.load import sending
from benchmarks.result import Result, Table, Target

MINUTES = 30
RATES = (2.0, 20.0, 60.0)
WEIGHT = 20
ERROR_RATE = 0.005
LATENCY = 0.02
"""Seconds, the median: among the buckets of the gateway, so that latency is judged, too."""
ALPHA = 0.01
STABLE, CANARY = "stable", "canary"
SETTLING = 12.0
ROWS = 10
"""Of the table that shows the course."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The evidence as the status told it, once a minute."""

    minute: float
    log_evidence: float
    requests: int
    """Of the candidate, that were compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    rate: float
    ending: Ending | None
    """None: it is still being tested, as it should be."""
    points: tuple[Point, ...]
    requests: int
    """That the candidate answered, as users saw them."""
    failed: int
    elsewhere: int
    """Requests that nobody answered, or the gateway itself did."""
    message: str

    @property
    def highest(self) -> float:
        return max((point.log_evidence for point in self.points), default=0.0)

    def at(self, minute: float) -> str:
        """The evidence that was known at a minute."""
        known = [point for point in self.points if point.minute <= minute]
        return f"{exp(known[-1].log_evidence):.2g}" if known else "–"

    def row(self) -> tuple[str, ...]:
        compared = self.points[-1].requests if self.points else 0
        ending = str(self.ending) if self.ending else "still tested"
        highest = (f"{exp(self.highest):.2g}", f"{round(self.highest, 2) + 0.0:.2f}")
        return (f"{self.rate:g}", ending, str(self.requests), str(self.failed), str(compared), *highest)


def measure(minutes: int | None) -> Result:
    lasting = MINUTES if minutes is None else minutes
    with arena() as here, ThreadPoolExecutor(len(RATES)) as pool:
        return told(list(pool.map(lambda rate: _one(here, rate, lasting), RATES)), lasting)


def _one(everything: Arena, rate: float, minutes: int) -> Course:
    longer = f"{minutes + 10}m"
    spec = {
        "env": {"LATENCY": str(LATENCY)},
        "rollout": {"steps": [{"weight": WEIGHT, "minDuration": longer, "deadline": longer}]},
        "analysis": {"poll": "1s", "alpha": ALPHA},
    }
    with everything.another(f"rate-{rate:g}") as here:
        here.deploy_first(here.manifest(STABLE, ERROR_RATE, **spec))
        with sending(here.target(), rate=rate, records=here.records, seconds=60.0 * minutes + 120):
            time.sleep(SETTLING)
            here.kubectl.apply(here.manifest(CANARY, ERROR_RATE, **spec))
            here.until(lambda status: status.weight == WEIGHT, f"the candidate gets {WEIGHT} %", seconds=90)
            points, ending = _watched(here, 60.0 * minutes)
        requests = here.requests
    mine = [each for each in requests if each.version == CANARY]
    course = Course(
        rate=rate,
        ending=ending,
        points=tuple(points),
        requests=len(mine),
        failed=sum(each.failed for each in mine),
        elsewhere=sum(not each.version for each in requests),
        message=here.last.message,
    )
    say(f"{rate:g} requests a second: {course.ending or 'still tested'}, highest evidence {exp(course.highest):.2g}")
    return course


def _watched(here: Arena, seconds: float) -> tuple[list[Point], Ending | None]:
    points: list[Point] = []
    began = time.time()
    for status, at in here.during(seconds):
        requests = status.candidate_requests
        if requests and (not points or points[-1].requests != requests):
            points.append(Point(minute=(at - began) / 60, log_evidence=status.log_evidence, requests=requests))
        if (ending := Ending.of(status, CANARY)) is not None:
            return points, ending
    return points, None


def told(courses: Sequence[Course], minutes: int) -> Result:
    marks = sorted({max(1, round(minutes * part / ROWS)) for part in range(1, ROWS + 1)})
    return Result(
        title="A healthy candidate, tested for a long time",
        measured=f"Both versions fail {100 * ERROR_RATE:g} % of their requests and answer in {1000 * LATENCY:g} ms "
        f"(median, lognormal), for {minutes} minutes in a step of {WEIGHT} % that does not end, at "
        f"{', '.join(f'{rate:g}' for rate in RATES)} requests a second at once. Prometheus scrapes and the operator "
        "polls every second; errors and latency are judged with the default margins and alpha = 0.01.",
        targets=(
            Target.none(
                "healthy candidates that were rolled back",
                sum(each.ending is Ending.ROLLED_BACK for each in courses),
                len(courses),
            ),
        ),
        tables=(
            Table(
                title="Each level of traffic",
                head=(
                    "requests a second",
                    "ending",
                    "requests at the candidate",
                    "failed",
                    "of these compared",
                    "highest evidence",
                    "its logarithm",
                ),
                rows=tuple(each.row() for each in courses),
            ),
            Table(
                title="Evidence against the candidate in the course of time",
                head=("minute", *(f"{each.rate:g} requests a second" for each in courses)),
                rows=tuple((str(mark), *(each.at(mark + 0.5) for each in courses)) for mark in marks),
            ),
            Table(
                title="What the operator said last",
                head=("requests a second", "message"),
                rows=tuple((f"{each.rate:g}", each.message) for each in courses),
            ),
        ),
        remarks=(
            (
                f"Evidence begins at 1; {1 / ALPHA:g} (logarithm {log(1 / ALPHA):.2f}) takes a candidate back. It is "
                "read from `status.analysis`, which is written once a minute: what it was between two of these is "
                "not seen here, but judged all the same, at every poll."
            ),
            f"Requests that nobody answered, or the gateway failed: {sum(each.elsewhere for each in courses)}.",
        ),
    )
