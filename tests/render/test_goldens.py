"""What we render, byte for byte. `make goldens` rewrites; the diff is the review."""

import pytest

from modelrollout.render.templates import Templates
from tests.render.cases import CASES
from tests.render.write_goldens import GOLDEN, text_of


@pytest.mark.parametrize("name", CASES)
def test_what_is_rendered_is_what_was_reviewed(name: str) -> None:
    assert text_of(CASES[name], Templates.load()) == (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")


def test_no_golden_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(CASES)
