"""Every vector of the specification, and what the command says of files that it was not written with."""

import json
from math import log
from pathlib import Path
from typing import Any

import pytest

from modelrollout.decide import mixture
from tests.decide import vectors
from tests.decide.vector_kinds import KINDS, Vector

DOCUMENT = vectors.read(vectors.OURS)
BURN: dict[str, Any] = {"id": "B", "kind": "burn", "bad": 30, "total": 2000, "slo": 0.999, "expect": {"burn": 15.0}}
MEAN: dict[str, Any] = {"id": "M", "kind": "average", "log_e": [0, 2], "weights": [1, 1], "expect": {"culprit": 1}}


@pytest.mark.parametrize("vector", DOCUMENT.vectors, ids=lambda vector: vector["id"])
def test_the_vector_holds(vector: Vector) -> None:
    assert vectors.misses(vector, DOCUMENT.tolerance) == ()


def test_every_kind_that_can_be_run_has_a_vector() -> None:
    assert {vector["kind"] for vector in DOCUMENT.vectors} == set(KINDS)


def test_the_grids_are_those_of_the_specification() -> None:
    grids = json.loads(vectors.OURS.read_text(encoding="utf-8"))["grids"]
    for grid, name in ((mixture.REGRESSION, "regression"), (mixture.NON_INFERIORITY, "noninferiority")):
        assert list(grid.multiples) == pytest.approx(grids[name]["r_over_rho"], rel=1e-9)
        assert list(grid.log_weights) == pytest.approx([log(w) for w in grids[name]["weights"]], rel=1e-6)


def file_of(directory: Path, *wanted: Vector, **changes: object) -> str:
    document = {"tolerance": {"rel": 1e-6, "abs": 1e-8}, "vectors": wanted, **changes}
    path = directory / "vectors.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_the_repositorys_own_copy_is_run_when_no_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert vectors.main([]) == 0
    assert capsys.readouterr().out == f"{len(DOCUMENT.vectors)} passed, 0 failed\n"


def test_a_wrong_expectation_is_named_with_expected_and_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of(tmp_path, {**BURN, "expect": {"burn": 15.1}}, MEAN, {**MEAN, "id": "N", "expect": {"culprit": 0}})
    assert vectors.main([path]) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("B: burn: expected 15.1, found 14.99999")
    assert (second, last) == ("N: culprit: expected 0, found 1", "1 passed, 2 failed")


def test_an_element_of_a_list_is_named_by_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = next(dict(v) for v in DOCUMENT.vectors if v["kind"] == "judge")
    wrong["expect"] = {"decisions": [["Continue", ""], ["Hold", ""], ["Rollback", "regression"]]}
    assert vectors.main([file_of(tmp_path, wrong)]) == 1
    assert f"{wrong['id']}: decisions[1][0]: expected 'Hold', found 'Continue'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "expect",
    [{"burn": True}, {"burn": "15"}, {"burn": None}, {"burn": [15.0]}, {"rate": 15.0}, {"burn": float("nan")}],
    ids=["a boolean", "a text", "null", "a list", "another name", "no number"],
)
def test_what_is_of_another_kind_never_agrees(expect: Vector) -> None:
    assert len(vectors.misses({**BURN, "expect": expect}, DOCUMENT.tolerance)) == 1


def test_a_list_of_another_length_never_agrees() -> None:
    wanted = next(v for v in DOCUMENT.vectors if v["kind"] == "hist_quantile")
    shorter = {**wanted, "expect": {"values": wanted["expect"]["values"][:-1]}}
    assert len(vectors.misses(shorter, DOCUMENT.tolerance)) == 1


def test_the_files_own_tolerance_counts(tmp_path: Path) -> None:
    near = {**BURN, "expect": {"burn": 15.1}}
    assert vectors.main([file_of(tmp_path, near, tolerance={"rel": 0.01, "abs": 0})]) == 0
    assert vectors.main([file_of(tmp_path, near, tolerance={"rel": 0, "abs": 0.2})]) == 0
    assert vectors.main([file_of(tmp_path, near, tolerance={"rel": 0, "abs": 0.09})]) == 1


def test_a_vector_that_cannot_be_run_has_failed_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {key: value for key, value in BURN.items() if key != "slo"}
    assert vectors.main([file_of(tmp_path, broken, MEAN)]) == 1
    out = capsys.readouterr().out
    assert "B: expected {'burn': 15.0}, found no result: KeyError: 'slo'" in out
    assert "1 passed, 1 failed" in out


@pytest.mark.parametrize("minimum", [{"min_duration": 60}, {"minDuration": "1m"}])
def test_a_judge_takes_the_overrides_of_its_vector(minimum: Vector) -> None:
    columns = ["t", "log_e_reg", "bad_canary", "n_canary", "log_e_ni", "guardrail", "data_ok"]
    vector = {
        "id": "J", "kind": "judge", "config": minimum, "columns": columns,
        "calls": [[60, -1.0, 1, 900, {"err": 3.1}, None, True]], "expect": {"decisions": [["Advance", "proven"]]},
    }  # fmt: skip
    assert vectors.misses(vector, DOCUMENT.tolerance) == ()
    assert vectors.misses({**vector, "config": {}}, DOCUMENT.tolerance) != ()
    assert "no setting" in vectors.misses({**vector, "config": {"margin": 1}}, DOCUMENT.tolerance)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": [{**BURN, "kind": "guess"}]}, "B: unknown kind 'guess'; known: eprocess,"),
        ({"vectors": [{**BURN, "kind": []}]}, "B: unknown kind []"),
        ({"vectors": [{"kind": "burn"}]}, "vectors[0].id: give each vector a name"),
        ({"vectors": [{**BURN, "expect": {}}]}, "B: expect: name at least one result"),
        ({"vectors": {}}, "has no list named vectors"),
        ({"tolerance": {"rel": "much"}}, "tolerance: write numbers rel and abs"),
    ],
)
def test_a_file_that_is_none_of_vectors_is_refused_and_nothing_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], message: str
) -> None:
    assert vectors.main([file_of(tmp_path, BURN, **changes)]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.out == ""


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]"], ids=["empty", "cut off", "no text", "a list"])
def test_a_file_that_is_no_json_object_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "vectors.json"
    path.write_bytes(content)
    assert vectors.main([str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vectors.main([str(tmp_path / "none.json")]) == 2
    assert "cannot be read: No such file or directory" in capsys.readouterr().err
    assert vectors.main([str(tmp_path)]) == 2
