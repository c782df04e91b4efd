"""The arithmetic of the tables is the engine's: both on the same random counts."""

from datetime import timedelta
from math import inf

import numpy as np
import pytest

from benchmarks.vectorised import (
    Block,
    Hypothesis,
    Process,
    RestartProcess,
    dispersion,
    displayed_quantile,
    log_average,
    log_factors,
    pod_spread,
)
from benchmarks.whole_rollout import ADVANCE, CONTINUE, HOLD, ROLLBACK, Readings, decided
from modelrollout.decide import histogram, mixture
from modelrollout.decide import judge as engine
from modelrollout.decide.dispersion import PodCount
from modelrollout.decide.dispersion import dispersion as engine_dispersion
from modelrollout.decide.dispersion import pod_spread as engine_spread
from modelrollout.decide.findings import Reading
from modelrollout.decide.standing import Standing
from modelrollout.domain.analysis import AnalysisSettings, StepTiming
from modelrollout.domain.judgement import Action
from modelrollout.domain.metrics import Margin
from modelrollout.domain.tally import Tally

RUNS = 40
GRIDS = (mixture.REGRESSION, mixture.NON_INFERIORITY)
MARGINS = (Margin(ratio=1.25, absolute=0.0002), Margin(ratio=1, absolute=0), Margin(ratio=1.5, absolute=0.005))


def same(expected: object) -> object:
    return pytest.approx(expected, rel=1e-9, abs=1e-9)


def a_block(rng: np.random.Generator) -> Block:
    """From no request of an arm to many, from no bad one to all."""
    n_canary, n_stable = (rng.integers(0, high, RUNS) * rng.integers(0, 2, RUNS) for high in (300, 5000))
    return Block(
        x_canary=rng.binomial(n_canary, rng.choice([0, 0.01, 0.5, 1], RUNS)),
        n_canary=n_canary,
        x_stable=rng.binomial(n_stable, rng.choice([0, 0.01, 0.5, 1], RUNS)),
        n_stable=n_stable,
    )


def tally(block: Block, run: int) -> Tally:
    return Tally(
        x_canary=float(block.x_canary[run]),
        n_canary=float(block.n_canary[run]),
        x_stable=float(block.x_stable[run]),
        n_stable=float(block.n_stable[run]),
    )


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("margin", MARGINS)
def test_factors_are_the_engines_with_one_phi_and_one_ratio_a_run(grid: mixture.Grid, margin: Margin) -> None:
    rng = np.random.default_rng(1)
    block, phi, ratio = a_block(rng), rng.uniform(1, 20, RUNS), rng.uniform(1, 4, RUNS)
    found = log_factors(block, Hypothesis(grid=grid, ratio=ratio, absolute=margin.absolute, phi=phi))
    for run in range(RUNS):
        mine = Margin(ratio=float(ratio[run]), absolute=margin.absolute)
        assert found[:, run] == same(mixture.log_factors(grid, tally(block, run), mine, phi=float(phi[run])))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("margin", MARGINS)
def test_evidence_after_many_blocks_is_the_engines(grid: mixture.Grid, margin: Margin) -> None:
    rng = np.random.default_rng(2)
    process, sums = Process(Hypothesis.of(grid, margin), RUNS), [mixture.nothing_yet(grid)] * RUNS
    for _ in range(100):
        block = a_block(rng)
        found = process.after(block)
        for run in range(RUNS):
            sums[run] = mixture.added(sums[run], mixture.log_factors(grid, tally(block, run), margin))
        assert found == same([mixture.log_mixture(grid, each) for each in sums])


