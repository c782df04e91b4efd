"""One metric's entry in `status.analysis.metrics`: what was counted, and how sure one can be of it. Pure.

Of a histogram's edges it shows the loudest. Numbers that are no counts have four digits, and what is not known
is left out.
"""

from math import inf
from typing import Any

from modelrollout.decide import mixture
from modelrollout.decide.standing import loudest_of, ratio_interval
from modelrollout.domain.evidence import Evidence, MetricEvidence, TestEvidence
from modelrollout.domain.judgement import MetricVerdict
from modelrollout.domain.tally import Tally


def metric_status(evidence: Evidence, found: MetricVerdict) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": found.metric, "verdict": str(found.verdict)}
    if found.reason:
        entry["reason"] = found.reason
    metric = next((each for each in evidence.metrics if each.name == found.metric), None)
    if metric is None:
        return entry
    promised = next((e for e in evidence.limits if e.metric == metric.name and e.edge is not None), None)
    if promised is not None:
        within = _short(promised.edge or 0.0)
        entry["slo"] = {"within": within, "rollout": _tally(promised.rollout), "step": _tally(promised.step)}
    if metric.edges:
        entry["edges"] = [_short(edge) for edge in metric.edges]
    log_evidence, loudest = loudest_of(evidence, metric)
    if loudest is None or loudest.rollout.n_canary <= 0:
        return entry
    return entry | _evidence(metric, log_evidence) | _counted(loudest)


def _evidence(metric: MetricEvidence, log_evidence: float) -> dict[str, Any]:
    """The proof is only as good as that of the edge it is worst for."""
    proofs = [mixture.log_mixture(mixture.NON_INFERIORITY, test.proof) for test in metric.tests]
    return {
        "logEvidence": _short(log_evidence),
        "logProof": _short(min(proofs)),
        "proven": all(test.proven for test in metric.tests),
    }


def _counted(test: TestEvidence) -> dict[str, Any]:
    told: dict[str, Any] = {"rollout": _tally(test.rollout), "step": _tally(test.step), "phi": _short(test.scatter.phi)}
    if test.edge is not None:
        told["edge"] = _short(test.edge)
    if test.ratio is not None:
        told["toleratedRatio"] = _short(test.ratio)
    ratio = _ratio(test.rollout)
    if ratio is not None:
        told["ratio"] = _short(ratio)
    interval = ratio_interval(test)
    if interval is not None:
        low, high = interval
        told["ratioLow"] = _short(low)
        if high < inf:
            told["ratioHigh"] = _short(high)
    return told


def _ratio(counts: Tally) -> float | None:
    if min(counts.n_canary, counts.n_stable, counts.x_stable) <= 0:
        return None
    return counts.x_canary / counts.n_canary / (counts.x_stable / counts.n_stable)


def _tally(counts: Tally) -> dict[str, int]:
    return {
        "candidateBad": round(counts.x_canary),
        "candidateRequests": round(counts.n_canary),
        "stableBad": round(counts.x_stable),
        "stableRequests": round(counts.n_stable),
    }


def _short(number: float) -> float:
    """Four significant digits: more would change with every block."""
    return float(f"{number:.4g}")
