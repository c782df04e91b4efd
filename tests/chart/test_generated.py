"""The copies are current, and manifests/install.yaml can be applied from top to bottom."""

import tomllib
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from charts import render_manifests
from charts.render_manifests import CHART, CHART_CRDS, HEADER, INSTALL, NAMESPACE, ORDER, ROOT, generated, main, stale

from tests.chart.rendering import loaded


@pytest.fixture(scope="module")
def installed() -> list[dict[str, Any]]:
    return loaded(INSTALL.read_text(encoding="utf-8"))


def test_the_generated_files_are_current() -> None:
    assert stale(generated()) == [], "run `python charts/render_manifests.py`"


def test_a_changed_crd_makes_both_its_copies_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crd = tmp_path / "modeldeployments.yaml"
    crd.write_text("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: changed\n")
    monkeypatch.setattr(render_manifests, "CRDS", tmp_path)
    assert {CHART_CRDS / crd.name, INSTALL} <= set(stale(generated()))
    assert main(["--check"]) == 1


def test_a_copy_without_a_source_is_stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(render_manifests, "CHART_CRDS", tmp_path)
    (tmp_path / "left-over.yaml").write_text("kind: CustomResourceDefinition\n")
    assert tmp_path / "left-over.yaml" in stale({})


def test_the_manifest_says_that_it_is_generated() -> None:
    assert INSTALL.read_text(encoding="utf-8").startswith(HEADER)


def test_the_manifest_holds_what_is_needed_before_what_needs_it(installed: list[dict[str, Any]]) -> None:
    kinds = [document["kind"] for document in installed]
    assert kinds == sorted(kinds, key=ORDER.index)
    assert kinds[0] == "Namespace"


def test_the_manifest_is_for_one_namespace_that_admits_only_restricted_pods(installed: list[dict[str, Any]]) -> None:
    assert installed[0]["metadata"]["name"] == NAMESPACE
    assert installed[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {document["metadata"].get("namespace", NAMESPACE) for document in installed} == {NAMESPACE}


def test_the_manifest_does_not_claim_to_be_of_a_helm_release() -> None:
    text = INSTALL.read_text(encoding="utf-8")
    assert "helm.sh/" not in text
    assert "managed-by: Helm" not in text


def test_no_object_of_the_installation_looks_like_one_the_operator_owns(installed: list[dict[str, Any]]) -> None:
    for document in installed:
        assert document["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") != "modelrollout"


def test_helm_finds_nothing_to_warn_of() -> None:
    report = helm_python.lint(CHART, strict=True)
    assert [message for message in report["messages"] if message["severity"] > 1] == []
    assert report["errors"] == []


def test_chart_and_package_have_one_version() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (package, package)
