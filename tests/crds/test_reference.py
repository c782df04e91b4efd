"""Documented or red: the reference page is generated, current and complete."""

from docs.generate_reference import REFERENCE, main, stale

from tests.crds.schema import fields, root


def test_the_reference_is_current() -> None:
    assert stale() == [], "run `python docs/generate_reference.py`"
    assert main(["--check"]) == 0


def test_each_field_of_spec_and_status_has_its_row() -> None:
    page = (REFERENCE / "modeldeployment.md").read_text(encoding="utf-8")
    for path, _ in fields(root(), ""):
        name = path.rpartition(".")[2].removesuffix("[]").removesuffix("{}")
        if "." in path and name:
            assert f"| `{name}` |" in page, path
