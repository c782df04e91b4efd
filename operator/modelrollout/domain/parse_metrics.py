"""`spec.analysis.metrics` as values: our own by name, the user's by their series. Pure.

A series is a name with values of labels. Nothing of it is ever taken for a query: what could end a string or name
another namespace is refused here, as the CRD does, for objects that are older than a rule.
"""

import re
from difflib import get_close_matches

from modelrollout.domain.metrics import (
    BUILT_IN,
    TAKEN_NAMES,
    Kind,
    Margin,
    MetricSettings,
    Source,
    default_margins,
    kind_of,
)
from modelrollout.domain.parse_fields import Field, Wrong
from modelrollout.domain.signals import UNITS, Buckets, Counts, Expression, Gauge, Score, SeriesSelector, Signal

MOST_METRICS = 8
MOST_MATCHERS = 4
LONGEST = 128
"""Characters of a series' name, and of a label's value."""
LONGEST_PROMQL = 512
FORCED = ("namespace", "pod", "le", "__name__")
"""Labels that only we match."""

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", re.ASCII)
_SERIES = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,62}", re.ASCII)
PLAIN_VALUE = re.compile(r"[ !#-\[\]-~]*", re.ASCII)
"""Printable, without quotation mark and backslash."""
_PLACES = ("total", "bad", "score", "histogram", "gauge")
_OF_KIND = {
    Kind.RATIO: (("total", "bad"), ("score",)),
    Kind.HISTOGRAM: (("histogram",),),
    Kind.GAUGE: (("gauge",),),
}
"""What a metric of the user's own consists of: one of these sets, whole."""


def read_metrics(field: Field) -> tuple[MetricSettings, ...]:
    """Wrong names the field."""
    if len(field.elements()) > MOST_METRICS:
        raise Wrong(f"{field.path}: there are more than {MOST_METRICS}; leave some out")
    return tuple(_metric(each, index) for index, each in enumerate(field.elements()))


def _metric(field: Field, index: int) -> MetricSettings:
    name = field["name"].needed("write errors, latency, or a name of your own").text()
    if name in TAKEN_NAMES and name not in BUILT_IN:
        field["name"].wrong("is taken; write another name")
    if name in BUILT_IN:
        _check_ours(field, name)
    signal = None if name in BUILT_IN else _own(field)
    regression, proof = default_margins(BUILT_IN[name] if signal is None else kind_of(signal))
    edges = field["edges"]
    try:
        return MetricSettings.of(
            name,
            index=index,
            weight=field["weight"].number() if field["weight"].given else None,
            regression=_margin(field["regression"], regression),
            non_inferiority=_margin(field["nonInferiority"], proof),
            required_for_advance=field["requiredForAdvance"].yes(default=True),
            edges=tuple(each.number(seconds=True) for each in edges.elements()) if edges.given else None,
            slo=_slo(field["slo"]),
            signal=signal,
            source=Source(field["source"].one_of(*Source)) if field["source"].given else Source.SERVER,
        )
    except Wrong:
        raise
    except ValueError as error:
        raise Wrong(f"spec.{error}") from error


def _check_ours(field: Field, name: str) -> None:
    """A metric whose series a preset knows."""
    for given in field.has(*_PLACES, "source"):
        field[given].wrong(f"does not belong to {name}, which has series of its own; choose another name")
    kind = BUILT_IN[name]
    if field["kind"].given and field["kind"].one_of(*Kind) != kind:
        field["kind"].wrong(f"is not the kind of {name}; leave it out")


