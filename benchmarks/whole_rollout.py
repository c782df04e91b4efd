"""Whole rollouts over 5, 25 and 50 %: how they end, when, and how many bad answers users got.

Errors and latency with a restart mixture each, the judge's table of verdicts, default timing. Needs no cluster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.agreement import Cell, Comparison, Row
from benchmarks.result import Result
from benchmarks.traffic import SECONDS, SEED, share_slower
from benchmarks.vectorised import Block, Hypothesis, Process, RestartProcess, log_average
from benchmarks.watchers import ERRORS, LATENCY, SETTINGS
from modelrollout.decide import mixture
from modelrollout.domain.metrics import MetricSettings

RUNS = 500
QUICK = 60
STEPS = np.array([0.05, 0.25, 0.5])
EDGES = (0.1, 0.25, 0.5)
BASE = 0.005
GOING, ROLLED_BACK, HELD, PROMOTED = range(4)
CONTINUE, ADVANCE, HOLD, ROLLBACK = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    name: str
    errors: float = BASE
    """Share of its answers that are bad."""
    slowdown: float = 1.0

    @property
    def fails_more(self) -> bool:
        return self.errors > BASE


CANARIES = (
    Canary(name="good"),
    Canary(name="errors ×3", errors=3 * BASE),
    Canary(name="errors 50 %", errors=0.5),
    Canary(name="latency ×1.5", slowdown=1.5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Specified:
    endings: tuple[float, float, float]
    """Rolled back, held, promoted, in %."""
    seconds: float
    bad: float


SPECIFIED: Mapping[int, Sequence[Specified]] = {
    10: (
        Specified(endings=(0, 0, 100), seconds=1800, bad=0),
        Specified(endings=(58, 34, 8), seconds=1200, bad=30),
        Specified(endings=(100, 0, 0), seconds=15, bad=5),
        Specified(endings=(97, 3, 0), seconds=300, bad=0),
    ),
    100: (
        Specified(endings=(0, 0, 100), seconds=1065, bad=0),
        Specified(endings=(89, 11, 0), seconds=375, bad=29),
        Specified(endings=(100, 0, 0), seconds=15, bad=37),
        Specified(endings=(100, 0, 0), seconds=45, bad=0),
    ),
}
"""By requests a second, in the order of CANARIES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the judge looks at, per run."""

    t: np.ndarray
    """Seconds of the step."""
    log_evidence: np.ndarray
    bad_canary: np.ndarray
    n_canary: np.ndarray
    proven: np.ndarray
    data_ok: np.ndarray


def decided(seen: Readings) -> np.ndarray:
    """The table of verdicts of `judge.decide`, without guardrails and outages: an action per run."""
    suspicious = seen.log_evidence >= mixture.log_limit(1 / SETTINGS.suspicious)
    regressed = (seen.log_evidence >= mixture.log_limit(SETTINGS.alpha)) & (seen.bad_canary >= SETTINGS.min_bad)
    proven = (seen.t >= SETTINGS.min_duration.total_seconds()) & seen.proven & ~suspicious & seen.data_ok
    late = seen.t >= SETTINGS.deadline.total_seconds()
    holds = late & ((seen.n_canary < SETTINGS.min_requests) | suspicious | ~seen.data_ok)
    return np.select([regressed, proven, holds, late], [ROLLBACK, ADVANCE, HOLD, ADVANCE], CONTINUE)


class Metric:
    """A ratio, or the edges of a histogram: evidence of a regression, and whether all of it is proven now."""

    def __init__(self, settings: MetricSettings, tests: int, runs: int) -> None:
        worse, better = settings.regression, settings.non_inferiority
        self._worse = [RestartProcess(Hypothesis.of(mixture.REGRESSION, worse), runs, len(STEPS)) for _ in range(tests)]
        self._better = [Process(Hypothesis.of(mixture.NON_INFERIORITY, better), runs) for _ in range(tests)]

    def after(self, blocks: Sequence[Block], started: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        each = [test.after(block, started) for test, block in zip(self._worse, blocks, strict=True)]
        proof = [test.after(block) for test, block in zip(self._better, blocks, strict=True)]
        evidence, _ = log_average(np.array(each), [1.0] * len(each))
        return evidence, np.min(proof, axis=0) >= mixture.log_limit(SETTINGS.beta)

    def enter_step(self, where: np.ndarray) -> None:
        for test in self._better:
            test.begin_afresh(where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    how: np.ndarray
    seconds: np.ndarray
    bad: np.ndarray
    """Bad answers of the canary."""


def rolled_out(canary: Canary, rps: float, runs: int) -> Endings:
    rng = np.random.default_rng(SEED)
    errors, latency = Metric(ERRORS, 1, runs), Metric(LATENCY, len(EDGES), runs)
    step, entered, of_step, bad, ended, how = (np.zeros(runs, int) for _ in range(6))
    now = 0
    while (going := how == GOING).any():
        now += SECONDS
        counts = _blocks(rng, canary, rps, STEPS[step])
        bad[going] += counts[0].x_canary[going]
        of_step += counts[0].n_canary
        errors_now, errors_proven = errors.after(counts[:1], step + 1)
        latency_now, latency_proven = latency.after(counts[1:], step + 1)
        evidence, culprit = log_average(np.array([errors_now, latency_now]), SETTINGS.weights())
        action = decided(
            Readings(
                t=now - entered,
                log_evidence=evidence,
                bad_canary=np.where(culprit == 0, bad, SETTINGS.min_bad),
                n_canary=of_step,
                proven=errors_proven & latency_proven,
                data_ok=counts[0].n_canary > 0,
            )
        )
        last = step == len(STEPS) - 1
        ending = np.select(
            [action == ROLLBACK, action == HOLD, (action == ADVANCE) & last], [ROLLED_BACK, HELD, PROMOTED], GOING
        )
        how[going], ended[going] = ending[going], now
        onward = going & (action == ADVANCE) & ~last
        step[onward] += 1
        entered[onward], of_step[onward] = now, 0
        for metric in (errors, latency):
            metric.enter_step(onward)
    return Endings(how=how, seconds=ended, bad=bad)


def _blocks(rng: np.random.Generator, canary: Canary, rps: float, weight: np.ndarray) -> list[Block]:
    """Of the errors, then of each edge: slower requests are among those slower than the edge before."""
    n_canary, n_stable = rng.poisson(SECONDS * rps * weight), rng.poisson(SECONDS * rps * (1 - weight))
    counts = [(rng.binomial(n_canary, canary.errors), rng.binomial(n_stable, BASE))]
    slow = n_canary, n_stable
    shares = [(share_slower(edge, canary.slowdown), share_slower(edge)) for edge in EDGES]
    before = [(1.0, 1.0), *shares[:-1]]
    for now, then in zip(shares, before, strict=True):
        slow = (rng.binomial(slow[0], now[0] / then[0]), rng.binomial(slow[1], now[1] / then[1]))
        counts.append(slow)
    return [Block(x_canary=c, n_canary=n_canary, x_stable=s, n_stable=n_stable) for c, s in counts]


def measure(repetitions: int | None) -> Result:
    runs = RUNS if repetitions is None else repetitions
    found = {
        (rps, canary): (wanted, rolled_out(canary, rps, runs))
        for rps, rows in SPECIFIED.items()
        for canary, wanted in zip(CANARIES, rows, strict=True)
    }
    columns = {"rolled back / held / promoted, %": _endings, "median s to the end": _seconds, "bad answers": _bad}
    compared = [
        Comparison(
            title=title,
            labels=("rps", "canary"),
            rows=[
                Row(labels=(str(rps), canary.name), cells=cells(canary, wanted, ends))
                for (rps, canary), (wanted, ends) in found.items()
            ],
        )
        for title, cells in columns.items()
    ]
    unblamed = [int(np.median(ends.bad)) for (_, canary), (_, ends) in found.items() if canary.name == "good"]
    return Result(
        title="Whole rollouts",
        measured=f"{runs} simulated rollouts each over 5, 25 and 50 %: 0.5 % of stable's answers are bad, the median "
        "takes 100 ms. Errors and latency (edges 0.1, 0.25, 0.5 s) have half of alpha each, every test is a restart "
        "mixture over three parts; steps of 120 to 600 s, advanced by proof of all tests in one block or at the "
        "deadline, held there when suspicious or with fewer than 100 requests. A held rollout ends as held. Bad "
        "answers are the canary's, in the median. Within: shares within three standard errors of two samples, medians "
        "within 20 % or one block, bad answers within 20 % or one.",
        targets=tuple(each.target() for each in compared),
        tables=tuple(each.table() for each in compared),
        remarks=(
            (
                "A canary that fails no more often than stable is given no bad answers: users would have got them from "
                f"stable too. A good one's share of those is {unblamed[0]} at 10 and {unblamed[1]} at 100 requests a "
                "second in the median, over the whole rollout."
            ),
            (
                "At 100 requests a second and 5 %, 240 s until an Argo-like rule rolls back are 600 bad answers of a "
                "canary that fails half of its requests, 300 s until a Flagger-like one does are 750."
            ),
            "On a cluster a held rollout goes on being tested until a person decides; here it ends.",
        ),
    )


def _endings(_: Canary, wanted: Specified, ends: Endings) -> tuple[Cell, ...]:
    ways = zip(wanted.endings, (ROLLED_BACK, HELD, PROMOTED), strict=True)
    return tuple(Cell.of_share(share, ends.how == way, runs=RUNS) for share, way in ways)


def _seconds(_: Canary, wanted: Specified, ends: Endings) -> tuple[Cell, ...]:
    return (Cell.of_seconds(f"{wanted.seconds:g}", ends.seconds.astype(float), runs=RUNS),)


def _bad(canary: Canary, wanted: Specified, ends: Endings) -> tuple[Cell, ...]:
    bad = ends.bad if canary.fails_more else np.zeros_like(ends.bad)
    return (Cell.of_median(wanted.bad, bad.astype(float), least=1, runs=RUNS),)
