"""`modelrollout simulate` as people call it."""

import json
import sys
from pathlib import Path

import pytest

from modelrollout.__main__ import main
from tests.repository.tree import ROOT

SPEC = """\
apiVersion: modelrollout.dev/v1alpha1
kind: ModelDeployment
metadata: {name: sentiment, namespace: shop}
spec:
  model: {version: "2", uri: pvc://models/sentiment/2}
  runtime: {preset: mlserver, image: example/mlserver:1}
  traffic: {router: gatewayAPI, gatewayAPI: {parentRefs: [{name: public}]}}
  rollout: {steps: [{weight: 50}], bake: 30s}
  analysis: {minDuration: 1m, deadline: 3m, metrics: [{name: errors}]}
"""
RATED = SPEC.replace(
    "{name: errors}",
    "{name: errors}, {name: quality, kind: ratio, total: {series: a_total}, bad: {series: b_total}}, "
    "{name: drift, kind: gauge, gauge: {promql: 'max(drift)', window: 5m}}",
)
"""With a ratio and a gauge of the user's own."""
QUICK = ("--rps", "100", "--runs", "2", "--jobs", "1")


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "md.yaml"
    path.write_text(SPEC)
    return str(path)


def test_a_spec_and_a_rate_are_enough(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", spec, *QUICK]) == 0
    told = capsys.readouterr().out
    assert "sentiment: 50 %, at 100 requests a second" in told
    for row in ("errors 1 %", "errors 2 %", "errors 5 %", "errors 50 %", "latency 150 ms", "latency 200 ms"):
        assert f"\n  {row} " in told


def test_what_to_catch_can_be_said(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--catch", "3%,30%", "--slower", "3", "--errors", "0.2%", "--latency", "40ms/0.4", "--output", "json")
    assert main(["simulate", spec, *QUICK, *asked]) == 0
    document = json.loads(capsys.readouterr().out)
    found = [(row["candidate"]["errorRate"], row["candidate"]["latency"]) for row in document["whatItCatches"]]
    usual = {"medianSeconds": 0.04, "sigma": 0.4}
    assert found == [(0.03, usual), (0.3, usual), (0.002, {"medianSeconds": 0.12, "sigma": 0.4})]


def test_the_same_seed_prints_the_same(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for seed in ("1", "1", "2"):
        assert main(["simulate", spec, *QUICK, "--catch", "2%", "--seed", seed, "--output", "json"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != printed[2]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (("weight: 50", "weight: 120"), QUICK, "spec.rollout.steps[0].weight: 120 is not between 1 and 99"),
        (("kind: ModelDeployment", "kind: Model"), QUICK, "has no ModelDeployment; write one with"),
        (("spec:", "spec: ["), QUICK, "is not YAML"),
        ((", gatewayAPI: {parentRefs: [{name: public}]}", ""), QUICK, "spec.traffic.gatewayAPI.parentRefs"),
        ((", gatewayAPI: {", ", gateway: {"), QUICK, "spec.traffic.gateway: is no field; did you mean gatewayAPI?"),
        (("", ""), ("--runs", "2"), "--rps: is missing"),
        (("", ""), (*QUICK, "--scrape", "5m"), "scrape: 300.0 is not possible"),
        (("", ""), (*QUICK, "--plot", "a.jpeg"), "end the name with .svg or .png or .pdf"),
        (("", ""), ("--rps", "1e9"), "write a number above 0, at most 10000000"),
        (
            ("{name: errors}", "{name: latency, slo: {within: 0.4, share: 0.9}}"),
            (*QUICK, "--bounds", "0.1,0.3,1.2,5"),
            "ends at 0.4 s, so nothing counts what is slower. Write 0.3 or 1.2 instead, or leave it out.",
        ),
        (
            ("{name: errors}", "{name: latency, edges: [0.3, 6]}"),
            (*QUICK, "--bounds", "0.1,0.3,1.2,5"),
            "edges of latency: no bucket of stable's histogram ends at 6 s, so nothing counts what is slower. Write 5",
        ),
        (("preset: mlserver", "preset: nobodys"), QUICK, "UnknownPreset"),
    ],
)
def test_what_cannot_be_simulated_is_told_in_the_operators_words(
    spec: str, change: tuple[str, str], arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(spec).write_text(SPEC.replace(*change))
    assert main(["simulate", spec, *arguments]) == 64
    told = capsys.readouterr()
    assert message in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--errors", "3"), "write a share from 0% to 100%"),
        (("--catch", "1%,x"), "x is no number; write a share such as 0.5%"),
        (("--latency", "fast"), "is no duration; write a duration such as 90s"),
        (("--latency", "0s"), "latency median: 0.0 is not possible"),
        (("--slower", "0"), "write factors above 0"),
        (("--runs", "0"), "write 1 or more"),
        (("--errors", "nan"), "nan is no number"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_by_name(
    spec: str, arguments: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", spec, *QUICK, *arguments]) == 64
    told = capsys.readouterr().err
    assert f"argument {arguments[0]}" in told and message in told


@pytest.mark.parametrize(
    ("bounds", "remarked"), [((), True), (("--bounds", "0.1,0.4,1.2"), False)], ids=["of the gateway", "as said"]
)
def test_a_bucket_for_an_edge_is_only_assumed_where_no_bounds_are_said(
    spec: str, bounds: tuple[str, ...], remarked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(spec).write_text(SPEC.replace("{name: errors}", "{name: latency, slo: {within: 0.4, share: 0.9}}"))
    assert main(["simulate", spec, *QUICK, "--catch", "50%", *bounds]) == 0
    assert ("is taken to have a bucket for each edge" in capsys.readouterr().out) is remarked


@pytest.mark.parametrize(("mode", "enforced"), [("none", False), ("observe", False), ("enforce", True)])
def test_alpha_is_only_held_against_what_is_enforced(
    spec: str, mode: str, enforced: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(spec).write_text(SPEC.replace("metrics:", f"mode: {mode}, metrics:"))
    assert main(["simulate", spec, *QUICK, "--catch", "50%"]) == 0
    told = capsys.readouterr().out
    assert ("promised is at most alpha = 1 %" in told) is enforced
    assert (f"With mode {mode} nothing is enforced, so alpha does not apply." in told) is not enforced
    assert ("promoted, by time " in told) is not enforced


def test_without_matplotlib_it_says_how_to_get_it(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["simulate", spec, *QUICK, "--plot", str(tmp_path / "p.svg")]) == 64
    assert "install modelrollout[plot]" in capsys.readouterr().err


def test_the_same_study_draws_the_same_picture(spec: str, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        assert main(["simulate", spec, *QUICK, "--catch", "2%", "--plot", str(tmp_path / name)]) == 0
    first, second = ((tmp_path / name).read_text() for name in ("a.svg", "b.svg"))
    assert first == second
    assert first.startswith("<?xml")


def test_every_example_can_be_simulated(capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted((ROOT / "examples").glob("*/*.yaml"))
    assert files
    for path in files:
        assert main(["simulate", str(path), *QUICK, "--catch", "50%", "--runs", "1"]) == 0
        assert "How long" in capsys.readouterr().out


def test_the_commands_of_the_guide_are_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (ROOT / "docs" / "guides" / "how-long.md").read_text()
    counts = guide.partition("```csv\n")[2].partition("```")[0]
    (tmp_path / "counts.csv").write_text(counts)
    (tmp_path / "md.yaml").write_text(SPEC)
    (tmp_path / "rated.yaml").write_text(RATED)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    lines = [line.split()[1:] for line in guide.splitlines() if line.startswith("modelrollout simulate ")]
    assert len(lines) >= 8
    for line in lines:
        assert main([*line, "--runs", "1", "--jobs", "1"]) == 0, capsys.readouterr().err
        assert capsys.readouterr().out
    assert (tmp_path / "rollout.svg").exists()
