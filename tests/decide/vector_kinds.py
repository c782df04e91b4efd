"""What this implementation finds for one vector of the analysis, per kind: a dict like the vector's `expect`."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from math import inf, log
from typing import Any

from modelrollout.decide import burn, dispersion, gauges, histogram, increments, intervals, judge, mixture
from modelrollout.decide.dispersion import PodCount
from modelrollout.decide.findings import Reading
from modelrollout.decide.preview import requests_to_detect
from modelrollout.decide.standing import Standing
from modelrollout.domain.analysis import AnalysisSettings, OnInconclusive, StepTiming
from modelrollout.domain.durations import duration
from modelrollout.domain.metrics import Margin
from modelrollout.domain.polls import Sample
from modelrollout.domain.service_errors import WindowCount
from modelrollout.domain.tally import Tally

Vector = Mapping[str, Any]
Found = Mapping[str, Any]


def a_block(row: list[float]) -> Tally:
    return Tally(x_canary=row[0], n_canary=row[1], x_stable=row[2], n_stable=row[3])


def grid_of(config: Vector) -> mixture.Grid:
    named = {"regression": mixture.REGRESSION, "noninferiority": mixture.NON_INFERIORITY}
    grid = config["grid"]
    if isinstance(grid, str):
        return mixture.slo_grid(config["delta"]) if config["rho"] == 0 else named[grid]
    unit = config["rho"] or config["delta"]
    weights = tuple(log(w) for w in config["weights"])
    return mixture.Grid(multiples=tuple(r / unit for r in grid), log_weights=weights)


def factors(config: Vector, block: Tally) -> tuple[float, ...]:
    phi = config.get("phi", 1.0)
    if config["rho"] == 0:
        return mixture.slo_log_factors(grid_of(config), block, config["delta"], phi=phi)
    margin = Margin(ratio=config["rho"], absolute=config["delta"])
    return mixture.log_factors(grid_of(config), block, margin, phi=phi)


def first_crossing(config: Vector, log_e: Iterable[float], bad: Iterable[float]) -> int | None:
    needed, least = mixture.log_limit(config["alpha"]), config.get("min_bad", 0)
    pairs = enumerate(zip(log_e, bad, strict=True))
    return next((i for i, (e, x) in pairs if e >= needed and x >= least), None)


def eprocess(vector: Vector) -> Found:
    config, grid = vector["config"], grid_of(vector["config"])
    sums, seen, bad = mixture.nothing_yet(grid), [], [0.0]
    for row in vector["blocks"]:
        sums = mixture.added(sums, factors(config, a_block(row)))
        bad.append(bad[-1] + row[0])
        seen.append(mixture.log_mixture(grid, sums))
    return {"log_e": seen, "first_cross_block": first_crossing(config, seen, bad[1:])}


def restart(vector: Vector) -> Found:
    config, grid = vector["config"], grid_of(vector["config"])
    parts: list[tuple[float, ...]] = []
    seen, bad = [], [0.0]
    for step in vector["steps"]:
        parts.append(mixture.nothing_yet(grid))
        for row in step:
            worse = factors(config, a_block(row))
            parts = [mixture.added(part, worse) for part in parts]
            scores = [mixture.log_mixture(grid, part) for part in parts]
            seen.append(mixture.log_restart(scores, config["planned_steps"], len(parts)))
            bad.append(bad[-1] + row[0])
    return {"log_e": seen, "first_cross_block": first_crossing(config, seen, bad[1:])}


def average(vector: Vector) -> Found:
    log_e, culprit = mixture.log_average(vector["log_e"], vector["weights"])
    return {"log_e": log_e, "culprit": culprit}


def bounds_of(vector: Vector) -> list[float]:
    return [inf if le == "+Inf" else le for le in vector["le"]]


def latency(vector: Vector) -> Found:
    config, grid, bounds = vector["config"], grid_of(vector["config"]), bounds_of(vector)

    def rises(rows: list[list[float]]) -> list[dict[float, float]]:
        pairs = pairwise(rows)
        return [dict(zip(bounds, (b - a for a, b in zip(x, y, strict=True)), strict=True)) for x, y in pairs]

    sums = {edge: mixture.nothing_yet(grid) for edge in vector["boundaries"]}
    per_edge, mean = [], []
    for canary, stable in zip(rises(vector["canary"]), rises(vector["stable"]), strict=True):
        for edge, before in sums.items():
            c, s = histogram.slower_than(canary, edge), histogram.slower_than(stable, edge)
            if c is None or s is None:
                raise ValueError(f"boundary {edge} is not in le")
            sums[edge] = mixture.added(before, factors(config, a_block([*c, *s])))
        scores = [mixture.log_mixture(grid, vectors) for vectors in sums.values()]
        per_edge.append(scores)
        mean.append(mixture.log_average(scores, [1.0] * len(scores))[0])
    return {"log_e_per_boundary": per_edge, "log_e": mean}


def increase(vector: Vector) -> Found:
    samples = increments.cleaned(Sample(t, v) for t, v in vector["samples"])
    born = vector["first_is_zero"]
    return {"increase": increments.increase(samples, vector["t_from"], vector["t_to"], first_is_zero=born)}


def ratio_interval(vector: Vector) -> Found:
    sums = intervals.no_ratio_rejected()
    for row in vector["blocks"]:
        sums = intervals.ratio_added(sums, a_block(row), phi=vector.get("phi", 1.0))
    found = intervals.ratio_interval(sums, alpha=vector["alpha"])
    return {"interval": [found.low, found.high]}


def rate_interval(vector: Vector) -> Found:
    found = intervals.rate_interval(vector["x"], vector["n"], alpha=vector["alpha"])
    return {"interval": [found.low, found.high]}


def phi(vector: Vector) -> Found:
    blocks = [{str(pod): PodCount(x, n) for pod, (x, n) in enumerate(block)} for block in vector["blocks"]]
    return {"phi": dispersion.dispersion_at(blocks)}


def tau(vector: Vector) -> Found:
    spread = dispersion.pod_spread([PodCount(x, n) for x, n in vector["pods"]], least_pods=3)
    margin = dispersion.widened(Margin(ratio=1.25, absolute=0.0), spread, canary_pods=1, stable_pods=4)
    return {"tau": spread, "widened_rho": margin.ratio}


def sign(vector: Vector) -> Found:
    products = gauges.no_window_yet()
    for difference in vector["diffs"]:
        products = gauges.window_added(products, difference, margin=vector["margin"])
    log_e = gauges.log_sign(products)
    return {"log_e": log_e, "crosses_100": log_e >= log(100)}


def burn_rate(vector: Vector) -> Found:
    count = WindowCount(bad=vector["bad"], total=vector["total"])
    return {"burn": burn.burn_rate(count, vector["slo"])}


def quantile(vector: Vector) -> Found:
    bounds = bounds_of(vector)
    return {"values": [histogram.displayed_quantile(bounds, vector["cumulative"], q) for q in vector["q"]]}


def preview(vector: Vector) -> Found:
    needed = requests_to_detect(
        stable_rate=vector["ps"],
        canary_rate=vector["pc"],
        weight=vector["w"],
        margin=Margin(ratio=vector["rho"], absolute=vector["delta"]),
        alpha=vector["alpha"],
    )
    return {"canary_requests": needed}


def band(vector: Vector) -> Found:
    return {"half_width": intervals.half_width(vector["n"], alpha=vector["alpha"])}


def drift(vector: Vector) -> Found:
    return {"mean": gauges.mean_index(vector["bins"], vector["n"], vector["m"])}


def judge_settings(config: Vector) -> AnalysisSettings:
    """The defaults with the vector's overrides, named as in a spec or with underscores; seconds or durations."""
    changes: dict[str, Any] = {}
    for key, value in config.items():
        name = re.sub(r"(?<!^)([A-Z])", r"_\1", key).lower()
        if name == "on_inconclusive":
            changes[name] = OnInconclusive(value)
        elif name in {"min_duration", "deadline", "no_data_timeout"}:
            changes[name] = duration(value) if isinstance(value, str) else timedelta(seconds=value)
        elif name in {"alpha", "beta", "min_bad", "min_requests", "suspicious"}:
            changes[name] = value
        else:
            raise ValueError(f"config.{key} is no setting of the judge")
    return replace(AnalysisSettings(), **changes)


