"""Every vector of the specification whose kind is built."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import pairwise
from math import inf, log
from pathlib import Path
from typing import Any

import pytest

from modelrollout.decide import explain, histogram, increments, judge, mixture
from modelrollout.decide.findings import Reading
from modelrollout.decide.standing import Standing
from modelrollout.domain.analysis import AnalysisSettings, Margin, Sample, StepTiming, Tally

DOCUMENT = json.loads((Path(__file__).parent / "analysis_vectors.json").read_text(encoding="utf-8"))
NOT_YET = frozenset({"ratio_cs", "rate_cs", "dispersion", "tau", "sign", "burn", "lil", "psi"})
"""Kinds whose sections (3.3, 5, 8.1, latency bands) are not built."""

Vector = Mapping[str, Any]


def close(expected: Any) -> Any:
    tolerance = DOCUMENT["tolerance"]
    return pytest.approx(expected, rel=tolerance["rel"], abs=tolerance["abs"])


def a_block(row: list[float]) -> Tally:
    return Tally(x_canary=row[0], n_canary=row[1], x_stable=row[2], n_stable=row[3])


def grid_of(config: Vector) -> mixture.Grid:
    named = {"regression": mixture.REGRESSION, "noninferiority": mixture.NON_INFERIORITY}
    grid = config["grid"]
    if isinstance(grid, str):
        return mixture.slo_grid(config["delta"]) if config["rho"] == 0 else named[grid]
    multiples = tuple(r / config["rho"] for r in grid)
    return mixture.Grid(multiples=multiples, log_weights=tuple(log(w) for w in config["weights"]))


def factors(config: Vector, block: Tally) -> tuple[float, ...]:
    phi = config.get("phi", 1.0)
    if config["rho"] == 0:
        return mixture.slo_log_factors(grid_of(config), block, config["delta"], phi=phi)
    margin = Margin(ratio=config["rho"], absolute=config["delta"])
    return mixture.log_factors(grid_of(config), block, margin, phi=phi)


def eprocess(vector: Vector) -> None:
    config, grid = vector["config"], grid_of(vector["config"])
    sums, seen, bad, crossed = mixture.nothing_yet(grid), [], 0.0, None
    for i, row in enumerate(vector["blocks"]):
        sums = mixture.added(sums, factors(config, a_block(row)))
        bad += row[0]
        seen.append(mixture.log_mixture(grid, sums))
        if crossed is None and seen[-1] >= mixture.log_limit(config["alpha"]) and bad >= config["min_bad"]:
            crossed = i
    assert seen == close(vector["expect"]["log_e"])
    assert crossed == vector["expect"]["first_cross_block"]


def restart(vector: Vector) -> None:
    config, grid = vector["config"], grid_of(vector["config"])
    parts: list[tuple[float, ...]] = []
    seen = []
    for step in vector["steps"]:
        parts.append(mixture.nothing_yet(grid))
        for row in step:
            worse = factors(config, a_block(row))
            parts = [mixture.added(part, worse) for part in parts]
            scores = [mixture.log_mixture(grid, part) for part in parts]
            seen.append(mixture.log_restart(scores, config["planned_steps"], len(parts)))
    crossed = next((i for i, e in enumerate(seen) if e >= mixture.log_limit(config["alpha"])), None)
    assert seen == close(vector["expect"]["log_e"])
    assert crossed == vector["expect"]["first_cross_block"]


def average(vector: Vector) -> None:
    log_e, culprit = mixture.log_average(vector["log_e"], vector["weights"])
    assert log_e == close(vector["expect"]["log_e"])
    assert culprit == vector["expect"]["culprit"]


def latency(vector: Vector) -> None:
    config, grid = vector["config"], grid_of(vector["config"])
    bounds = [inf if le == "+Inf" else le for le in vector["le"]]

    def rises(rows: list[list[float]]) -> list[dict[float, float]]:
        pairs = pairwise(rows)
        return [dict(zip(bounds, (b - a for a, b in zip(x, y, strict=True)), strict=True)) for x, y in pairs]

    sums = {edge: mixture.nothing_yet(grid) for edge in vector["boundaries"]}
    per_edge, mean = [], []
    for canary, stable in zip(rises(vector["canary"]), rises(vector["stable"]), strict=True):
        for edge, before in sums.items():
            c, s = histogram.slower_than(canary, edge), histogram.slower_than(stable, edge)
            assert c is not None
            assert s is not None
            sums[edge] = mixture.added(before, factors(config, a_block([*c, *s])))
        scores = [mixture.log_mixture(grid, vectors) for vectors in sums.values()]
        per_edge.append(scores)
        mean.append(mixture.log_average(scores, [1.0] * len(scores))[0])
    for row, expected in zip(per_edge, vector["expect"]["log_e_per_boundary"], strict=True):
        assert row == close(expected)
    assert mean == close(vector["expect"]["log_e"])


def increase(vector: Vector) -> None:
    samples = increments.cleaned(Sample(t, v) for t, v in vector["samples"])
    rise = increments.increase(samples, vector["t_from"], vector["t_to"], first_is_zero=vector["first_is_zero"])
    assert rise == close(vector["expect"]["increase"])


def quantile(vector: Vector) -> None:
    bounds = [inf if le == "+Inf" else le for le in vector["le"]]
    values = [histogram.displayed_quantile(bounds, vector["cumulative"], q) for q in vector["q"]]
    assert values == close(vector["expect"]["values"])


def preview(vector: Vector) -> None:
    needed = explain.requests_to_detect(
        stable_rate=vector["ps"],
        canary_rate=vector["pc"],
        weight=vector["w"],
        margin=Margin(ratio=vector["rho"], absolute=vector["delta"]),
        alpha=vector["alpha"],
    )
    assert needed == close(vector["expect"]["canary_requests"])


def decisions(vector: Vector) -> None:
    assert vector["config"] == {}
    settings = AnalysisSettings()
    timing = StepTiming(min_duration=timedelta(seconds=120), deadline=timedelta(seconds=600))
    proven: dict[str, bool] = {}
    last, seen = 0.0, []
    for row in vector["calls"]:
        call = dict(zip(vector["columns"], row, strict=True))
        last = call["t"] if call["data_ok"] else last
        needed = mixture.log_limit(settings.beta)
        proven = {name: proven.get(name, False) or e >= needed for name, e in call["log_e_ni"].items()}
        reading = Reading(
            t=call["t"],
            since_data=call["t"] - last,
            log_evidence=call["log_e_reg"],
            bad_canary=call["bad_canary"],
            n_canary=call["n_canary"],
            proven=proven,
            guardrail=call["guardrail"],
            data_ok=call["data_ok"],
            stands=Standing(log_evidence=call["log_e_reg"], metrics=(), culprit=None),
        )
        seen.append([str(part) for part in judge.decide(reading, settings, timing)])
    assert seen == vector["expect"]["decisions"]


RUN: Mapping[str, Callable[[Vector], None]] = {
    "eprocess": eprocess,
    "restart": restart,
    "average": average,
    "latency": latency,
    "increments": increase,
    "hist_quantile": quantile,
    "preview": preview,
    "judge": decisions,
}


@pytest.mark.parametrize("vector", [v for v in DOCUMENT["vectors"] if v["kind"] not in NOT_YET], ids=lambda v: v["id"])
def test_the_vector_holds(vector: Vector) -> None:
    RUN[vector["kind"]](vector)


def test_every_kind_is_run_or_named_as_not_yet_built() -> None:
    kinds = {vector["kind"] for vector in DOCUMENT["vectors"]}
    assert kinds == set(RUN) | NOT_YET


def test_the_grids_are_those_of_the_specification() -> None:
    for grid, name in ((mixture.REGRESSION, "regression"), (mixture.NON_INFERIORITY, "noninferiority")):
        expected = DOCUMENT["grids"][name]
        assert list(grid.multiples) == pytest.approx(expected["r_over_rho"], rel=1e-9)
        assert list(grid.log_weights) == pytest.approx([log(w) for w in expected["weights"]], rel=1e-6)