def test_a_process_that_begins_afresh_has_seen_nothing() -> None:
    block, against = a_block(np.random.default_rng(3)), Hypothesis.of(mixture.NON_INFERIORITY, MARGINS[0])
    process = Process(against, RUNS)
    first = process.after(block)
    process.begin_afresh(np.arange(RUNS) < RUNS // 2)
    again = process.after(block)
    assert again[: RUNS // 2] == same(first[: RUNS // 2])
    assert not np.allclose(again[RUNS // 2 :], first[RUNS // 2 :])


@pytest.mark.parametrize("planned", [1, 3, 4])
def test_the_restart_mixture_is_the_engines_with_each_run_in_its_own_step(planned: int) -> None:
    rng, margin = np.random.default_rng(4), MARGINS[0]
    process = RestartProcess(Hypothesis.of(mixture.REGRESSION, margin), RUNS, planned)
    started = rng.integers(1, planned + 1, RUNS)
    parts = [[mixture.nothing_yet(mixture.REGRESSION)] * int(count) for count in started]
    for _ in range(60):
        onward = (rng.random(RUNS) < 0.05) & (started < planned)
        started = started + onward
        block = a_block(rng)
        found = process.after(block, started)
        for run in range(RUNS):
            parts[run] += [mixture.nothing_yet(mixture.REGRESSION)] * int(onward[run])
            factors = mixture.log_factors(mixture.REGRESSION, tally(block, run), margin)
            parts[run] = [mixture.added(part, factors) for part in parts[run]]
            scores = [mixture.log_mixture(mixture.REGRESSION, part) for part in parts[run]]
            assert found[run] == same(mixture.log_restart(scores, planned, len(parts[run])))


def test_the_average_over_metrics_is_the_engines() -> None:
    evidence, weights = np.random.default_rng(5).normal(0, 50, (3, RUNS)), (0.5, 0.3, 0.4)
    found, culprit = log_average(evidence, weights)
    expected = [mixture.log_average(list(column), weights) for column in evidence.T]
    assert list(zip(found, culprit, strict=True)) == [(same(e), index) for e, index in expected]


def test_an_interpolated_percentile_is_the_engines() -> None:
    bounds, rng = (0.1, 0.25, 0.5, 1.0, inf), np.random.default_rng(6)
    cumulative = np.cumsum(rng.integers(0, 30, (len(bounds), RUNS)) * rng.integers(0, 2, (len(bounds), RUNS)), axis=0)
    found = displayed_quantile(bounds, cumulative, 0.9)
    for run in np.flatnonzero(cumulative[-1]):
        assert found[run] == same(histogram.displayed_quantile(bounds, list(cumulative[:, run]), 0.9))


def test_phi_is_the_engines() -> None:
    rng = np.random.default_rng(7)
    total = rng.poisson(20, (85, 4, RUNS)) * (rng.random((85, 4, RUNS)) < 0.8)
    bad = rng.binomial(total, rng.gamma(0.3, 0.1, total.shape).clip(0, 1) * rng.integers(0, 2, RUNS))
    found = dispersion(bad, total, most=20)
    for run in range(RUNS):
        polls = [
            {str(pod): PodCount(float(bad[poll, pod, run]), float(total[poll, pod, run])) for pod in range(4)}
            for poll in range(85)
        ]
        assert found[run] == same(engine_dispersion(polls, most=20).phi)
    assert found.max() > 2


def test_tau_is_the_engines() -> None:
    rng = np.random.default_rng(8)
    total = rng.poisson(5000, (6, RUNS))
    bad = rng.binomial(total, 0.02 * rng.uniform(0.2, 2, (6, RUNS)))
    found = pod_spread(bad, total)
    for run in range(RUNS):
        pods = [PodCount(float(x), float(n)) for x, n in zip(bad[:, run], total[:, run], strict=True)]
        assert found[run] == same(engine_spread(pods))
    assert found.max() > 0.3


def test_whole_rollouts_are_decided_as_the_judge_decides() -> None:
    rng, settings = np.random.default_rng(9), AnalysisSettings()
    timing = StepTiming(min_duration=timedelta(seconds=120), deadline=timedelta(seconds=600))
    runs = 2000
    seen = Readings(
        t=rng.choice([15, 105, 120, 300, 585, 600, 900], runs),
        log_evidence=rng.choice([-5.0, 2.3, 2.31, 4.6, 4.61, 30.0], runs),
        bad_canary=rng.integers(0, 6, runs),
        n_canary=rng.choice([0, 99, 100, 5000], runs),
        proven=rng.random(runs) < 0.5,
        data_ok=rng.random(runs) < 0.8,
    )
    names = {
        Action.CONTINUE: CONTINUE,
        Action.ADVANCE: ADVANCE,
        Action.HOLD: HOLD,
        Action.ROLLBACK: ROLLBACK,
    }
    for run, action in enumerate(decided(seen)):
        reading = Reading(
            t=float(seen.t[run]),
            since_data=0.0,
            log_evidence=float(seen.log_evidence[run]),
            bad_canary=float(seen.bad_canary[run]),
            n_canary=float(seen.n_canary[run]),
            proven={"errors": bool(seen.proven[run])},
            guardrail=None,
            data_ok=bool(seen.data_ok[run]),
            stands=Standing(log_evidence=0.0, metrics=(), culprit=None),
        )
        assert action == names[engine.decide(reading, settings, timing)[0]]