def decisions(vector: Vector) -> Found:
    settings = judge_settings(vector["config"])
    timing = StepTiming.of(settings)
    needed = mixture.log_limit(settings.beta)
    proven: dict[str, bool] = {}
    last, seen = 0.0, []
    for row in vector["calls"]:
        call = dict(zip(vector["columns"], row, strict=True))
        last = call["t"] if call["data_ok"] else last
        for name, log_e in call["log_e_ni"].items():
            proven[name] = proven.get(name, False) or log_e >= needed
        reading = Reading(
            t=call["t"],
            since_data=call["t"] - last,
            log_evidence=call["log_e_reg"],
            bad_canary=call["bad_canary"],
            n_canary=call["n_canary"],
            proven=dict(proven),
            guardrail=call["guardrail"],
            data_ok=call["data_ok"],
            stands=Standing(log_evidence=call["log_e_reg"], metrics=(), culprit=None),
        )
        seen.append([str(part) for part in judge.decide(reading, settings, timing)])
    return {"decisions": seen}


KINDS: Mapping[str, Callable[[Vector], Found]] = {
    "eprocess": eprocess,
    "restart": restart,
    "average": average,
    "latency": latency,
    "increments": increase,
    "ratio_cs": ratio_interval,
    "rate_cs": rate_interval,
    "dispersion": phi,
    "tau": tau,
    "sign": sign,
    "burn": burn_rate,
    "hist_quantile": quantile,
    "preview": preview,
    "lil": band,
    "psi": drift,
    "judge": decisions,
}
