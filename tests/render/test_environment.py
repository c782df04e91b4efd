"""The templates themselves, and text on its way through them."""

from collections.abc import Iterator
from typing import Any

import jinja2
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import nodes

from modelrollout.render.environment import Environment, Unrenderable, packaged, read_document, to_json


def outputs(source: str) -> Iterator[nodes.Node]:
    """Every expression that a template prints."""
    for output in jinja2.Environment().parse(source).find_all(nodes.Output):
        yield from (node for node in output.nodes if not isinstance(node, nodes.TemplateData))


def ends_in_tojson(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Filter) and node.name == "tojson"


@pytest.mark.parametrize("name", sorted(packaged()))
def test_every_value_goes_through_tojson(name: str) -> None:
    assert all(ends_in_tojson(node) for node in outputs(packaged()[name]))


@pytest.mark.parametrize(
    "source", ["{{ a }}", "{{ a | tojson | upper }}", "a: {{ a | tojson ~ 'x' }}", "{{ a | safe }}"]
)
def test_the_walk_finds_a_value_that_does_not(source: str) -> None:
    assert not all(ends_in_tojson(node) for node in outputs(source))


@pytest.mark.parametrize("name", sorted(packaged()))
def test_a_template_includes_and_imports_nothing(name: str) -> None:
    tree = jinja2.Environment().parse(packaged()[name])
    kinds = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Call)
    assert not [node for kind in kinds for node in tree.find_all(kind)]


def test_a_fact_that_is_not_given_is_an_error_not_an_empty_text() -> None:
    with pytest.raises(Unrenderable, match="undefined"):
        Environment({"a.yaml.j2": "a: {{ b | tojson }}"}).document("a")


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="'a' stands twice"):
        read_document('{"a": 1, "b": 2, "a": 3}')


def test_what_looks_like_yaml_to_others_is_text_to_us() -> None:
    assert read_document("[no, 1.10.0, 012, 0x10, 2026-01-01, 1:30, ~, Null, yes, .inf, 1_0]") == [
        "no", "1.10.0", "012", "0x10", "2026-01-01", "1:30", "~", "Null", "yes", ".inf", "1_0",
    ]  # fmt: skip


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_whatever_json_can_say_comes_back_the_same(value: Any) -> None:
    assert read_document(to_json(value)) == value


@settings(deadline=None)
@given(JSON)
def test_whatever_json_can_say_survives_a_template(value: Any) -> None:
    environment = Environment({"a.yaml.j2": "a:\n  - b: {{ c | tojson }}\n"})
    assert environment.document("a", c=value) == {"a": [{"b": value}]}


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    with pytest.raises(Unrenderable, match="surrogate"):
        to_json([text])
