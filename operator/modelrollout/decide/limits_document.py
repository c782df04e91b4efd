"""What is held against limits, as the evidence's document keeps it: tests, guardrails, the service. Pure."""

from collections.abc import Mapping

from modelrollout.decide.document_values import (
    mapping,
    number,
    optional,
    pair_in,
    rows,
    tally_in,
    tally_out,
    text,
    vector_in,
    vector_out,
)
from modelrollout.domain.evidence import GuardrailFired, LimitEvidence, Scatter, Span
from modelrollout.domain.metrics import ERRORS
from modelrollout.domain.service_errors import ServiceErrors, ServiceWindows, WindowCount


def limit_out(limit: LimitEvidence) -> dict[str, object]:
    return {
        "metric": limit.metric,
        "edge": limit.edge,
        "parts": [vector_out(part) for part in limit.parts],
        "stable": vector_out(limit.stable),
        "excused_at": limit.excused_at,
        "scatter": [limit.scatter.phi, limit.scatter.known, limit.scatter.tau],
        "rollout": tally_out(limit.rollout),
        "step": tally_out(limit.step),
    }


def limits_in(d: Mapping[str, object]) -> tuple[LimitEvidence, ...]:
    """An older document has one of errors, without counts: those of all requests; or none."""
    if d.get("limits") is not None:
        return tuple(_limit_in(mapping(row), mapping(row)) for row in rows(d["limits"]))
    counts = {"rollout": d["requests"], "step": d["step_requests"]}
    if d.get("limit") is None:
        return (LimitEvidence(rollout=tally_in(counts["rollout"]), step=tally_in(counts["step"])),)
    limit = mapping(d["limit"])
    return (_limit_in({"metric": ERRORS, "edge": None, "scatter": (limit["phi"], False, 0.0), **limit}, counts),)


def _limit_in(limit: Mapping[str, object], counts: Mapping[str, object]) -> LimitEvidence:
    return LimitEvidence(
        metric=text(limit["metric"]),
        edge=optional(limit["edge"]),
        parts=tuple(vector_in(part) for part in rows(limit["parts"])),
        stable=vector_in(limit["stable"]),
        excused_at=optional(limit["excused_at"]),
        scatter=scatter_in(limit["scatter"]),
        rollout=tally_in(counts["rollout"]),
        step=tally_in(counts["step"]),
    )


def fired_in(row: object) -> GuardrailFired:
    name, at, value, *whose = rows(row)
    metric, edge = whose or (ERRORS, None)
    return GuardrailFired(name=text(name), at=number(at), value=number(value), metric=text(metric), edge=optional(edge))


def span_in(row: object) -> Span:
    start, end, errors = rows(row)
    return Span(start=number(start), end=number(end), errors=tally_in(errors))


def service_out(service: ServiceErrors) -> list[object]:
    windows = service.windows
    counts = [[count.bad, count.total] for count in _counts(windows)] if windows is not None else None
    return [service.asked_at, service.seen_at, service.burning_since, counts]


def service_in(row: object) -> ServiceErrors:
    asked, seen, since, counts = rows(row)
    return ServiceErrors(
        asked_at=number(asked),
        seen_at=optional(seen),
        windows=None if counts is None else _windows_in(counts),
        burning_since=optional(since),
    )


def _counts(windows: ServiceWindows) -> tuple[WindowCount, ...]:
    return windows.six_hours, windows.one_hour, windows.thirty_minutes, windows.five_minutes


def _windows_in(row: object) -> ServiceWindows:
    six, one, half, five = (WindowCount(bad=bad, total=total) for bad, total in map(pair_in, rows(row)))
    return ServiceWindows(six_hours=six, one_hour=one, thirty_minutes=half, five_minutes=five)


def scatter_in(row: object) -> Scatter:
    phi, known, tau = rows(row)
    return Scatter(phi=number(phi), known=known is True, tau=number(tau))
