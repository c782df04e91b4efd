"""The evidence ConfigMap, read back: the evidence, and up to which poll it was written. Pure.

That poll stands in an annotation too, so that a walk with the evidence in memory does not decode the document.
"""

import json
from collections.abc import Mapping

from modelrollout import names
from modelrollout.cluster.kinds import Live
from modelrollout.decide.evidence_document import checksum, from_document
from modelrollout.domain.evidence import Evidence
from modelrollout.render.templates import EVIDENCE_KEY

CHECKPOINT_EVAL = f"{names.GROUP}/checkpoint-eval"
CHECKSUM = f"{names.GROUP}/checksum"


def annotations(evidence: Evidence, text: str) -> Mapping[str, str]:
    """What the writer puts beside the document's text; repr keeps the float to the last bit."""
    told = {CHECKSUM: checksum(text)}
    return told if evidence.last_eval is None else told | {CHECKPOINT_EVAL: repr(evidence.last_eval)}


def last_poll_written(live: Live) -> float | None:
    """Time of the last poll in it, unix seconds; what does not read counts as never written: that costs one write."""
    text = (live["metadata"].get("annotations") or {}).get(CHECKPOINT_EVAL)
    if text is None:
        evidence = read_evidence(live)
        return None if evidence is None else evidence.last_eval
    try:
        return float(text)
    except ValueError:
        return None


def read_evidence(live: Live) -> Evidence | None:
    """The evidence as it was written; None where it cannot be read or was changed: never guessed at."""
    try:
        text = live["data"][EVIDENCE_KEY]
        written = (live["metadata"].get("annotations") or {}).get(CHECKSUM)
        return from_document(json.loads(text)) if written in (None, checksum(text)) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
