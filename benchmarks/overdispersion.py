"""What requests that fail together do to the tests, and what phi and tau make of it.

One canary pod beside nine of stable, 10 requests a second each; phi and tau are estimated from six hours of the stable
pods, then the canary is compared for six hours. Needs no cluster.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.agreement import Cell, Comparison, Row
from benchmarks.result import Result, Table
from benchmarks.traffic import HOUR, SECONDS, SEED, batches
from benchmarks.vectorised import Block, Hypothesis, dispersion, pod_spread
from benchmarks.watchers import ERRORS, SETTINGS, Regression, Watcher, first_seconds, joined
from modelrollout.decide import mixture
from modelrollout.decide.dispersion import widened

RUNS = 2000
"""More than the specification's: with lognormal pods the median of 500 moves by two blocks from sample to sample."""
SPECIFIED_RUNS = 500
QUICK = 20
STABLE_PODS = 9
REQUESTS = 10 * SECONDS
"""Mean requests of a pod in a block."""
ERROR_RATE = 0.01
LOOKBACK = 6 * HOUR
COMPARED = 6 * HOUR
MOST = 20.0
"""Of phi here; the engine's default is 10."""
WORSE = 3
WITH = ("none", "phi", "phi and tau")

BURST = 5
EPISODE = 120 // SECONDS
"""Blocks."""
EPISODES_APART = 10 * HOUR
IN_EPISODE = 20
POD_SIGMA = 0.4

Draw = Callable[[np.random.Generator, int, int, int], np.ndarray]
"""(rng, blocks, pods, runs) → how many times the mean of errors each pod has in each block, in expectation."""


def _alike(_: np.random.Generator, blocks: int, pods: int, runs: int) -> np.ndarray:
    return np.ones((blocks, pods, runs))


