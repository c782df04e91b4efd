"""What `status.analysis.metrics` says of each metric, from counts to how sure one can be."""

import json
from dataclasses import replace
from datetime import timedelta
from math import inf
from pathlib import Path

from modelrollout.decide import intervals
from modelrollout.decide.counted import Counted
from modelrollout.decide.evidence import begin, enter_step
from modelrollout.decide.growth import grown
from modelrollout.decide.metric_status import metric_status
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.judgement import MetricVerdict, Verdict
from modelrollout.domain.tally import Tally
from tests.crds import schema
from tests.decide.simulated import World, roll_out

SETTINGS = AnalysisSettings(warmup=timedelta(0))
ERRORS = replace(SETTINGS, metrics=SETTINGS.metrics[:1])
UNDECIDED = MetricVerdict(metric="errors", verdict=Verdict.LOW_SAMPLE, reason="notProven")
ENTRY = schema.root()["properties"]["status"]["properties"]["analysis"]["properties"]["metrics"]["items"]
VECTORS = json.loads((Path(__file__).parent / "analysis_vectors.json").read_text(encoding="utf-8"))["vectors"]


def fed(*blocks: Tally) -> Evidence:
    evidence = begin(ERRORS, stable="old", candidate="new", attempt="1", steps=3, at=0)
    evidence = enter_step(evidence, ERRORS, step=0, weight=20, at=0)
    for i, errors in enumerate(blocks):
        block = Counted(start=15.0 * i, end=15.0 * (i + 1), errors=errors, histograms={}, carried=())
        evidence = grown(evidence, ERRORS, block)
    return evidence


def test_before_the_first_block_there_is_only_the_verdict() -> None:
    assert metric_status(fed(), UNDECIDED) == {"name": "errors", "verdict": "LowSample", "reason": "notProven"}


def test_the_worked_example_has_its_interval_and_its_counts() -> None:
    """E07 of the vectors: 1 % to 2 %, found at its 30th block; the whole arithmetic is tested with the vectors."""
    (example,) = [vector for vector in VECTORS if vector["id"].startswith("E07")]
    rows = example["blocks"][: example["expect"]["first_cross_block"] + 1]
    evidence = fed(*(Tally(x_canary=a, n_canary=b, x_stable=c, n_stable=d) for a, b, c, d in rows))
    entry = metric_status(evidence, UNDECIDED)
    counts = {"candidateBad": 170, "candidateRequests": 9284, "stableBad": 379, "stableRequests": 37464}
    assert (entry["rollout"], entry["step"]) == (counts, counts)
    assert entry["ratio"] == 1.81
    assert entry["phi"] == 2.0
    assert entry["ratioLow"] < 1.3
    assert entry["ratioHigh"] > 2.5, "phi is 2, so less is known than in the example's sentence"
    sums = intervals.no_ratio_rejected()
    for a, b, c, d in rows:
        sums = intervals.ratio_added(sums, Tally(x_canary=a, n_canary=b, x_stable=c, n_stable=d))
    told = intervals.ratio_interval(sums, alpha=0.05)
    assert (f"{told.low:.2g}", f"{told.high:.2g}") == ("1.3", "2.5"), (
        "independent requests, as in the example's sentence"
    )


def test_a_ratio_that_is_not_known_is_left_out() -> None:
    entry = metric_status(fed(Tally(x_canary=5, n_canary=100, n_stable=400)), UNDECIDED)
    assert "ratio" not in entry
    assert entry["ratioLow"] > 0
    assert "ratioHigh" not in entry, "nothing is above infinity"


def test_of_a_histogram_the_loudest_edge_is_shown_and_all_edges_are_named() -> None:
    ending = roll_out(World(seed=4, rps=80, slower=2.0), SETTINGS)
    slow = metric_status(ending.evidence, MetricVerdict(metric="latency", verdict=Verdict.FAIL, reason="regression"))
    assert slow["edges"] == [0.25, 0.5]
    assert slow["edge"] in slow["edges"]
    assert slow["ratio"] > 1.25
    assert slow["proven"] is False
    assert list(schema.problems(ENTRY, slow, "metrics[]")) == []


def test_every_entry_fits_the_crd_and_has_numbers_of_four_digits() -> None:
    entry = metric_status(fed(Tally(x_canary=123, n_canary=10007, x_stable=391, n_stable=40003)), UNDECIDED)
    assert list(schema.problems(ENTRY, entry, "metrics[]")) == []
    for name in ("ratio", "ratioLow", "ratioHigh", "logEvidence", "logProof"):
        assert entry[name] == float(f"{entry[name]:.4g}") < inf
