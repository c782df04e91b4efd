import json
from typing import Any

import pytest
from charts.render_manifests import CHART

from tests.chart.rendering import documents, only
from tests.chart.telling import OURS, unknown

SOURCE = CHART / "files" / "dashboards" / "modelrollout.json"
DASHBOARD: dict[str, Any] = json.loads(SOURCE.read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def test_there_is_no_dashboard_unless_it_is_asked_for() -> None:
    assert documents("dashboard.yaml") == []


def test_the_config_map_holds_the_dashboard_for_the_sidecar() -> None:
    config_map = only(documents("dashboard.yaml", {"dashboard": {"enabled": True, "annotations": {"folder": "ML"}}}))
    assert json.loads(config_map["data"]["modelrollout.json"]) == DASHBOARD
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config_map["metadata"]["annotations"] == {"folder": "ML"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_panel_asks_only_for_what_the_operator_exports(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert OURS.findall(target["expr"])
        assert list(unknown(target["expr"])) == []


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_panel_says_what_it_shows_and_has_no_data_source_of_its_own(panel: dict[str, Any]) -> None:
    assert panel["description"]
    assert {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])} == {
        "${datasource}"
    }


def test_no_two_panels_share_a_number_or_a_place() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_variables_and_annotations_ask_for_what_there_is() -> None:
    asked = [each["definition"] for each in DASHBOARD["templating"]["list"] if "definition" in each]
    asked += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    assert asked
    assert [wrong for expression in asked for wrong in unknown(expression)] == []
