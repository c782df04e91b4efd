"""Evidence as a JSON-able document and back, exact to the last bit. Pure.

Vectors are base64 of little-endian float64; single numbers are JSON numbers, which Python writes
with as many digits as it takes to read the same float again. A document of another schema is
refused, never guessed at: begin afresh, or replay. What an older document does not have begins empty.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import fields
from math import inf

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
    whole,
)
from modelrollout.decide.limits_document import (
    fired_in,
    limit_out,
    limits_in,
    scatter_in,
    service_in,
    service_out,
    span_in,
)
from modelrollout.domain.evidence import (
    Evidence,
    GaugeEvidence,
    MetricEvidence,
    RegressionFound,
    StableBefore,
    StepEntered,
    TestEvidence,
)
from modelrollout.domain.metrics import Kind
from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.domain.tally import Block

SCHEMA = 1
_UNSTORED = ("preflight", "replay")

Document = dict[str, object]


def to_document(evidence: Evidence) -> Document:
    document: Document = {"schema": SCHEMA}
    document.update(
        {each.name: getattr(evidence, each.name) for each in fields(evidence) if each.name not in _UNSTORED}
    )
    document["carried"] = [list(row) for row in evidence.carried]
    document["metrics"] = [_metric_out(metric) for metric in evidence.metrics]
    document["requests"] = tally_out(evidence.requests)
    document["step_requests"] = tally_out(evidence.step_requests)
    before = evidence.before
    document["before"] = None if before is None else [before.requests, before.bad, before.seconds]
    document["pod_load"] = list(evidence.pod_load)
    document["in_flight"] = tally_out(evidence.in_flight)
    document["recent"] = [[b.seq, b.start, b.end, b.weight, tally_out(b.errors)] for b in evidence.recent]
    document["faults"] = [[name, f.kind.value, f.message, f.permanent] for name, f in evidence.faults]
    found = evidence.regression
    document["regression"] = None if found is None else [found.metric, found.edge, found.at, found.log_evidence]
    document["limits"] = [limit_out(limit) for limit in evidence.limits]
    fired = evidence.guardrail
    document["guardrail"] = None if fired is None else [fired.name, fired.at, fired.value, fired.metric, fired.edge]
    document["spans"] = [[span.start, span.end, tally_out(span.errors)] for span in evidence.spans]
    document["service"] = None if evidence.service is None else service_out(evidence.service)
    document["queries"] = [list(row) for row in evidence.queries]
    document["entered"] = [[each.step, each.weight, each.at, each.until] for each in evidence.entered]
    return document


def checksum(text: str) -> str:
    """Of a document as it is written, so that what was changed by hand or cut short is not taken for evidence."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def from_document(document: Mapping[str, object]) -> Evidence:
    """The evidence that was written; ValueError where it cannot be that."""
    if document.get("schema") != SCHEMA:
        raise ValueError(f"evidence schema {document.get('schema')!r} is not {SCHEMA}; begin the evidence afresh")
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise ValueError(f"evidence cannot be read ({error!r}); begin the evidence afresh") from error


def _read(d: Mapping[str, object]) -> Evidence:
    return Evidence(
        stable=text(d["stable"]),
        candidate=text(d["candidate"]),
        attempt=text(d["attempt"]),
        started_at=number(d["started_at"]),
        steps=whole(d["steps"]),
        planned_parts=whole(d["planned_parts"]),
        parts_started=whole(d["parts_started"]),
        part_at=number(d["part_at"]),
        step=whole(d["step"]),
        step_at=number(d["step_at"]),
        weight=whole(d["weight"]),
        polls=whole(d["polls"]),
        last_eval=optional(d["last_eval"]),
        scrape_interval=optional(d["scrape_interval"]),
        before=None if d.get("before") is None else _before_in(d["before"]),
        block_seq=whole(d["block_seq"]),
        block_start=number(d["block_start"]),
        carried=tuple((text(a), text(b), number(n)) for a, b, n in map(rows, rows(d["carried"]))),
        metrics=tuple(_metric_in(row) for row in rows(d["metrics"])),
        requests=tally_in(d["requests"]),
        step_requests=tally_in(d["step_requests"]),
        recent=tuple(_block_in(row) for row in rows(d["recent"])),
        last_data_at=number(d["last_data_at"]),
        data_ok=d["data_ok"] is True,
        faults=tuple(_fault_in(row) for row in rows(d["faults"])),
        fault_since=optional(d["fault_since"]),
        fault_seconds=number(d["fault_seconds"]),
        missing_scrapes=whole(d["missing_scrapes"]),
        pod_load=pair_in(d.get("pod_load", (0.0, 0.0))),
        in_flight=tally_in(d.get("in_flight", (0.0, 0.0, 0.0, 0.0))),
        off_split=whole(d["off_split"]),
        regression=None if d["regression"] is None else _found_in(d["regression"]),
        limits=limits_in(d),
        guardrail=None if d.get("guardrail") is None else fired_in(d["guardrail"]),
        spans=tuple(span_in(row) for row in rows(d.get("spans", ()))),
        budget_spent=number(d.get("budget_spent", 0.0)),
        service=None if d.get("service") is None else service_in(d["service"]),
        queries=tuple((text(a), text(b)) for a, b in map(rows, rows(d["queries"]))),
        entered=tuple(_entered_in(row) for row in rows(d.get("entered", ()))),
        restarted_at=optional(d.get("restarted_at")),
    )


