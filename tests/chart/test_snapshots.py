"""What the defaults render to, as files: the diff is the review. `python -m tests.chart.write_snapshots` rewrites."""

from pathlib import Path

import pytest

from tests.chart.write_snapshots import SHOWN, SNAPSHOTS, TEMPLATES, text_of


@pytest.mark.parametrize("template", SHOWN)
def test_the_defaults_render_to_their_snapshot(template: str) -> None:
    assert text_of(template) == (SNAPSHOTS / template).read_text(encoding="utf-8")


def test_there_is_no_snapshot_without_a_template() -> None:
    assert {path.name for path in SNAPSHOTS.iterdir()} == set(SHOWN)


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_template_has_a_test_file_of_its_own(template: str) -> None:
    assert (Path(__file__).parent / f"test_{Path(template).stem.lower()}.py").exists()
