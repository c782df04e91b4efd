"""Expressions of the user's own: what is kept within its arm, and what is refused with what to write instead."""

import re

import promql_parser as promql
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelrollout.measure.promql import Unsafe, confined

ARM = 'pod=~"old-1|old-2"'
WITHIN = f'namespace="shop",{ARM}'


def sent(text: str) -> str:
    return " ".join(confined(text, namespace="shop", arm=ARM).split())


def tried(text: str) -> str | None:
    """What would be sent; None where it is refused."""
    try:
        return confined(text, namespace="shop", arm=ARM)
    except Unsafe:
        return None


def selectors(text: str) -> list[promql.VectorSelector]:
    found: list[promql.VectorSelector] = []
    promql.walk(
        promql.parse(text), lambda node: found.append(node) if isinstance(node, promql.VectorSelector) else None
    )
    return found


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("x", f"x{{{WITHIN}}}"),
        ("avg(x)", f"avg (x{{{WITHIN}}})"),
        ('x{namespace="shop",layer="last"}', f'x{{{WITHIN},layer="last"}}'),
        ('{__name__="x"}', f'{{{WITHIN},__name__="x"}}'),
        ("sum(rate(a[5m])) / sum(b)", f"(sum (rate(a{{{WITHIN}}}[300000ms])) / sum (b{{{WITHIN}}}))"),
        ("quantile by (layer) (0.9, x)", f"quantile by (layer) (0.9, x{{{WITHIN}}})"),
        ("max_over_time(avg(x)[10m:30s])", f"max_over_time((avg (x{{{WITHIN}}}))[600000ms:30000ms])"),
        ("-(a + b) ^ 2", f"(-((a{{{WITHIN}}} + b{{{WITHIN}}}) ^ 2.0))"),
        ("a - (b - c)", f"(a{{{WITHIN}}} - (b{{{WITHIN}}} - c{{{WITHIN}}}))"),
        ("a > bool 3", f"(a{{{WITHIN}}} > bool 3.0)"),
        ("a * on (pod) group_left b", f"(a{{{WITHIN}}} * on (pod) group_left () b{{{WITHIN}}})"),
        ("scalar(a) * b", f"(scalar(a{{{WITHIN}}}) * b{{{WITHIN}}})"),
    ],
)
def test_every_selector_is_kept_within_namespace_and_pods(text: str, written: str) -> None:
    assert sent(text) == written


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("avg(x", "it is no PromQL"),
        ("", "it is no PromQL"),
        ("1", "it has no value per series"),
        ("x[5m]", "it has no value per series"),
        ("x[5m:30s]", "it has no value per series"),
        ("scalar(x)", "it has no value per series"),
        ('"a"', "it has no value per series"),
        ("vector(1)", "it names no series"),
        ('x{namespace="other"}', "it names a namespace"),
        ('x{namespace!="shop"}', "it names a namespace"),
        ('x{namespace=~".*"}', "it names a namespace"),
        ('x or y{namespace="other"}', "it names a namespace"),
        ('x{pod=~".*"}', "it names pods"),
        ("x offset 5m", "offset and @"),
        ("rate(x[5m] offset 5m)", "offset and @"),
        ("x offset -5m", "offset and @"),
        ("x @ 100", "offset and @"),
        ("x @ end()", "offset and @"),
        ("max_over_time((x)[10m:30s] offset 5m)", "offset and @"),
        ('x{a="b" or namespace="other"}', "or between matchers"),
        (r'x{a="b\"} or y{c=\"d"}', "characters that are not allowed"),
        (r'x{a="b\\"}', "characters that are not allowed"),
        ('x{"label.b"="c"}', "characters that are not allowed"),
        ('sum by ("a.b") (x)', "characters that are not allowed"),
        ("avg_over_time(x[2h])", "further than 1h"),
        ("max_over_time((x)[2h:1m])", "further than 1h"),
        ("max_over_time((x)[10m:1s])", "a step of 10s or more"),
        ("max_over_time((x)[10m:])", "a step of 10s or more"),
        ("max_over_time(max_over_time((x)[10m:30s])[10m:30s])", "a subquery in a subquery"),
        ('label_replace(x, "pod", "a", "b", "c")', "label_replace() is not allowed"),
        ("info(x)", "info() is not allowed"),
        ("x or absent(y)", "absent() is not allowed"),
        ("x or vector(0)", "vector() is not allowed"),
        ("x - time()", "time() is not allowed"),
        ('count_values("pod", x)', "count_values is not allowed"),
    ],
)
def test_what_cannot_be_kept_there_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Unsafe, match=re.escape(why)):
        sent(text)


PIECES = st.sampled_from(
    [
        *"xyz(){}[],=~!\"'`\\+-*/^%<>1#\n",
        *("sum", "avg", " by ", "(pod)", "rate", "[5m]", "[1h:10s]", " offset ", "1m", " @ ", " and ", " on() "),
        *("namespace", "pod", '"shop"', '"other"', ' or x{namespace="other"}', '{a="b"}', "__name__", "{} or {}"),
        *('\\"', "label_replace", "0x1", "Inf", "bool", "group_left"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join))
@example('x{a="\\"} or y{b=\\""}')
@example('sum(x) or {__name__=~".+"}')
@example('x{a=~"b|c",d!="e"} / ignoring(d) y')
def test_whatever_is_written_reads_only_the_arm(text: str) -> None:
    written = tried(text)
    if written is None:
        return
    assert selectors(written)
    for selector in selectors(written):
        matchers = {str(matcher) for matcher in selector.matchers.matchers}
        assert {'namespace="shop"', ARM} <= matchers
        assert not selector.matchers.or_matchers and selector.offset is None and selector.at is None


@given(st.text(max_size=40))
def test_any_text_is_written_or_refused(text: str) -> None:
    written = tried(text)
    assert written is None or WITHIN in written


@pytest.mark.parametrize("text", ["x offset Inf", "x offset NaN", "x @ Inf", "x[Infs]"])
def test_what_the_grammar_itself_cannot_bear_is_refused(text: str) -> None:
    with pytest.raises(Unsafe):
        confined(text, namespace="shop", arm=ARM)


def test_many_brackets_are_read_or_refused() -> None:
    assert sent("(" * 200 + "x" + ")" * 200) == f"x{{{WITHIN}}}"
