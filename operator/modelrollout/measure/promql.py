"""An expression of the user's own, made safe: read by its grammar, refused or kept within one arm, and written anew.

The user's text is never sent. What is sent is written from the parsed tree, with namespace and arm in every selector,
and read again to see that it is what was meant. Pure.
"""

import re
from collections.abc import Iterator
from datetime import timedelta

import promql_parser as promql
from promql_parser import MatchOp

from modelrollout.domain.parse_metrics import PLAIN_VALUE

LONGEST_RANGE = timedelta(hours=1)
SHORTEST_STEP = timedelta(seconds=10)
LONGEST_ERROR = 80
"""Characters of the grammar's own complaint that are repeated."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_SIGNS = ((MatchOp.Equal, "="), (MatchOp.NotEqual, "!="), (MatchOp.Re, "=~"), (MatchOp.NotRe, "!~"))
_AGGREGATIONS = frozenset(
    {"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "topk", "bottomk"}
)
_FUNCTIONS = frozenset(
    {"abs", "ceil", "floor", "round", "exp", "ln", "log2", "log10", "sqrt", "sgn", "clamp", "clamp_min", "clamp_max"}
    | {"scalar", "histogram_quantile", "rate", "irate", "increase", "delta", "idelta", "deriv", "changes", "resets"}
    | {f"{how}_over_time" for how in ("avg", "min", "max", "sum", "count", "last", "quantile", "stddev", "stdvar")}
)
"""What computes on the series that are named. Not: what makes labels (label_replace), values without series (vector,
time), or reads series that are not named (info)."""


class Unsafe(ValueError):  # noqa: N818 -- never leaves measure; there it becomes a condition's sentence
    """Why the expression cannot be used; ends with what to do."""


def confined(text: str, *, namespace: str, arm: str) -> str:
    """The expression over one arm's series only; Unsafe where it cannot be kept there.

    `arm`: a matcher in PromQL that every selector gets, such as `pod=~"a|b"`; namespace and it are forced.
    """
    tree = _parsed(text)
    if _kind(tree) != "vector":
        raise Unsafe("it has no value per series; write an expression that gives an instant vector, such as avg(x)")
    if not any(True for _ in _selectors(tree)):
        raise Unsafe("it names no series; write at least one")
    written = _Writer(namespace, f'namespace="{namespace}",{arm}').write(tree)
    _check(written, tree, namespace, arm)
    return written


def _parsed(text: str) -> promql.Expr:
    try:
        return promql.parse(text)
    except ValueError as error:
        told = "".join(letter for letter in str(error) if letter.isprintable())[:LONGEST_ERROR]
        raise Unsafe(f"it is no PromQL ({told}); correct it") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the grammar's own, of `x offset Inf`; it derives from no less
            raise
        raise Unsafe("it is no PromQL that can be read; correct it") from error


def _kind(tree: promql.Expr) -> str:
    match tree:
        case promql.ParenExpr() | promql.UnaryExpr():
            return _kind(tree.expr)
        case promql.BinaryExpr():
            return "vector" if "vector" in (_kind(tree.lhs), _kind(tree.rhs)) else "scalar"
        case promql.VectorSelector() | promql.AggregateExpr():
            return "vector"
        case promql.Call():
            return "scalar" if tree.func.name == "scalar" else "vector"
        case _:
            return "other"


def _selectors(tree: promql.Expr) -> Iterator[promql.VectorSelector]:
    found: list[promql.VectorSelector] = []
    promql.walk(tree, lambda node: found.append(node) if isinstance(node, promql.VectorSelector) else None)
    return iter(found)


class _Writer:
    """Writes a tree with brackets around every operation, so that nothing depends on precedence."""

    def __init__(self, namespace: str, forced: str) -> None:
        self._namespace = namespace
        self._forced = forced

    def write(self, tree: promql.Expr, *, in_subquery: bool = False) -> str:
        match tree:
            case promql.NumberLiteral():
                return repr(float(tree.val)).replace("inf", "Inf").replace("nan", "NaN")
            case promql.VectorSelector():
                return self._selector(tree)
            case promql.MatrixSelector():
                return f"{self._selector(tree.vector_selector)}[{_range(tree.range)}]"
            case promql.SubqueryExpr():
                return self._subquery(tree, nested=in_subquery)
            case promql.ParenExpr():
                return self.write(tree.expr, in_subquery=in_subquery)
            case promql.UnaryExpr():
                return f"(-{self.write(tree.expr, in_subquery=in_subquery)})"
            case promql.BinaryExpr():
                left, right = (self.write(each, in_subquery=in_subquery) for each in (tree.lhs, tree.rhs))
                return f"({left} {tree.op} {_modifier(str(tree.modifier or ''))} {right})"
            case promql.AggregateExpr():
                return self._aggregate(tree, in_subquery=in_subquery)
            case promql.Call():
                if tree.func.name not in _FUNCTIONS:
                    raise Unsafe(
                        f"{tree.func.name}() is not allowed; use such as rate, avg_over_time, histogram_quantile"
                    )
                arguments = ", ".join(self.write(each, in_subquery=in_subquery) for each in tree.args)
                return f"{tree.func.name}({arguments})"
            case _:
                raise Unsafe("it has a text in it; only numbers, series and functions are allowed")

    def _selector(self, selector: promql.VectorSelector) -> str:
        if selector.offset or selector.at is not None:
            raise Unsafe("offset and @ look at another time than the one that is compared; leave them out")
        if selector.matchers.or_matchers:
            raise Unsafe("or between matchers is not allowed; write two selectors with or between them")
        own = "".join(self._matcher(each) for each in selector.matchers.matchers)
        name = selector.name or ""
        if name and _NAME.fullmatch(name) is None:
            raise Unsafe("a series' name has characters that are not allowed; rename it in the scrape")
        return f"{name}{{{self._forced}{own}}}"

    def _matcher(self, matcher: promql.Matcher) -> str:
        if matcher.name == "namespace":
            if (matcher.op, matcher.value) == (MatchOp.Equal, self._namespace):
                return ""
            raise Unsafe("it names a namespace; leave that out: only series of the ModelDeployment's own are read")
        if matcher.name == "pod":
            raise Unsafe("it names pods; leave that out: those of stable and candidate are compared")
        if _LABEL.fullmatch(matcher.name) is None or PLAIN_VALUE.fullmatch(matcher.value) is None:
            raise Unsafe("a label or its value has characters that are not allowed; write plain text, [.] for a dot")
        sign = next(sign for op, sign in _SIGNS if op == matcher.op)
        return f',{matcher.name}{sign}"{matcher.value}"'

    def _subquery(self, tree: promql.SubqueryExpr, *, nested: bool) -> str:
        if tree.offset or tree.at is not None:
            raise Unsafe("offset and @ look at another time than the one that is compared; leave them out")
        if nested:
            raise Unsafe("a subquery in a subquery costs too much; leave one out")
        if tree.step is None or tree.step < SHORTEST_STEP:
            raise Unsafe("a subquery needs a step of 10s or more, as in [10m:30s]")
        assert tree.range is not None
        return f"({self.write(tree.expr, in_subquery=True)})[{_range(tree.range)}:{_seconds(tree.step)}]"

    def _aggregate(self, tree: promql.AggregateExpr, *, in_subquery: bool) -> str:
        if str(tree.op) not in _AGGREGATIONS:
            raise Unsafe(f"{tree.op} is not allowed; use one of {', '.join(sorted(_AGGREGATIONS))}")
        parameter = f"{self.write(tree.param, in_subquery=in_subquery)}, " if tree.param is not None else ""
        inner = self.write(tree.expr, in_subquery=in_subquery)
        return f"{tree.op} {_modifier(str(tree.modifier or ''))} ({parameter}{inner})"


def _modifier(text: str) -> str:
    """`by (a, b)`, `on (pod) group_left (x)`, `bool`: words, commas and brackets only."""
    if re.fullmatch(r"[a-zA-Z0-9_ ,()]*", text) is None:
        raise Unsafe(
            "a label in by, without, on, ignoring or group_left has characters that are not allowed; rename it"
        )
    return text


def _range(length: timedelta) -> str:
    if length > LONGEST_RANGE:
        raise Unsafe("it looks back further than 1h; shorten the range")
    return _seconds(length)


def _seconds(length: timedelta) -> str:
    return f"{max(1, round(length.total_seconds() * 1000))}ms"


def _check(written: str, tree: promql.Expr, namespace: str, arm: str) -> None:
    """What was written, read again: as many selectors, and namespace and arm in each."""
    example = next(_selectors(promql.parse(f'x{{namespace="{namespace}",{arm}}}')))
    forced = {str(each) for each in example.matchers.matchers}
    again = list(_selectors(_parsed(written)))
    kept = all(forced <= {str(each) for each in selector.matchers.matchers} for selector in again)
    if not kept or len(again) != len(list(_selectors(tree))):
        raise Unsafe("it cannot be kept within the namespace; name the series instead")
