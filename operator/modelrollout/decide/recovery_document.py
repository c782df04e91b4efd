"""What status keeps of the evidence, in case its ConfigMap is lost: when each step began, and each sum as one number.

Of a vector of log factors only the logarithm of its mixture is kept. As a vector that has this number everywhere it
goes on growing: what comes later multiplies it, and a product of successive e-processes is an e-process. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from modelrollout.decide import gauges, mixture
from modelrollout.decide.document_values import (
    mapping,
    number,
    optional,
    rows,
    tally_in,
    tally_out,
    text,
    whole,
)
from modelrollout.decide.mixture import Grid
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import (
    Evidence,
    GaugeEvidence,
    GuardrailFired,
    LimitEvidence,
    MetricEvidence,
    RegressionFound,
    Scatter,
    StableBefore,
    StepEntered,
    TestEvidence,
)
from modelrollout.domain.intent_document import moment, timestamp
from modelrollout.domain.metrics import Kind
from modelrollout.domain.safeguards import Limit

WHOLE = 100


def recovery_document(evidence: Evidence, settings: AnalysisSettings) -> dict[str, Any]:
    """`status.analysis.recovery`; what is not known is left out."""
    found, fired, before = evidence.regression, evidence.guardrail, evidence.before
    document: dict[str, Any] = {
        "steps": [_step_out(each) for each in evidence.entered],
        "plannedSteps": evidence.steps,
        "plannedParts": evidence.planned_parts,
        "partsStarted": evidence.parts_started,
        "partSince": _time(evidence.part_at),
        "blockSeq": evidence.block_seq,
        "blockEnd": _time(evidence.block_start),
        "requests": tally_out(evidence.requests),
        "stepRequests": tally_out(evidence.step_requests),
        "tests": [_test_out(metric, test) for metric in evidence.metrics for test in metric.tests],
        "gauges": [_gauge_out(metric.name, metric.gauge) for metric in evidence.metrics if metric.gauge is not None],
        "limits": [
            _limit_out(each, mixture.slo_grid(limit.rate))
            for each, limit in zip(evidence.limits, settings.limits(), strict=True)
        ],
        "budgetSpent": evidence.budget_spent,
        "edgesFromPast": [metric.name for metric in evidence.metrics if metric.edges_from_past],
    }
    told: dict[str, Any] = {
        "scrapeInterval": evidence.scrape_interval,
        "restartedAt": None if evidence.restarted_at is None else _time(evidence.restarted_at),
        "stableBefore": None
        if before is None
        else {"requests": before.requests, "bad": before.bad, "seconds": before.seconds},
        "regression": None
        if found is None
        else _known(metric=found.metric, edge=found.edge, at=_time(found.at), logEvidence=found.log_evidence),
        "guardrail": None
        if fired is None
        else _known(name=fired.name, at=_time(fired.at), value=fired.value, metric=fired.metric, edge=fired.edge),
    }
    return document | _known(**told)


def with_recovered(fresh: Evidence, settings: AnalysisSettings, document: Mapping[str, Any]) -> Evidence:
    """The evidence as `fresh` with all that the document keeps; ValueError where it cannot be of this rollout.

    Times stand still at the end of its last block.
    """
    try:
        return _sound(_recovered(fresh, settings.limits(), document))
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"status.analysis.recovery cannot be read ({error!r})") from error


def _sound(evidence: Evidence) -> Evidence:
    """ValueError for what no rollout can have come to: status may be anything that somebody wrote."""
    tests = [test for metric in evidence.metrics for test in metric.tests]
    scatters = [*(test.scatter for test in tests), *(limit.scatter for limit in evidence.limits)]
    parts = {len(test.parts) for test in tests}
    interval = evidence.scrape_interval
    if not (
        0 <= evidence.parts_started <= max(1, evidence.planned_parts)
        and evidence.planned_parts >= 1
        and parts <= {evidence.parts_started}
        and all(scatter.phi >= 1 for scatter in scatters)
        and all(test.ratio is None or test.ratio >= 1 for test in tests)
        and all(0 < each.weight <= WHOLE for each in evidence.entered)
        and (interval is None or interval > 0)
    ):
        raise ValueError("status.analysis.recovery is of no rollout")
    return evidence


def _recovered(fresh: Evidence, limits: Sequence[Limit], d: Mapping[str, Any]) -> Evidence:
    entered = tuple(_step_in(mapping(row)) for row in rows(d["steps"]))
    if not entered:
        raise ValueError("no step has begun")
    from_past = frozenset(map(text, rows(d.get("edgesFromPast", ()))))
    tests = [mapping(row) for row in rows(d["tests"])]
    gauged = {text(row["metric"]): _gauge_in(row) for row in map(mapping, rows(d.get("gauges", ())))}
    found, fired, before = d.get("regression"), d.get("guardrail"), d.get("stableBefore")
    return replace(
        fresh,
        started_at=entered[0].at,
        steps=whole(d["plannedSteps"]),
        planned_parts=whole(d["plannedParts"]),
        parts_started=whole(d["partsStarted"]),
        part_at=_seconds(d["partSince"]),
        step=entered[-1].step,
        step_at=entered[-1].at,
        weight=entered[-1].weight,
        scrape_interval=optional(d.get("scrapeInterval")),
        before=None if before is None else _before_in(mapping(before)),
        block_seq=whole(d["blockSeq"]),
        block_start=_seconds(d["blockEnd"]),
        metrics=tuple(
            replace(_metric_in(metric, tests, gauged.get(metric.name)), edges_from_past=metric.name in from_past)
            for metric in fresh.metrics
        ),
        requests=tally_in(d["requests"]),
        step_requests=tally_in(d["stepRequests"]),
        regression=None if found is None else _found_in(mapping(found)),
        guardrail=None if fired is None else _fired_in(mapping(fired)),
        limits=tuple(
            _limit_in(bare, mapping(row), mixture.slo_grid(limit.rate))
            for bare, row, limit in zip(fresh.limits, rows(d["limits"]), limits, strict=True)
        ),
        budget_spent=number(d.get("budgetSpent", 0.0)),
        entered=entered,
        restarted_at=None if d.get("restartedAt") is None else _seconds(d["restartedAt"]),
    )


def _step_out(entered: StepEntered) -> dict[str, Any]:
    until = None if entered.until is None else _time(entered.until)
    return {"step": entered.step + 1, "weight": entered.weight, "since": _time(entered.at)} | _known(until=until)


def _step_in(row: Mapping[str, object]) -> StepEntered:
    until = row.get("until")
    return StepEntered(
        step=whole(row["step"]) - 1,
        weight=whole(row["weight"]),
        at=_seconds(row["since"]),
        until=None if until is None else _seconds(until),
    )


def _test_out(metric: MetricEvidence, test: TestEvidence) -> dict[str, Any]:
    return {
        "metric": metric.name,
        **_scatter_out(test.scatter),
        "logEvidence": [mixture.log_mixture(mixture.REGRESSION, part) for part in test.parts],
        "logProof": mixture.log_mixture(mixture.NON_INFERIORITY, test.proof),
        "proven": test.proven,
        "rollout": tally_out(test.rollout),
        "step": tally_out(test.step),
    } | _known(edge=test.edge, toleratedRatio=test.ratio)


def _metric_in(
    metric: MetricEvidence, listed: Sequence[Mapping[str, object]], gauge: GaugeEvidence | None
) -> MetricEvidence:
    """A histogram whose edges were not chosen yet goes on choosing them."""
    tests = tuple(_test_in(row) for row in listed if row["metric"] == metric.name)
    if metric.kind is Kind.HISTOGRAM and tests:
        edges = tuple(test.edge for test in tests if test.edge is not None)
        return replace(metric, tests=tests, edges=edges)
    if metric.kind is Kind.RATIO and [test.edge for test in tests] != [None]:
        raise ValueError(f"tests: {metric.name} has {len(tests)}")
    return replace(metric, tests=tests, gauge=gauge)


def _test_in(row: Mapping[str, object]) -> TestEvidence:
    return TestEvidence(
        edge=optional(row.get("edge")),
        parts=tuple(_constant(mixture.REGRESSION, each) for each in rows(row["logEvidence"])),
        proof=_constant(mixture.NON_INFERIORITY, row["logProof"]),
        proven=row["proven"] is True,
        scatter=_scatter_in(row),
        ratio=optional(row.get("toleratedRatio")),
        rollout=tally_in(row["rollout"]),
        step=tally_in(row["step"]),
    )


def _gauge_out(metric: str, gauge: GaugeEvidence) -> dict[str, Any]:
    log_evidence = gauges.log_sign(gauge.products)
    counts = {"window": gauge.window, "windows": gauge.windows, "worse": gauge.worse}
    return {"metric": metric, "logEvidence": log_evidence} | counts


def _gauge_in(row: Mapping[str, object]) -> GaugeEvidence:
    return GaugeEvidence(
        products=(number(row["logEvidence"]),) * len(gauges.BETS),
        window=whole(row["window"]),
        windows=whole(row["windows"]),
        worse=whole(row["worse"]),
    )


def _limit_out(limit: LimitEvidence, grid: Grid) -> dict[str, Any]:
    excused = None if limit.excused_at is None else _time(limit.excused_at)
    stable = mixture.log_mixture(grid, limit.stable) if limit.stable else None
    return {
        "metric": limit.metric,
        **_scatter_out(limit.scatter),
        "logEvidence": [mixture.log_mixture(grid, part) for part in limit.parts],
        "rollout": tally_out(limit.rollout),
        "step": tally_out(limit.step),
    } | _known(edge=limit.edge, logEvidenceOfStable=stable, excusedSince=excused)


def _limit_in(bare: LimitEvidence, row: Mapping[str, object], grid: Grid) -> LimitEvidence:
    if (row["metric"], row.get("edge")) != (bare.metric, bare.edge):
        raise ValueError(f"limits: that of {row['metric']} is not of this rollout")
    stable, excused = row.get("logEvidenceOfStable"), row.get("excusedSince")
    return replace(
        bare,
        parts=tuple(_constant(grid, each) for each in rows(row["logEvidence"])),
        stable=() if stable is None else _constant(grid, stable),
        excused_at=None if excused is None else _seconds(excused),
        scatter=_scatter_in(row),
        rollout=tally_in(row["rollout"]),
        step=tally_in(row["step"]),
    )


def _scatter_out(scatter: Scatter) -> dict[str, Any]:
    return {"phi": scatter.phi, "phiKnown": scatter.known, "tau": scatter.tau}


def _scatter_in(row: Mapping[str, object]) -> Scatter:
    return Scatter(phi=number(row["phi"]), known=row["phiKnown"] is True, tau=number(row["tau"]))


def _before_in(row: Mapping[str, object]) -> StableBefore:
    return StableBefore(requests=number(row["requests"]), bad=number(row["bad"]), seconds=number(row["seconds"]))


def _found_in(row: Mapping[str, object]) -> RegressionFound:
    return RegressionFound(
        metric=text(row["metric"]),
        edge=optional(row.get("edge")),
        at=_seconds(row["at"]),
        log_evidence=number(row["logEvidence"]),
    )


def _fired_in(row: Mapping[str, object]) -> GuardrailFired:
    return GuardrailFired(
        name=text(row["name"]),
        at=_seconds(row["at"]),
        value=number(row["value"]),
        metric=text(row["metric"]),
        edge=optional(row.get("edge")),
    )


def _constant(grid: Grid, value: object) -> tuple[float, ...]:
    """Sums whose mixture is this."""
    return (number(value),) * len(grid.multiples)


def _known(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _time(seconds: float) -> str:
    """Grid times have three decimals, so nothing is lost."""
    return timestamp(datetime.fromtimestamp(round(seconds, 3), UTC))


def _seconds(value: object) -> float:
    return moment(text(value)).timestamp()
