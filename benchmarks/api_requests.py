"""What the operator asks of the API server, by its audit log: at rest, and with one canary under analysis."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks import audit
from benchmarks.arena import NAME, Arena, TookTooLongError, arena, model_deployment, namespace_with_server, say
from benchmarks.load import sending
from benchmarks.result import Result, Table, Target

AT_REST = 90.0
ANALYSING = 180.0
"""Seconds, so that at least two checkpoints of the evidence fall into them."""
RATE = 50.0
POLLS = ("1s", "15s")
LIMIT = 30.0
ERROR_RATE = 0.005
SETTLING = 20.0
PHASE = "{.status.phase}"
WEIGHT = "{.status.rollout.weight}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    title: str
    seconds: float
    asked: tuple[audit.Asked, ...]
    """By the operator, everything."""

    @property
    def counted(self) -> tuple[audit.Asked, ...]:
        """Without watches and the Lease."""
        return tuple(each for each in self.asked if not each.is_standing)

    @property
    def rate(self) -> float:
        return len(self.counted) * 60 / self.seconds

    def rows(self) -> list[tuple[str, ...]]:
        found = [(f"{self.title}: {what}", f"{rate:.1f}") for what, rate in self._rates(self.counted)]
        return [(f"**{self.title}**", f"**{self.rate:.1f}**"), *found]

    def standing(self) -> list[tuple[str, ...]]:
        """What is left aside, so that nobody has to believe it."""
        aside = [each for each in self.asked if each.is_standing]
        return [(f"{self.title}: {what}", f"{rate:.1f}") for what, rate in self._rates(aside)]

    def _rates(self, asked: Sequence[audit.Asked]) -> list[tuple[str, float]]:
        return list(audit.per_minute(asked, self.seconds).items())


def within(asked: Sequence[audit.Asked], since: float, until: float, namespace: str | None = None) -> list[audit.Asked]:
    """What was answered in this time; with `namespace`, of this one only."""
    return [each for each in asked if since <= each.ended < until and namespace in (None, each.namespace)]


def measure(repetitions: int | None) -> Result:
    """`repetitions` does not apply: it is one long look."""
    del repetitions
    with arena() as here:
        for poll in POLLS:
            here.kubectl.apply(*namespace_with_server(_namespace(poll)))
            here.kubectl.apply(_manifest(here, poll, "v1"))
        for poll in POLLS:
            _until(here, poll, PHASE, "Stable")
        fast, slow = (replace(here.target(), host=f"{_namespace(poll)}.example.com") for poll in POLLS)
        slow_records = here.cluster.state_dir / "slow.tsv"
        with sending(fast, rate=RATE, records=here.records), sending(slow, rate=RATE, records=slow_records):
            time.sleep(SETTLING)
            say(f"at rest for {AT_REST:.0f} s")
            rest = _look(AT_REST)
            applied = time.time()
            for poll in POLLS:
                here.kubectl.apply(_manifest(here, poll, "v2"))
            for poll in POLLS:
                _until(here, poll, WEIGHT, "10")
            begun = time.time()
            time.sleep(3)
            say(f"two canaries under analysis for {ANALYSING:.0f} s")
            analysing = _look(ANALYSING)
            weights = [_field(here, poll, WEIGHT) for poll in POLLS]
        asked = here.audited(audit.OPERATOR)
    if weights != ["10", "10"]:
        raise TookTooLongError(f"the canaries should still be at 10 %, but are at {weights}")
    quiet = Window(title="at rest, two ModelDeployments", seconds=AT_REST, asked=tuple(within(asked, *rest)))
    canaries = [
        Window(
            title=f"canary, poll {poll}", seconds=ANALYSING, asked=tuple(within(asked, *analysing, _namespace(poll)))
        )
        for poll in POLLS
    ]
    everywhere = [each for each in within(asked, *analysing) if each.namespace not in map(_namespace, POLLS)]
    elsewhere = Window(title="not of one canary", seconds=ANALYSING, asked=tuple(everywhere))
    started = [
        Window(title=poll, seconds=1, asked=tuple(within(asked, applied, begun, _namespace(poll)))) for poll in POLLS
    ]
    return told(quiet, canaries, elsewhere, [len(each.counted) for each in started])


def told(rest: Window, canaries: Sequence[Window], elsewhere: Window, started: Sequence[int]) -> Result:
    most = max(canaries, key=lambda window: window.rate)
    return Result(
        title="Requests to the API server",
        measured=f"Two ModelDeployments in two namespaces, each with {RATE:g} requests a second through the Gateway; "
        f"first at rest for {rest.seconds:.0f} s, then each with a canary at 10 % in a step of at least 10 minutes, "
        f"for {elsewhere.seconds:.0f} s: one with `analysis.poll: 1s`, one with `15s`; both versions fail "
        f"{100 * ERROR_RATE:g} % of their requests. Counted are all requests of the operator's service account in the "
        "API server's audit log (two replicas, one leads), without watches and the Lease.",
        targets=(
            Target.at_most("requests a minute at rest", 0.0, rest.rate, ""),
            Target.at_most(f"requests a minute for one active canary ({most.title})", LIMIT, most.rate, ""),
        ),
        tables=(
            Table(
                title="Requests a minute, by verb and resource",
                head=("", "a minute"),
                rows=tuple(row for window in (rest, *canaries, elsewhere) for row in window.rows()),
            ),
            Table(
                title="Left aside",
                head=("", "a minute"),
                rows=tuple(row for window in (rest, elsewhere, *canaries) for row in window.standing()),
            ),
            Table(
                title="To begin a rollout",
                head=("from kubectl apply to 10 %", "requests"),
                rows=tuple((f"poll {poll}", str(count)) for poll, count in zip(POLLS, started, strict=True)),
            ),
        ),
        remarks=(
            (
                "Resync is not in these windows: every ten minutes each replica lists every watched kind, metadata "
                "only (one request per kind and page of 500); see operator_cost.md."
            ),
            "Polls go to Prometheus, not to the API server.",
        ),
    )


def _namespace(poll: str) -> str:
    return f"poll-{poll}"


def _manifest(here: Arena, poll: str, version: str) -> dict[str, object]:
    steps = [{"weight": 10, "minDuration": "10m", "deadline": "20m"}]
    return model_deployment(
        here.image,
        version,
        ERROR_RATE,
        namespace=_namespace(poll),
        hostname=f"{_namespace(poll)}.example.com",
        rollout={"steps": steps},
        analysis={"poll": poll},
    )


def _look(seconds: float) -> tuple[float, float]:
    since = time.time()
    time.sleep(seconds)
    return since, time.time()


def _field(here: Arena, poll: str, path: str) -> str:
    return here.kubectl("get", "md", NAME, "-n", _namespace(poll), "-o", f"jsonpath={path}")


def _until(here: Arena, poll: str, path: str, wanted: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while (seen := _field(here, poll, path)) != wanted:
        if time.monotonic() > deadline:
            raise TookTooLongError(
                f"{_namespace(poll)}: {path} should be {wanted}, but is {seen} after {seconds:.0f} s"
            )
        time.sleep(1)
