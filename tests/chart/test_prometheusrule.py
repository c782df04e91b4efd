from typing import Any

import pytest
import yaml
from charts.render_manifests import CHART

from tests.chart.rendering import documents, only
from tests.chart.telling import OURS, unknown
from tests.repository.tree import ROOT

ON = {"prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}}}
SOURCE: dict[str, Any] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [rule for group in SOURCE["groups"] for rule in group["rules"]]


def named(alert: dict[str, Any]) -> str:
    return str(alert["alert"])


def test_there_is_no_rule_unless_it_is_asked_for() -> None:
    assert documents("prometheusrule.yaml") == []


def test_the_rule_holds_the_alerts_as_they_are_with_the_releases_lease() -> None:
    rule = only(documents("prometheusrule.yaml", ON, name="blue"))
    expected = yaml.safe_load(
        (CHART / "files" / "alerts.yaml").read_text().replace("@LEASE@", "blue-modelrollout-leader")
    )
    assert rule["spec"] == expected
    assert rule["metadata"]["labels"]["release"] == "prometheus"


@pytest.mark.parametrize("alert", ALERTS, ids=named)
def test_an_alert_names_only_what_the_operator_exports(alert: dict[str, Any]) -> None:
    assert OURS.findall(alert["expr"])
    assert list(unknown(alert["expr"])) == []


@pytest.mark.parametrize("alert", ALERTS, ids=named)
def test_an_alert_says_what_happened_what_it_means_and_what_to_do(alert: dict[str, Any]) -> None:
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert alert["labels"]["severity"] in {"warning", "critical"}


def test_the_four_questions_of_the_night_each_have_an_alert() -> None:
    assert {
        "ModelRolledBack",
        "ModelRolloutStalled",
        "ModelRolloutAnalysisNoData",
        "ModelRolloutOperatorAbsent",
    } <= {named(alert) for alert in ALERTS}


def test_the_alerts_of_the_guide_name_only_what_the_operator_exports() -> None:
    blocks = (ROOT / "docs" / "guides" / "oncall.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
    listed = [yaml.safe_load(block.partition("```")[0]) for block in blocks]
    expressions = [rule["expr"] for rules in listed for rule in rules if "alert" in rule]
    assert len(expressions) == 3
    assert [wrong for expression in expressions for wrong in unknown(expression)] == []
