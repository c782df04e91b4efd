import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.decide.counted import Counted
from modelrollout.decide.evidence import begin
from modelrollout.decide.evidence_document import from_document, to_document
from modelrollout.decide.growth import grown
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence, GuardrailFired, LimitEvidence, Scatter, Span
from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.domain.tally import Tally
from tests.decide.simulated import World, roll_out

SETTINGS = AnalysisSettings(warmup=timedelta(0))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def through_json(evidence: Evidence) -> Evidence:
    return from_document(json.loads(json.dumps(to_document(evidence), allow_nan=False)))


def test_evidence_survives_json_to_the_last_bit() -> None:
    ending = roll_out(World(seed=2, rps=60, rate_new=0.03), SETTINGS, weights=(20, 50))
    assert ending.evidence.regression is not None
    assert through_json(ending.evidence) == ending.evidence


def test_what_a_guardrail_found_survives_json() -> None:
    evidence = replace(
        begin(SETTINGS, stable="a", candidate="b", attempt="1", steps=3, at=0),
        limits=(
            LimitEvidence(parts=((0.1, -7.5),), stable=(0.0, 2.5), excused_at=12.5, scatter=Scatter(phi=1.5)),
            LimitEvidence(metric="latency", edge=0.5, rollout=Tally(x_canary=1, n_canary=2), step=Tally(n_stable=4)),
        ),
        guardrail=GuardrailFired(name="latencySlo", at=13.5, value=5.1, metric="latency", edge=0.5),
        spans=(Span(start=1.5, end=16.5, errors=Tally(x_canary=1, n_canary=2, x_stable=3, n_stable=4)),),
        budget_spent=0.0125,
        in_flight=Tally(x_canary=1.5, n_canary=2, x_stable=3, n_stable=4),
    )
    assert through_json(evidence) == evidence


NEWER = ("limits", "guardrail", "pod_load", "in_flight", "before", "spans", "budget_spent", "service")
NEWER_OF_A_TEST = ("scatter", "ratio", "interval")
"""Fields that documents did not have at first."""


def test_an_older_document_is_still_read_and_goes_on_from_there() -> None:
    written = roll_out(World(seed=2, rps=60), SETTINGS, weights=(20,), longest=80.0).evidence
    document = json.loads(json.dumps(to_document(written)))
    for name in NEWER:
        del document[name]
    for metric in document["metrics"]:
        for test in metric["tests"]:
            for name in NEWER_OF_A_TEST:
                del test[name]
    read = from_document(document)
    assert read.metrics[0].tests[0].parts == written.metrics[0].tests[0].parts
    assert read.metrics[0].tests[0].scatter == Scatter(phi=1.0)
    assert read.limits == (LimitEvidence(rollout=written.requests, step=written.step_requests),)
    block = Counted(start=80, end=81, errors=Tally(x_canary=1, n_canary=10), histograms={}, carried=())
    assert len(grown(read, SETTINGS, block).limits[0].parts) == read.parts_started


def test_a_document_with_one_limit_is_read_as_that_of_errors() -> None:
    written = roll_out(World(seed=2, rps=60), SETTINGS, weights=(20,), longest=80.0).evidence
    document = json.loads(json.dumps(to_document(written)))
    (limit,) = document.pop("limits")
    document["limit"] = {name: limit[name] for name in ("parts", "stable", "excused_at")} | {"phi": 2.0}
    document["guardrail"] = ["slo", 13.5, 5.1]
    read = from_document(document)
    assert read.limits == (replace(written.limits[0], scatter=Scatter(phi=2.0)),)
    assert read.guardrail == GuardrailFired(name="slo", at=13.5, value=5.1, metric="errors", edge=None)


@given(st.lists(FLOATS, min_size=4, max_size=4), FLOATS, st.none() | FLOATS)
def test_any_number_survives_json_to_the_last_bit(numbers: list[float], at: float, last: float | None) -> None:
    fault = ProviderFault(kind=FaultKind.PARTIAL, message="in part", permanent=False)
    evidence = Evidence(
        stable="a", candidate="b", attempt="", started_at=at, steps=1, planned_parts=1, last_eval=last,
        carried=(("a", "gw", numbers[0]),), faults=(("requests", fault),), fault_seconds=numbers[1],
    )  # fmt: skip
    assert through_json(evidence) == evidence


def test_a_checkpoint_of_a_long_rollout_stays_small() -> None:
    ending = roll_out(World(seed=3, rps=60), SETTINGS, weights=(20, 50))
    assert len(json.dumps(to_document(ending.evidence))) < 30_000


@pytest.mark.parametrize(
    "broken",
    [{}, {"schema": 2}, {"schema": 1}, {"schema": 1, "stable": 3}],
    ids=["empty", "another schema", "nothing in it", "wrong type"],
)
def test_a_document_that_is_not_ours_is_refused_with_what_to_do(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="begin the evidence afresh"):
        from_document(broken)


def test_a_damaged_vector_is_refused() -> None:
    document = to_document(begin(SETTINGS, stable="a", candidate="b", attempt="1", steps=3, at=0))
    metrics = json.loads(json.dumps(document["metrics"]))
    metrics[0]["tests"][0]["proof"] = "AAA"
    with pytest.raises(ValueError, match="begin the evidence afresh"):
        from_document({**document, "metrics": metrics})