def _metric_out(metric: MetricEvidence) -> Document:
    return {
        "name": metric.name,
        "kind": metric.kind.value,
        "edges": None if metric.edges is None else list(metric.edges),
        "profile": [["+Inf" if bound == inf else bound, count] for bound, count in metric.profile],
        "unsound_blocks": metric.unsound_blocks,
        "edges_from_past": metric.edges_from_past,
        "tests": [
            {
                "edge": test.edge,
                "parts": [vector_out(part) for part in test.parts],
                "proof": vector_out(test.proof),
                "proven": test.proven,
                "scatter": [test.scatter.phi, test.scatter.known, test.scatter.tau],
                "ratio": test.ratio,
                "interval": vector_out(test.interval),
                "rollout": tally_out(test.rollout),
                "step": tally_out(test.step),
            }
            for test in metric.tests
        ],
        "gauge": None if metric.gauge is None else _gauge_out(metric.gauge),
    }


def _metric_in(row: object) -> MetricEvidence:
    metric = mapping(row)
    edges = metric["edges"]
    return MetricEvidence(
        name=text(metric["name"]),
        kind=Kind(text(metric["kind"])),
        edges=None if edges is None else tuple(number(edge) for edge in rows(edges)),
        profile=tuple(
            (inf if bound == "+Inf" else number(bound), number(n)) for bound, n in map(rows, rows(metric["profile"]))
        ),
        unsound_blocks=whole(metric["unsound_blocks"]),
        edges_from_past=metric.get("edges_from_past") is True,
        tests=tuple(_test_in(mapping(test)) for test in rows(metric["tests"])),
        gauge=None if metric.get("gauge") is None else _gauge_in(metric["gauge"]),
    )


def _gauge_out(gauge: GaugeEvidence) -> list[object]:
    return [list(gauge.products), gauge.window, gauge.canary, gauge.stable, gauge.windows, gauge.worse]


def _gauge_in(row: object) -> GaugeEvidence:
    products, window, canary, stable, windows, worse = rows(row)
    return GaugeEvidence(
        products=tuple(map(number, rows(products))),
        window=whole(window),
        canary=optional(canary),
        stable=optional(stable),
        windows=whole(windows),
        worse=whole(worse),
    )


def _test_in(test: Mapping[str, object]) -> TestEvidence:
    return TestEvidence(
        edge=optional(test["edge"]),
        parts=tuple(vector_in(part) for part in rows(test["parts"])),
        proof=vector_in(test["proof"]),
        proven=test["proven"] is True,
        scatter=scatter_in(test.get("scatter", (1.0, False, 0.0))),
        ratio=optional(test.get("ratio")),
        interval=vector_in(test.get("interval", "")),
        rollout=tally_in(test["rollout"]),
        step=tally_in(test["step"]),
    )


def _block_in(row: object) -> Block:
    seq, start, end, weight, errors = rows(row)
    return Block(
        seq=whole(seq),
        start=number(start),
        end=number(end),
        weight=whole(weight),
        errors=tally_in(errors),
    )


def _fault_in(row: object) -> tuple[str, ProviderFault]:
    name, kind, message, permanent = rows(row)
    fault = ProviderFault(kind=FaultKind(text(kind)), message=text(message), permanent=permanent is True)
    return text(name), fault


def _found_in(row: object) -> RegressionFound:
    metric, edge, at, log_evidence = rows(row)
    return RegressionFound(
        metric=text(metric),
        edge=optional(edge),
        at=number(at),
        log_evidence=number(log_evidence),
    )


def _before_in(row: object) -> StableBefore:
    requests, bad, seconds = rows(row)
    return StableBefore(requests=number(requests), bad=number(bad), seconds=number(seconds))


def _entered_in(row: object) -> StepEntered:
    step, weight, at, until = rows(row)
    return StepEntered(step=whole(step), weight=whole(weight), at=number(at), until=optional(until))