def _by_minute(rng: np.random.Generator, blocks: int, pods: int, runs: int) -> np.ndarray:
    """Exponential, so of coefficient of variation 1, anew in each pod and minute."""
    in_a_minute = 60 // SECONDS
    minutes = rng.exponential(1.0, (-(-blocks // in_a_minute), pods, runs))
    return np.repeat(minutes, in_a_minute, axis=0)[:blocks]


def _in_episodes(rng: np.random.Generator, blocks: int, pods: int, runs: int) -> np.ndarray:
    """Each pod now and then fails many times as often for two minutes; on average as often as the others."""
    begins = rng.random((blocks + EPISODE, pods, runs)) < 1 / EPISODES_APART
    begun = np.cumsum(begins, axis=0)
    inside = begun[EPISODE:] > begun[:-EPISODE]
    factor: np.ndarray = np.where(inside, float(IN_EPISODE), 1.0)
    return factor / (1 + (IN_EPISODE - 1) * EPISODE / EPISODES_APART)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """A way in which requests do not fail independently, and what the specification found."""

    name: str
    draw: Draw
    alarms: tuple[float, float, float]
    """False rollbacks in % with nothing, phi, phi and tau."""
    seconds: tuple[str, str, str]
    """Until a canary three times as bad is found."""
    phi: float | None
    """None: the specification does not tell it."""
    bursts: bool = False
    pod_sigma: float = 0.0


SCATTERS = (
    Scatter(name="independent", draw=_alike, alarms=(0, 0, 0), seconds=("90", "90", "90"), phi=None),
    Scatter(
        name="bursts, geometric, mean 5",
        draw=_alike,
        bursts=True,
        alarms=(28, 0.2, 0.2),
        seconds=("60", "720", "930"),
        phi=8.5,
    ),
    Scatter(
        name="noise per pod and minute, CV 1",
        draw=_by_minute,
        alarms=(14, 0, 0),
        seconds=("105", "502", "645"),
        phi=6.6,
    ),
    Scatter(
        name="a pod ×20 for 2 min per 10 h",
        draw=_in_episodes,
        alarms=(14, 7.4, 5.4),
        seconds=("90", "690", "1005"),
        phi=7.4,
    ),
    Scatter(
        name="lognormal pods, SD 0.4",
        draw=_alike,
        pod_sigma=POD_SIGMA,
        alarms=(16, 11, 0.8),
        seconds=("105", "555", "(43%)"),
        phi=4.9,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    phi: np.ndarray
    tau: np.ndarray
    healthy: Mapping[str, np.ndarray]
    """Seconds until a healthy canary was rolled back, infinite where it was not."""
    worse: Mapping[str, np.ndarray]
    """Seconds until a worse one was."""


def simulated(scatter: Scatter, runs: int) -> Found:
    phis, taus = [], []
    healthy: list[dict[str, np.ndarray]] = []
    worse: list[dict[str, np.ndarray]] = []
    for number, size in enumerate(batches(1, runs, most=50)):
        rng = np.random.default_rng((SEED, SCATTERS.index(scatter), number))
        nature = rng.normal(0, scatter.pod_sigma, (1 + STABLE_PODS, size)) - scatter.pod_sigma**2 / 2
        pods = np.exp(nature)
        bad, total = _counts(rng, scatter, LOOKBACK, pods[1:])
        phi, tau = dispersion(bad, total, most=MOST), pod_spread(bad.sum(axis=0), total.sum(axis=0))
        phis.append(phi)
        taus.append(tau)
        for factor, into in ((1, healthy), (WORSE, worse)):
            pods[0] = factor * np.exp(nature[0])
            into.append(first_seconds(_compared(rng, scatter, pods), _tests(phi, tau)))
    return Found(
        phi=np.concatenate(phis),
        tau=np.concatenate(taus),
        healthy={name: each[0] for name, each in joined(healthy, 1).items()},
        worse={name: each[0] for name, each in joined(worse, 1).items()},
    )


def _counts(rng: np.random.Generator, scatter: Scatter, blocks: int, pods: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(bad, total) requests of each block, pod and run."""
    mean = REQUESTS * ERROR_RATE * pods * scatter.draw(rng, blocks, *pods.shape)
    total = rng.poisson(REQUESTS, mean.shape)
    if not scatter.bursts:
        return np.minimum(rng.poisson(mean), total), total
    begun = rng.poisson(mean / BURST)
    more = rng.negative_binomial(np.maximum(begun, 1), 1 / BURST)
    return np.minimum(np.where(begun > 0, begun + more, 0), total), total


def _compared(rng: np.random.Generator, scatter: Scatter, pods: np.ndarray) -> Iterator[Block]:
    """The first pod against the sum of the others."""
    for bad, total in zip(*_counts(rng, scatter, COMPARED, pods), strict=True):
        yield Block(x_canary=bad[0], n_canary=total[0], x_stable=bad[1:].sum(axis=0), n_stable=total[1:].sum(axis=0))


def _tests(phi: np.ndarray, tau: np.ndarray) -> dict[str, Watcher[Block]]:
    margin, runs = ERRORS.regression, len(phi)
    wide = np.array([widened(margin, float(each), canary_pods=1, stable_pods=STABLE_PODS).ratio for each in tau])

    def test(ratio: float | np.ndarray, by: float | np.ndarray) -> Regression:
        against = Hypothesis(grid=mixture.REGRESSION, ratio=ratio, absolute=margin.absolute, phi=by)
        return Regression(against, runs)

    return dict(zip(WITH, (test(margin.ratio, 1.0), test(margin.ratio, phi), test(wide, phi)), strict=True))


def measure(repetitions: int | None) -> Result:
    runs = RUNS if repetitions is None else repetitions
    found = {scatter: simulated(scatter, runs) for scatter in SCATTERS}
    alarms = Comparison(
        title="healthy canaries rolled back, %",
        labels=("errors",),
        rows=[
            Row(labels=(s.name,), cells=tuple(_alarms(s, number, seen) for number in range(len(WITH))))
            for s, seen in found.items()
        ],
    )
    times = Comparison(
        title=f"seconds until a canary {WORSE} times as bad is rolled back",
        labels=("errors",),
        rows=[
            Row(
                labels=(s.name,),
                cells=tuple(
                    Cell.of_seconds(wanted, seen.worse[name], runs=SPECIFIED_RUNS)
                    for wanted, name in zip(s.seconds, WITH, strict=True)
                ),
            )
            for s, seen in found.items()
        ],
    )
    return Result(
        title="Requests that fail together",
        measured=f"{runs} simulated rollouts: 1 canary pod and 9 stable ones, each with 10 requests a second and 1 % "
        "errors on average (1.5 in a block of 15 s). phi and tau are estimated in each run from 6 hours of its stable "
        f"pods, phi up to {MOST:g} (the engine's default is 10); then canary and stable are compared for 6 hours. "
        "Cells: with neither / phi / phi and tau. Within: false rollbacks with independent errors at most alpha = 1 % "
        "and three standard errors; other shares within three standard errors of two samples; medians within 20 % or "
        "one block.",
        targets=(alarms.target(), times.target()),
        tables=(alarms.table(), times.table(), _estimates(found)),
        remarks=(
            (
                "phi and tau are heuristics and have no bound: with errors in long episodes, and with phi alone where "
                "pods differ for good, more than alpha of the healthy canaries are rolled back. Bursts and noise are "
                "what phi is for; it makes finding a bad canary slower by its own factor."
            ),
        ),
    )


def _alarms(scatter: Scatter, number: int, found: Found) -> Cell:
    rang = np.isfinite(found.healthy[WITH[number]])
    if scatter.name == "independent":
        return Cell.of_bounded(scatter.alarms[number], rang, SETTINGS.alpha)
    return Cell.of_share(scatter.alarms[number], rang, runs=SPECIFIED_RUNS)


def _estimates(found: Mapping[Scatter, Found]) -> Table:
    return Table(
        title="Estimates, median over runs",
        head=("errors", "phi, specification", "phi, measured", "tau, measured"),
        rows=tuple(
            (s.name, "–" if s.phi is None else f"{s.phi:g}", f"{np.median(seen.phi):.1f}", f"{np.median(seen.tau):.2f}")
            for s, seen in found.items()
        ),
    )
