"""The page of the evidence that is the same each time."""

from pathlib import Path

from modelrollout.decide.evidence_document import checksum, to_document
from modelrollout.domain.fragment import Fragment
from modelrollout.explain.page import page
from modelrollout.explain.source import found_in
from tests.explain.evidence import a_config_map, a_deployment, evidence

GOLDEN = Path(__file__).parent / "golden.txt"


def without_checksum(text: str) -> str:
    """The last bits of a logarithm are the machine's."""
    return text.replace(checksum(Fragment.of(to_document(evidence())).text), "CHECKSUM")


def told() -> str:
    return without_checksum(page(found_in(a_config_map(), a_deployment(), "shop/sentiment")))
