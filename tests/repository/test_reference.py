"""Documented or red: every field, reason, setting and metric has its entry in docs/reference/, and it is current."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs import generate

from modelrollout.domain.conditions import ConditionType, Phase, Reason
from modelrollout.settings import PREFIX, Settings
from tests.repository.tree import PACKAGE, ROOT, document


def page(name: str) -> str:
    return (generate.REFERENCE / name).read_text(encoding="utf-8")


def test_the_pages_are_current() -> None:
    assert generate.stale() == [], "run `make generate`"


def test_a_page_that_somebody_edited_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "docs" / "reference"
    folder.mkdir(parents=True)
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "REFERENCE", folder)
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (folder / "reasons.md").write_text("edited\n")
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/reference/reasons.md is not current: run `make generate`\n"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_documented(reason: Reason) -> None:
    assert f"| `{reason}` | {reason.meaning}" in page("reasons.md")


def test_no_reason_is_announced_by_its_word_alone() -> None:
    report = (PACKAGE / "decide" / "report.py").read_text(encoding="utf-8")
    assert "Announcement(reason=" in report
    assert not re.findall(r'Announcement\(reason="', report)


@pytest.mark.parametrize("field", [field.name for field in fields(Settings)])
def test_every_setting_is_documented(field: str) -> None:
    line = next(line for line in page("settings.md").splitlines() if f"`{PREFIX}{field.upper()}`" in line)
    assert len(line.split("|")[3].strip()) > 20


def test_every_metric_is_documented() -> None:
    made = re.findall(
        r'(?:Counter|Gauge|Histogram|MetricFamily)\(\s*"([a-z_]+)"',
        "".join((PACKAGE / name).read_text(encoding="utf-8") for name in ("telemetry.py", "fleet.py")),
    )
    assert len(made) >= 22
    assert [name for name in made if not re.search(rf"\| `{name}(_total)?` \|", page("metrics.md"))] == []


def test_every_field_of_the_resource_is_documented_and_says_something() -> None:
    crd = yaml.safe_load(document("crds/modelrollout.dev_modeldeployments.yaml"))
    (version,) = crd["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    silent = [path for name in ("spec", "status") for path in _without_description(properties[name], name)]
    assert silent == []
    text = page("modeldeployment.md")
    found = [path for name in ("spec", "status") for path in _paths(properties[name], name)]
    assert [path for path in found if f"| `{path.rpartition('.')[2]}` |" not in text] == []


def _children(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    inner: Mapping[str, Any] = schema.get("items", schema).get("properties", {})
    return inner


def _paths(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, field in _children(schema).items():
        yield f"{path}.{name}"
        yield from _paths(field, f"{path}.{name}")


def _without_description(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, field in _children(schema).items():
        if not field.get("description"):
            yield f"{path}.{name}"
        yield from _without_description(field, f"{path}.{name}")


def oncall() -> str:
    return (ROOT / "docs" / "guides" / "oncall.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*Phase, *ConditionType])
def test_who_is_on_call_finds_every_phase_and_condition(word: str) -> None:
    assert f"| `{word}` |" in oncall()


ALARMING = (
    *(Reason.REGRESSED, Reason.INCONCLUSIVE, Reason.ABORTED, Reason.NOT_READY_IN_TIME, Reason.CRASH_LOOP),
    *(Reason.OUT_OF_MEMORY, Reason.MODEL_NOT_LOADED, Reason.READY_PODS_LOST, Reason.UNSCHEDULABLE),
    *(Reason.IMAGE_NOT_PULLABLE, Reason.CONFIGURATION_MISSING, Reason.READINESS_FAILING, Reason.POD_REFUSED),
    *(Reason.INVALID_SPEC, Reason.CONFLICT, Reason.UNKNOWN_PRESET, Reason.PORT_CLASH, Reason.NO_METRICS),
    Reason.UNKNOWN_PROVIDER,
    *(Reason.REFUSED, Reason.ROUTE_NOT_ACCEPTED, Reason.ROUTER_UNAVAILABLE, Reason.ROUTE_MISSING),
    *(Reason.STABLE_LOST, Reason.FAILED_OVER, Reason.NOTHING_SERVES, Reason.NO_DATA, Reason.PROVIDER_ERROR),
)


@pytest.mark.parametrize("reason", ALARMING)
def test_who_is_on_call_finds_every_reason_that_stops_something(reason: Reason) -> None:
    assert f"`{reason}`" in oncall()
