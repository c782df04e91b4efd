"""`modelrollout explain` as people call it."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.__main__ import main
from modelrollout.cluster.checkpoint import CHECKSUM
from modelrollout.explain import source
from modelrollout.explain.page import WIDTH, page
from modelrollout.explain.source import found_in, from_file
from modelrollout.render.templates import EVIDENCE_KEY
from modelrollout.simulate.deployment_file import Unreadable
from tests.explain.evidence import a_config_map, a_deployment, evidence
from tests.explain.golden import GOLDEN, told, without_checksum


def a_file(tmp_path: Path, *objects: dict[str, Any]) -> str:
    path = tmp_path / "evidence.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return str(path)


def test_the_page_is_as_it_was() -> None:
    assert told() == GOLDEN.read_text()


def test_the_page_fits_a_terminal() -> None:
    assert max(len(line) for line in GOLDEN.read_text().splitlines()) <= WIDTH


def test_a_config_map_alone_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--file", a_file(tmp_path, a_config_map())]) == 0
    told = capsys.readouterr().out
    assert "the defaults: the file has no ModelDeployment" in told
    assert f"candidate {evidence().candidate} against stable {evidence().stable}" in told


def test_it_reads_from_a_pipe_and_from_a_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = {"kind": "List", "items": [a_deployment(), a_config_map()]}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(listed)))
    assert main(["explain", "--file", "-"]) == 0
    assert "the one that status names" in capsys.readouterr().out


def cut_short() -> dict[str, Any]:
    return a_config_map(data={EVIDENCE_KEY: a_config_map()["data"][EVIDENCE_KEY][:100]})


def changed() -> dict[str, Any]:
    text = a_config_map()["data"][EVIDENCE_KEY].replace('"weight":50', '"weight":51')
    return a_config_map(data={EVIDENCE_KEY: text})


def of_others() -> dict[str, Any]:
    return a_config_map(data={"application.properties": "a=b"})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (cut_short(), "is damaged"),
        (changed(), "was changed"),
        (of_others(), "no evidence of ours"),
        (a_config_map(data={EVIDENCE_KEY: "[]"}), "is damaged: it has no fields"),
        (a_config_map(data={EVIDENCE_KEY: '{"schema": 1}'}), "is damaged: a field is missing"),
        (a_config_map(data={EVIDENCE_KEY: '{"schema": 2}'}), "is of another version"),
        (a_config_map(metadata={"name": "x-evidence", "annotations": {CHECKSUM: "0"}}), "was changed"),
        ({"kind": "Secret", "metadata": {"name": "x-evidence"}}, "has 0 ConfigMaps"),
        ({"kind": "ConfigMap", "metadata": 3}, "has 0 ConfigMaps"),
        ({"a": 1}, "has 0 ConfigMaps"),
    ],
)
def test_what_is_damaged_or_foreign_is_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: dict[str, Any], told: str
) -> None:
    assert main(["explain", "--file", a_file(tmp_path, body)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert len(said.err.splitlines()) == 1
    assert not re.search(r"Error|object|'", said.err)


def test_who_has_lost_evidence_is_told_where_to_read_on() -> None:
    for body in (cut_short(), changed()):
        with pytest.raises(Unreadable, match=r"gathers it again: docs/concepts/judging\.md, If the evidence is lost"):
            found_in(body, None, "x")


def test_status_that_is_no_object_is_none() -> None:
    odd = {**a_deployment(), "status": {"analysis": [], "rollout": [1]}}
    assert "\n  Used" not in page(found_in(a_config_map(), odd, "x"))


def test_the_checksum_of_status_is_another_write_and_decides_nothing() -> None:
    deployment = a_deployment()
    deployment["status"]["analysis"]["stateRef"] = {"checksum": "abc"}
    assert "the operator goes by the annotation" in found_in(a_config_map(), deployment, "x").checksum


@pytest.mark.parametrize(
    ("rollout", "told"),
    [
        ({"attempt": 1, "candidate": "new"}, "by an operator that begins anew"),
        ({"attempt": 2, "candidate": "new"}, "no more: another rollout"),
        ({"attempt": 1, "candidate": "newer"}, "no more: another rollout"),
        ({"attempt": 1}, "no more: no rollout is under way"),
    ],
)
def test_it_says_whether_the_operator_goes_by_the_evidence(rollout: dict[str, Any], told: str) -> None:
    assert told in found_in(a_config_map(), {**a_deployment(), "status": {"rollout": rollout}}, "x").use


def test_a_model_deployment_of_another_name_is_named(tmp_path: Path) -> None:
    other = {**a_deployment(), "metadata": {"name": "chat"}}
    found = from_file(a_file(tmp_path, other, a_config_map()))
    assert found.margins == "the defaults: the file's ModelDeployment is chat, not sentiment"
    assert found.use == ""


@pytest.mark.parametrize("name", ["first-token", "end-to-end"])
def test_long_names_and_large_counts_do_not_widen_the_page(name: str) -> None:
    found = found_in(a_config_map(), a_deployment(), "shop/sentiment")
    errors, latency = found.evidence.metrics
    tests = [replace(test, edge=0.0025, rollout=test.rollout.times(1000)) for test in latency.tests]
    metrics = (errors, replace(latency, name=name, tests=tuple(tests)))
    settings = replace(
        found.settings, metrics=(found.settings.metrics[0], replace(found.settings.metrics[1], name=name))
    )
    told = page(replace(found, evidence=replace(found.evidence, metrics=metrics), settings=settings))
    assert f"{name}@0.0025" in told
    assert max(map(len, told.splitlines())) <= WIDTH


def test_no_yaml_and_no_file_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_text("{")
    assert main(["explain", "--file", str(tmp_path / "a")]) == 1
    assert main(["explain", "--file", str(tmp_path / "none")]) == 1
    assert "is not YAML" in capsys.readouterr().err


def test_evidence_of_other_metrics_needs_its_model_deployment() -> None:
    with pytest.raises(Unreadable, match="put both into one file"):
        found_in(a_config_map(), a_deployment(analysis={"metrics": [{"name": "errors"}]}), "x")


def test_an_older_config_map_without_a_checksum_is_read() -> None:
    body = a_config_map()
    del body["metadata"]["annotations"][CHECKSUM]
    assert found_in(body, None, "x").checksum.startswith("none written; the operator uses")


@pytest.mark.parametrize("arguments", [[], ["a", "--file", "b"]])
def test_either_a_name_or_a_file(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *arguments]) == 64
    assert "write the name of a ModelDeployment, or --file" in capsys.readouterr().err


def test_by_name_it_asks_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str]] = []

    class Client:
        async def close(self) -> None:
            asked.append(("", "closed"))

    class Api:
        def __init__(self, *_: object) -> None: ...

        async def get(self, _version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
            asked.append((kind, f"{namespace}/{name}"))
            there = {
                ("ModelDeployment", "sentiment"): a_deployment(),
                ("ConfigMap", "sentiment-evidence"): a_config_map(),
            }
            return there.get((kind, name))

    async def connected(_: Path) -> Client:
        return Client()

    monkeypatch.setattr(source, "connect", connected)
    monkeypatch.setattr(source, "KubernetesApi", Api)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert main(["explain", "sentiment", "-n", "shop"]) == 0
    assert without_checksum(capsys.readouterr().out) == GOLDEN.read_text()
    assert asked == [("ModelDeployment", "shop/sentiment"), ("ConfigMap", "shop/sentiment-evidence"), ("", "closed")]
    assert main(["explain", "other", "-n", "shop"]) == 1
    assert "there is no such ModelDeployment" in capsys.readouterr().err


def test_without_a_kubeconfig_it_says_what_to_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "sentiment", "--kubeconfig", str(tmp_path / "none")]) == 1
    assert "kubeconfig" in capsys.readouterr().err