def _own(field: Field) -> Signal:
    field["name"].matching(_NAME, "write up to 40 lower-case letters, digits and -, beginning with a letter")
    near = get_close_matches(field["name"].text(), BUILT_IN, n=1)
    meant = f"; or did you mean {near[0]}?" if near else ""
    kind = Kind(field["kind"].needed(f"write ratio, histogram or gauge{meant}").one_of(*Kind))
    given = field.has(*_PLACES)
    if set(given) not in map(set, _OF_KIND[kind]):
        wish = " or ".join(" and ".join(names) for names in _OF_KIND[kind])
        raise Wrong(f"{field.path}: {', '.join(given) or 'nothing'} is not what a {kind} is made of; write {wish}")
    if kind is Kind.GAUGE:
        for beside in field.has("weight", "regression", "nonInferiority", "edges", "slo"):
            field[beside].wrong("does not belong to a gauge; its margin is gauge.margin")
    try:
        return _signal(field, given)
    except Wrong:
        raise
    except ValueError as error:
        raise Wrong(f"{field.path}.{error}") from error


def _signal(field: Field, given: tuple[str, ...]) -> Signal:
    if "total" in given:
        return Counts(total=_selector(field["total"]), bad=_selector(field["bad"]))
    if "score" in given:
        score = field["score"]
        low, high = score["low"].needed("write the worst value"), score["high"].needed("write the best value")
        sums, counts = _selector(score, suffix="_sum"), _selector(score, suffix="_count")
        return Score(sums=sums, counts=counts, low=low.number(), high=high.number())
    if "histogram" in given:
        histogram = field["histogram"]
        series = histogram["series"]
        if series.given and not series.text().endswith("_bucket"):
            series.wrong("is not the series of the buckets; write the one that ends in _bucket")
        unit = histogram["unit"].one_of(*UNITS) if histogram["unit"].given else "s"
        return Buckets(buckets=_selector(histogram), unit=UNITS[unit])
    gauge = field["gauge"]
    return Gauge(
        gauge=_gauge(gauge),
        margin=gauge["margin"].number() if gauge["margin"].given else 0.0,
        window=gauge["window"].needed("write how long one evaluation takes, as in 5m").time(above_zero=True),
        higher_is_worse=gauge["higherIsWorse"].yes(default=True),
    )


def _gauge(field: Field) -> SeriesSelector | Expression:
    promql = field["promql"]
    if not promql.given:
        return _selector(field)
    for beside in field.has("series", "matchers", "patterns"):
        field[beside].wrong("is not looked at beside promql; leave one of them out")
    if len(promql.text()) > LONGEST_PROMQL:
        promql.wrong(f"is too long; use at most {LONGEST_PROMQL} characters")
    return Expression(text=promql.text())


def _selector(field: Field, *, suffix: str = "") -> SeriesSelector:
    series = field["series"].needed("name the series").matching(_SERIES, "write the name of a series")
    if len(series) > LONGEST:
        field["series"].wrong(f"is too long; use at most {LONGEST} characters")
    exact, patterns = _labels(field["matchers"]), _labels(field["patterns"])
    matchers = (*((label, "=", value) for label, value in exact), *((label, "=~", value) for label, value in patterns))
    return SeriesSelector(series=(series + suffix,), matchers=matchers)


def _labels(field: Field) -> tuple[tuple[str, str], ...]:
    """Sorted, so that re-ordered keys ask the same."""
    labels = sorted(field.mapping())
    if len(labels) > MOST_MATCHERS:
        raise Wrong(f"{field.path}: there are more than {MOST_MATCHERS}; leave some out")
    read = []
    for label in labels:
        if _LABEL.fullmatch(label) is None or label in FORCED:
            raise Wrong(f"{field.path}: {label} cannot be matched here; name a label of the series' own")
        value = field[label].matching(PLAIN_VALUE, "write plain text without quotation marks and backslashes")
        if len(value) > LONGEST:
            field[label].wrong(f"is too long; use at most {LONGEST} characters")
        read.append((label, value))
    return tuple(read)


def _slo(field: Field) -> tuple[float, float] | None:
    if not field.given:
        return None
    within, share = field["within"].needed("write seconds"), field["share"].needed("write a share such as 0.99")
    return within.number(seconds=True), share.number()


def _margin(field: Field, default: Margin) -> tuple[float, float]:
    """A half that is absent keeps its default."""
    ratio, absolute = field["ratio"], field["absolute"]
    return (
        ratio.number() if ratio.given else default.ratio,
        absolute.number() if absolute.given else default.absolute,
    )
