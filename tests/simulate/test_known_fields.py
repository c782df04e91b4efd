"""What kubectl would refuse is refused from a file, too: an answer for another spec is none."""

from pathlib import Path

import pytest
import yaml

from modelrollout.__main__ import main
from modelrollout.simulate.known_fields import known_fields, unknown_fields
from tests.crds.schema import root
from tests.repository.tree import ROOT
from tests.simulate.test_command import QUICK, SPEC
from tests.simulate.write_fields import FIELDS, names_of, text

SLO = SPEC.replace("{name: errors}", "{name: errors}, {name: latency, slo: {within: 0.3, share: 0.9}}")


def test_the_names_are_those_of_the_crd() -> None:
    assert FIELDS.read_text(encoding="utf-8") == text(), "run python -m tests.simulate.write_fields"
    assert known_fields()["spec"] == (names_of(root()) or {})["spec"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("  rollout:", "  rollouts:"), "spec.rollouts: is no field; did you mean rollout?"),
        (("metrics:", "metricss:"), "spec.analysis.metricss: is no field; did you mean metrics?"),
        (("slo:", "sol:"), "spec.analysis.metrics[1].sol: is no field; did you mean slo?"),
        (("minDuration", "minduration"), "spec.analysis.minduration: is no field; did you mean minDuration?"),
        (
            ("metrics:", "guardrails: {brun: 3}, metrics:"),
            "spec.analysis.guardrails.brun: is no field; did you mean burn?",
        ),
        (
            ("{name: errors}", "{name: q, kind: ratio, total: {series: a}, bad: {series: a, matcher: {code: x}}}"),
            "spec.analysis.metrics[0].bad.matcher: is no field; did you mean matchers?",
        ),
        (("share: 0.9", "share: 0.9, x: 1"), "spec.analysis.metrics[1].slo.x: is no field; write one of within, share"),
        (("spec:", "spce: 1\nspec:"), "spce: is no field; did you mean spec?"),
    ],
)
@pytest.mark.parametrize("command", [("simulate", *QUICK), ("replay", "--prometheus", "http://localhost:1")])
def test_an_unknown_field_is_refused_by_its_path(
    tmp_path: Path,
    command: tuple[str, ...],
    change: tuple[str, str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "md.yaml"
    path.write_text(SLO.replace(*change))
    assert main([command[0], str(path), *command[1:]]) == 64
    told = capsys.readouterr()
    assert told.err == f"{path}: {message}\n"
    assert told.out == ""


def test_each_unknown_field_is_told() -> None:
    body = {"metadata": {"labels": {"any": "thing"}}, "spec": {"a": 1, "model": {"b": 2}}, "status": {"c": 3}}
    assert [sentence.partition(":")[0] for sentence in unknown_fields(body)] == ["spec.a", "spec.model.b"]


def test_labels_and_what_else_has_names_of_the_users_own_are_no_fields() -> None:
    matched = {"metrics": [{"bad": {"matchers": {"rating": "down"}}}]}
    runtime = {"nodeSelector": {"zone": "a"}, "resources": {"limits": {"nvidia.com/gpu": 1}}}
    assert unknown_fields({"spec": {"analysis": matched, "runtime": runtime}}) == ()


def test_what_the_crd_accepts_has_no_unknown_field() -> None:
    files = [*(ROOT / "tests" / "crds" / "accept").glob("*.yaml"), *(ROOT / "examples").glob("*/*.yaml")]
    bodies = [each for path in files for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    bodies = [each for each in bodies if each and each.get("kind") == "ModelDeployment"]
    assert bodies
    assert [unknown_fields(each) for each in bodies if unknown_fields(each)] == []
