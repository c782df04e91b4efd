"""What can be said of the CRD without an API server."""

import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest

from modelrollout import names
from modelrollout.domain.conditions import Phase, Reason
from modelrollout.domain.intent import Aborted, Intent, LastCommand
from modelrollout.domain.intent_document import command_document, rollout_document
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import ModelDeployment, RouterName, ScalingMode
from modelrollout.domain.parse import parse
from modelrollout.measure.series import presets
from tests.crds.schema import CRD, Schema, cases, definition, fields, header, load, problems, root, rules, version

SPEC: Schema = root()["properties"]["spec"]
STATUS: Schema = root()["properties"]["status"]
KEYWORDS = {
    *("type", "description", "properties", "required", "items", "additionalProperties", "default", "enum", "format"),
    *("minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "minItems", "maxItems"),
    *("maxProperties", "anyOf", "x-kubernetes-validations", "x-kubernetes-int-or-string"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-preserve-unknown-fields"),
}
RULE_KEYWORDS = {"rule", "message", "messageExpression", "fieldPath"}
OPEN = {"spec.rollout.steps[].pause"}
"""Where nothing structural can say what is meant; see the comment there."""


def test_its_names_are_ours() -> None:
    spec = definition()["spec"]
    assert (spec["group"], spec["names"]["kind"], spec["names"]["plural"]) == (names.GROUP, names.KIND, names.PLURAL)
    assert version()["name"] == names.VERSION
    assert definition()["metadata"]["name"] == f"{names.PLURAL}.{names.GROUP}"
    assert any(f"<= {names.MAX_NAME}" in rule.rule for rule in rules())


def test_every_accepted_case_has_a_refused_one_of_the_same_name_and_the_other_way_round() -> None:
    assert set(cases("accept")) == set(cases("reject"))


@pytest.mark.parametrize("name", cases("reject"))
def test_a_refused_case_says_what_the_answer_must_contain(name: str) -> None:
    assert cases("reject")[name].read_text().startswith("# refused: ")


@pytest.mark.parametrize("message", sorted({rule.message for rule in rules()}))
def test_each_rule_is_tried(message: str) -> None:
    """By its message; a file names it in `# rule:` where the answer is computed (messageExpression) or cut short."""
    told = [(header(path, "refused") or "", header(path, "rule")) for path in cases("reject").values()]
    assert any(message in refused or message == rule for refused, rule in told)


def test_each_rule_has_a_message() -> None:
    assert [rule.path for rule in rules() if not rule.message] == []


def test_each_rule_is_commented_in_the_file() -> None:
    lines = CRD.read_text(encoding="utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r" +- (&\w+$|\*\w+$|rule: )", line) and "required:" not in line:
            assert before.strip().startswith("#"), f"no comment above: {line.strip()}"


def test_rules_and_schemas_use_only_keywords_that_we_know() -> None:
    """An unquoted comma in `{description: a, b}` would make a keyword of `b`."""
    for path, schema in fields(root(), ""):
        assert set(schema) <= KEYWORDS, path
        for rule in schema.get("x-kubernetes-validations", ()):
            assert set(rule) <= RULE_KEYWORDS, path


def test_every_object_is_closed_and_everything_is_bounded() -> None:
    for path, schema in fields(SPEC, "spec"):
        kind = schema.get("type")
        if path in OPEN:
            continue
        assert not schema.get("x-kubernetes-preserve-unknown-fields"), path
        if kind == "object":
            assert "properties" in schema or "maxProperties" in schema, path
        elif kind == "array":
            assert "maxItems" in schema, path
            assert "x-kubernetes-list-type" in schema, path
        elif kind == "string":
            assert "maxLength" in schema or "enum" in schema, path
        elif kind in ("integer", "number"):
            assert path.endswith(("weight", "tolerationSeconds")) or {"minimum", "maximum"} <= set(schema), path
        else:
            assert kind == "boolean" or schema.get("x-kubernetes-int-or-string"), path


def test_status_is_closed_and_bounded() -> None:
    for path, schema in fields(STATUS, "status"):
        kind = schema.get("type")
        assert kind, path
        assert not schema.get("x-kubernetes-preserve-unknown-fields"), path
        assert kind != "object" or "properties" in schema, path
        assert kind != "array" or "maxItems" in schema, path
        assert kind != "string" or "maxLength" in schema or "enum" in schema, path


@pytest.mark.parametrize("part", ["model", "runtime"])
def test_what_makes_the_revision_has_no_defaults(part: str) -> None:
    assert [path for path, schema in fields(SPEC["properties"][part], part) if "default" in schema] == []


def test_each_field_is_described() -> None:
    for path, schema in (*fields(SPEC, "spec"), *fields(STATUS, "status")):
        assert "description" in schema or path.endswith(("[]", "{}")), path


def test_its_choices_are_those_of_the_code() -> None:
    spec = SPEC["properties"]
    assert set(spec["scaling"]["properties"]["mode"]["enum"]) == set(ScalingMode)
    assert set(spec["traffic"]["properties"]["router"]["enum"]) == set(RouterName)
    assert STATUS["properties"]["phase"]["enum"] == list(Phase)
    analysis = spec["analysis"]["properties"]
    of_servers = [name for name, preset in presets().items() if preset.place.source is Source.SERVER]
    assert analysis["series"]["enum"] == of_servers


@pytest.mark.parametrize("name", cases("accept"))
def test_an_accepted_case_fits_the_structure_and_is_read(name: str) -> None:
    document = load(cases("accept")[name])
    assert list(problems(SPEC, document["spec"], "spec")) == []
    assert isinstance(parse(document), ModelDeployment)


def test_a_full_intent_fits_into_the_status() -> None:
    now = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    aborted = Aborted(revision="b", version="2", reason=Reason.REGRESSED, message="worse", at=now)
    command = LastCommand(id="pause:b:1", action="pause", revision="b", accepted=True, message="done", at=now)
    intent = Intent(
        stable="a",
        candidate="b",
        step=1,
        weight=5,
        target=25,
        since=now,
        preparing_since=now,
        started_at=now,
        floor=2,
        leaving=True,
        promote=True,
        approved_step=1,
        paused=True,
        paused_since=now,
        paused_for=timedelta(seconds=1.5),
        attempt=3,
        aborted=aborted,
        last_command=command,
        router="gatewayAPI",
        analysis="{}",
    )
    status = {"rollout": rollout_document(intent), "lastCommand": command_document(command)}
    assert list(problems(STATUS, status, "status")) == []
