from copy import deepcopy
from typing import Any

import pytest
from charts.render_manifests import CHART_CRDS, CRDS, INSTALL, source_crds

from tests.chart.rendering import documents, loaded, of_kind

KEEP = "helm.sh/resource-policy"


def sources() -> list[dict[str, Any]]:
    return [document for text in source_crds().values() for document in loaded(text)]


def test_there_is_a_crd_to_copy() -> None:
    assert sources()


def test_the_charts_copies_are_the_sources_byte_for_byte() -> None:
    assert {path.name: path.read_bytes() for path in CHART_CRDS.iterdir()} == {
        path.name: path.read_bytes() for path in CRDS.glob("*.yaml")
    }


@pytest.mark.parametrize("keep", [True, False])
def test_the_crds_are_rendered_as_they_are_but_for_the_policy_to_keep_them(keep: bool) -> None:
    expected = deepcopy(sources())
    if keep:
        for crd in expected:
            crd["metadata"].setdefault("annotations", {})[KEEP] = "keep"
    assert documents("crds.yaml", {"crds": {"keep": keep}}) == expected


def test_they_are_left_out_when_somebody_else_installs_them() -> None:
    assert documents("crds.yaml", {"crds": {"install": False}}) == []


def test_the_manifest_holds_them_too() -> None:
    installed = loaded(INSTALL.read_text(encoding="utf-8"))
    assert of_kind("CustomResourceDefinition", installed) == sources()
