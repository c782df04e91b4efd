"""`status.analysis`: the comparison's figures, and what its evidence is gathered again from if it is lost. Pure.

Figures refresh only with a checkpoint or a decision; a changing figure never causes a write of its own.
"""

from typing import Any

from modelrollout.decide.decisions import LONGEST_MESSAGE
from modelrollout.decide.evidence_document import checksum, to_document
from modelrollout.decide.metric_status import metric_status
from modelrollout.decide.recovery_document import recovery_document
from modelrollout.decide.verdicts import Circumstances
from modelrollout.domain.conditions import Reason
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.judgement import Judgement
from modelrollout.domain.parse import analysis_settings
from modelrollout.domain.plan import Checkpoint
from modelrollout.names import evidence_name

MOST_PARTS, MOST_STEPS = 250, 64
"""Beyond them, after two days in one step, status would grow without an end: it keeps the evidence as one number."""


def analysis_status(seen: Circumstances, kept: dict[str, Any]) -> dict[str, Any]:
    """Figures as of the last checkpoint or decision of this attempt, and as the step begins."""
    judgement, evidence = seen.plan.judgement, seen.observed.evidence
    saved = any(isinstance(each.action, Checkpoint) and each.refused is None for each in seen.outcomes)
    decided = seen.plan.intent is not None and judgement is not None
    if seen.plan.reason is Reason.ROLLOUT_STARTED:
        return {}
    if judgement is None or evidence is None or evidence.step < 0 or evidence.replay is not None:
        return kept
    if evidence.attempt != str(seen.observed.intent.attempt):
        return kept  # of the attempt before
    begins = (kept.get("attempt"), kept.get("step")) != (evidence.attempt, evidence.step + 1)
    if not (saved or decided or begins):
        return kept
    figures = _figures(judgement, evidence, seen.observed.key.name)
    if evidence.parts_started > MOST_PARTS or len(evidence.entered) > MOST_STEPS:
        return figures
    settings = analysis_settings(seen.observed.intent.analysis)
    return figures | {"recovery": recovery_document(evidence, settings)}


def _figures(judgement: Judgement, evidence: Evidence, name: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "attempt": evidence.attempt,
        "blockSeq": evidence.block_seq,
        "step": evidence.step + 1,
        "candidateRequests": round(evidence.requests.n_canary),
        "candidateBad": round(evidence.requests.x_canary),
        "stableRequests": round(evidence.requests.n_stable),
        "stableBad": round(evidence.requests.x_stable),
        "decision": str(judgement.action),
        "verdict": str(judgement.verdict),
        "metrics": [metric_status(evidence, each) for each in judgement.verdicts],
        "stateRef": {"name": evidence_name(name), "blockSeq": evidence.block_seq, "checksum": _checksum(evidence)},
    }
    told = {
        "reason": judgement.reason,
        "culprit": judgement.culprit,
        "sentence": judgement.sentence[:LONGEST_MESSAGE],
        "flags": list(judgement.flags),
    }
    document |= {field: value for field, value in told.items() if value}
    if evidence.spans or evidence.budget_spent:
        document["budgetShare"] = float(f"{evidence.budget_spent:.4g}")
    if judgement.figures is not None:
        document["logEvidence"] = round(judgement.figures.log_evidence, 4)
    return document


def _checksum(evidence: Evidence) -> str:
    return checksum(Fragment.of(to_document(evidence)).text)
