import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.decide.evidence import begin
from modelrollout.decide.evidence_document import from_document, to_document
from modelrollout.domain.analysis import AnalysisSettings, FaultKind, ProviderFault
from modelrollout.domain.evidence import Evidence
from tests.decide.simulated import World, roll_out

SETTINGS = AnalysisSettings(warmup=timedelta(0))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def through_json(evidence: Evidence) -> Evidence:
    return from_document(json.loads(json.dumps(to_document(evidence), allow_nan=False)))


def test_evidence_survives_json_to_the_last_bit() -> None:
    ending = roll_out(World(seed=2, rps=60, rate_new=0.03), SETTINGS, weights=(20, 50))
    assert ending.evidence.regression is not None
    assert through_json(ending.evidence) == ending.evidence


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
