"""Evidence as a JSON-able document and back, exact to the last bit. Pure.

Vectors are base64 of little-endian float64; single numbers are JSON numbers, which Python writes
with as many digits as it takes to read the same float again. A document of another schema is
refused, never guessed at: begin afresh, or replay.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import inf

from modelrollout.domain.analysis import Block, FaultKind, Kind, ProviderFault, Tally
from modelrollout.domain.evidence import Evidence, MetricEvidence, RegressionFound, TestEvidence

SCHEMA = 1

Document = dict[str, object]


def to_document(evidence: Evidence) -> Document:
    document: Document = {"schema": SCHEMA}
    document.update({each.name: getattr(evidence, each.name) for each in fields(evidence)})
    document["carried"] = [list(row) for row in evidence.carried]
    document["metrics"] = [_metric_out(metric) for metric in evidence.metrics]
    document["requests"] = _tally_out(evidence.requests)
    document["step_requests"] = _tally_out(evidence.step_requests)
    document["recent"] = [[b.seq, b.start, b.end, b.weight, _tally_out(b.errors)] for b in evidence.recent]
    document["faults"] = [[name, f.kind.value, f.message, f.permanent] for name, f in evidence.faults]
    found = evidence.regression
    document["regression"] = None if found is None else [found.metric, found.edge, found.at, found.log_evidence]
    document["queries"] = [list(row) for row in evidence.queries]
    return document


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
        stable=_text(d["stable"]),
        candidate=_text(d["candidate"]),
        attempt=_text(d["attempt"]),
        started_at=_number(d["started_at"]),
        steps=_whole(d["steps"]),
        planned_parts=_whole(d["planned_parts"]),
        parts_started=_whole(d["parts_started"]),
        part_at=_number(d["part_at"]),
        step=_whole(d["step"]),
        step_at=_number(d["step_at"]),
        weight=_whole(d["weight"]),
        polls=_whole(d["polls"]),
        last_eval=_optional(d["last_eval"]),
        scrape_interval=_optional(d["scrape_interval"]),
        block_seq=_whole(d["block_seq"]),
        block_start=_number(d["block_start"]),
        carried=tuple((_text(a), _text(b), _number(n)) for a, b, n in map(_rows, _rows(d["carried"]))),
        metrics=tuple(_metric_in(row) for row in _rows(d["metrics"])),
        requests=_tally_in(d["requests"]),
        step_requests=_tally_in(d["step_requests"]),
        recent=tuple(_block_in(row) for row in _rows(d["recent"])),
        last_data_at=_number(d["last_data_at"]),
        data_ok=d["data_ok"] is True,
        faults=tuple(_fault_in(row) for row in _rows(d["faults"])),
        fault_since=_optional(d["fault_since"]),
        fault_seconds=_number(d["fault_seconds"]),
        missing_scrapes=_whole(d["missing_scrapes"]),
        off_split=_whole(d["off_split"]),
        regression=None if d["regression"] is None else _found_in(d["regression"]),
        queries=tuple((_text(a), _text(b)) for a, b in map(_rows, _rows(d["queries"]))),
    )


def _metric_out(metric: MetricEvidence) -> Document:
    return {
        "name": metric.name,
        "kind": metric.kind.value,
        "edges": None if metric.edges is None else list(metric.edges),
        "profile": [["+Inf" if bound == inf else bound, count] for bound, count in metric.profile],
        "unsound_blocks": metric.unsound_blocks,
        "tests": [
            {
                "edge": test.edge,
                "parts": [_vector_out(part) for part in test.parts],
                "proof": _vector_out(test.proof),
                "proven": test.proven,
                "rollout": _tally_out(test.rollout),
                "step": _tally_out(test.step),
            }
            for test in metric.tests
        ],
    }


def _metric_in(row: object) -> MetricEvidence:
    metric = _mapping(row)
    edges = metric["edges"]
    return MetricEvidence(
        name=_text(metric["name"]),
        kind=Kind(_text(metric["kind"])),
        edges=None if edges is None else tuple(_number(edge) for edge in _rows(edges)),
        profile=tuple(
            (inf if bound == "+Inf" else _number(bound), _number(n))
            for bound, n in map(_rows, _rows(metric["profile"]))
        ),
        unsound_blocks=_whole(metric["unsound_blocks"]),
        tests=tuple(_test_in(_mapping(test)) for test in _rows(metric["tests"])),
    )


def _test_in(test: Mapping[str, object]) -> TestEvidence:
    return TestEvidence(
        edge=_optional(test["edge"]),
        parts=tuple(_vector_in(part) for part in _rows(test["parts"])),
        proof=_vector_in(test["proof"]),
        proven=test["proven"] is True,
        rollout=_tally_in(test["rollout"]),
        step=_tally_in(test["step"]),
    )


def _block_in(row: object) -> Block:
    seq, start, end, weight, errors = _rows(row)
    return Block(
        seq=_whole(seq),
        start=_number(start),
        end=_number(end),
        weight=_whole(weight),
        errors=_tally_in(errors),
    )


def _fault_in(row: object) -> tuple[str, ProviderFault]:
    name, kind, message, permanent = _rows(row)
    fault = ProviderFault(kind=FaultKind(_text(kind)), message=_text(message), permanent=permanent is True)
    return _text(name), fault


def _found_in(row: object) -> RegressionFound:
    metric, edge, at, log_evidence = _rows(row)
    return RegressionFound(
        metric=_text(metric),
        edge=_optional(edge),
        at=_number(at),
        log_evidence=_number(log_evidence),
    )


def _tally_out(tally: Tally) -> list[float]:
    return [tally.x_canary, tally.n_canary, tally.x_stable, tally.n_stable]


def _tally_in(row: object) -> Tally:
    xc, nc, xs, ns = (_number(number) for number in _rows(row))
    return Tally(x_canary=xc, n_canary=nc, x_stable=xs, n_stable=ns)


def _vector_out(vector: Sequence[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}d", *vector)).decode()


def _vector_in(text: object) -> tuple[float, ...]:
    raw = b64decode(_text(text), validate=True)
    return struct.unpack(f"<{len(raw) // 8}d", raw)


def _rows(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{value!r} is no list")
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no mapping")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _optional(value: object) -> float | None:
    return None if value is None else _number(value)
