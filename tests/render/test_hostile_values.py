"""Whatever text a tenant writes arrives as that text, or is refused; it never becomes structure."""

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelrollout.render.environment import Unrenderable
from modelrollout.render.manifest import VERSION_LABEL
from modelrollout.render.presets import refusal
from modelrollout.render.templates import Templates
from tests.render.cases import EVERYTHING, OWNER, QUICKSTART, a_deployment, workload

TEMPLATES = Templates.load()
NASTY = (
    "{{ 7*7 }}",
    "{% for a in b %}",
    "{{ ''.__class__.__mro__ }}",
    "no",
    "1.10",
    "0x10",
    "~",
    "a: b",
    "- a",
    "x # y",
    "'",
    '"',
    "\\",
    "\\u0000",
    "&a",
    "*a",
    "!!python/object/apply:os.system",
    "---\nkind: Secret",
    "a\nb\r\n\tc",
    "\u0085\u2028\u2029\ufeff\ufffe",
    "\x7f\x9b",
    "🙂",
    "</script>",
    "$(HOME) $$ $",
    "{name} {port:http}",
    "spec:\n  replicas: 9",
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.sampled_from(NASTY)


def server(md: Any) -> Any:
    return TEMPLATES.pod_template(md).value["spec"]["containers"][0]


def expanded(text: str) -> str:
    """What the kubelet makes of a value in which every dollar is doubled."""
    assert "$" not in text.replace("$$", "")
    return text.replace("$$", "$")


def env_of(container: Any) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container["env"]}


@settings(deadline=None)
@given(TEXTS)
def test_env_and_args_arrive_as_they_were_written(text: str) -> None:
    runtime = {**EVERYTHING, "env": [{"name": "A", "value": text}], "args": [text], "command": ["run", text]}
    found = server(a_deployment(runtime))
    assert (found["args"], found["command"], env_of(found)["A"]) == ([text], ["run", text], text)


@settings(deadline=None)
@given(TEXTS)
def test_the_version_arrives_in_the_environment_and_is_a_label_only_where_it_can(text: str) -> None:
    md = a_deployment(EVERYTHING, {"version": text})
    template = TEMPLATES.pod_template(md).value
    found = env_of(template["spec"]["containers"][0])
    assert expanded(found.get("MODEL_VERSION", "")) == text
    label = template["metadata"]["labels"].get(VERSION_LABEL)
    assert label in {None, text}
    assert label is None or re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", label)


@settings(deadline=None)
@given(TEXTS)
@example("..")
@example("a/../b")
def test_the_path_of_a_model_arrives_or_is_refused(text: str) -> None:
    md = a_deployment(model={"version": "1", "uri": f"pvc://claim/{text}"})
    try:
        mount = server(md)["volumeMounts"][0]
    except Unrenderable:
        assert text.startswith("/") or {".", ".."} & set(text.split("/"))
    else:
        assert mount.get("subPath", "") == text.rstrip("/")


@settings(deadline=None)
@given(TEXTS)
def test_any_uri_makes_a_pod_or_a_sentence(text: str) -> None:
    md = a_deployment(model={"version": "1", "uri": text})
    remark = refusal(md.model, md.runtime)
    if remark is None:
        server(md)
    else:
        assert remark.message.startswith("spec.model.uri: ")


@settings(deadline=None)
@given(TEXTS.filter(bool))
def test_a_models_name_cannot_leave_the_probes_path(text: str) -> None:
    md = a_deployment(model={"version": "1", "name": text})
    path = server(md)["readinessProbe"]["httpGet"]["path"]
    assert re.fullmatch(r"/v2/models/[-A-Za-z0-9_.~%]+/ready", path)


@settings(deadline=None, max_examples=20)
@given(TEXTS)
def test_the_deployment_holds_the_same_text(text: str) -> None:
    md = a_deployment({**QUICKSTART, "env": [{"name": "A", "value": text}]})
    deployment = workload(TEMPLATES, md)[0].document.value
    assert env_of(deployment["spec"]["template"]["spec"]["containers"][0])["A"] == text


def test_a_megabyte_is_refused_with_advice() -> None:
    md = a_deployment({**QUICKSTART, "env": [{"name": "A", "value": "a" * 2**20}]})
    assert len(env_of(server(md))["A"]) == 2**20
    with pytest.raises(Unrenderable, match="move texts to a ConfigMap"):
        TEMPLATES.snapshot(OWNER, md, 1)


def test_a_nul_is_refused_and_its_spelling_is_not() -> None:
    for text, refused in (("a\0b", True), ("a\\u0000b", False), ("a\\\0b", True)):
        md = a_deployment({**QUICKSTART, "env": [{"name": "A", "value": text}]})
        if refused:
            with pytest.raises(Unrenderable, match="NUL"):
                TEMPLATES.snapshot(OWNER, md, 1)
        else:
            TEMPLATES.snapshot(OWNER, md, 1)
