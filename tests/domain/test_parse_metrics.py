"""Metrics of the user's own: what is read, and what is refused with the field's name."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.metrics import Kind, LatencySlo, MetricSettings, Source
from modelrollout.domain.parse_fields import Field, Wrong
from modelrollout.domain.parse_metrics import read_metrics
from modelrollout.domain.signals import Buckets, Counts, Expression, Gauge, Score, SeriesSelector
from tests.crds.schema import root

QUALITY = {
    "name": "quality",
    "kind": "ratio",
    "total": {"series": "feedback_total"},
    "bad": {"series": "feedback_total", "matchers": {"rating": "down"}},
}
RATING = {"name": "rating", "kind": "ratio", "score": {"series": "answer_rating", "low": 1, "high": 5}}
WAIT = {"name": "wait", "kind": "histogram", "histogram": {"series": "wait_ms_bucket", "unit": "ms"}, "edges": [0.5]}
DRIFT = {"name": "drift", "kind": "gauge", "gauge": {"series": "output_drift", "window": "5m", "margin": 0.05}}


def read(*metrics: dict[str, Any]) -> tuple[MetricSettings, ...]:
    return read_metrics(Field("spec.analysis.metrics", list(metrics)))


def one(metric: dict[str, Any]) -> MetricSettings:
    (found,) = read(metric)
    return found


def test_a_ratio_is_two_counters() -> None:
    quality = one(QUALITY)
    assert quality.kind is Kind.RATIO and quality.source is Source.SERVER
    assert quality.signal == Counts(
        total=SeriesSelector(series=("feedback_total",)),
        bad=SeriesSelector(series=("feedback_total",), matchers=(("rating", "=", "down"),)),
    )
    assert (quality.regression.ratio, quality.non_inferiority.absolute) == (1.25, 0.001), "the margins of its kind"


def test_matchers_are_exact_and_patterns_are_not_and_their_order_says_nothing() -> None:
    first = {"series": "a", "matchers": {"z": "1", "a": "2"}, "patterns": {"code": "5.."}}
    second = {"patterns": {"code": "5.."}, "matchers": {"a": "2", "z": "1"}, "series": "a"}
    assert one({**QUALITY, "bad": first}) == one({**QUALITY, "bad": second})
    signal = one({**QUALITY, "bad": first}).signal
    assert isinstance(signal, Counts)
    assert signal.bad.matchers == (("a", "=", "2"), ("z", "=", "1"), ("code", "=~", "5.."))


def test_a_score_is_a_sum_and_a_count() -> None:
    signal = one(RATING).signal
    assert isinstance(signal, Score)
    assert (signal.sums.series, signal.counts.series) == (("answer_rating_sum",), ("answer_rating_count",))
    assert (signal.low, signal.high) == (1, 5)


def test_a_histogram_may_have_an_slo() -> None:
    wait = one({**WAIT, "slo": {"within": 2, "share": 0.9}})
    assert wait.slo == LatencySlo(within=2.0, share=0.9)
    settings = AnalysisSettings(metrics=(wait,))
    assert [(each.metric, each.edge) for each in settings.limits()] == [("errors", None), ("wait", 2.0)]
    assert [each.rate for each in settings.limits()] == pytest.approx([0.05, 0.1])


def test_a_histogram_has_its_unit_and_edges_in_seconds() -> None:
    wait = one(WAIT)
    assert wait.signal == Buckets(buckets=SeriesSelector(series=("wait_ms_bucket",)), unit=0.001)
    assert wait.edges == (0.5,) and wait.regression.absolute == 0.002


def test_a_gauge_has_a_window_and_a_margin_and_no_share_in_alpha() -> None:
    drift = one(DRIFT)
    assert drift.signal == Gauge(
        gauge=SeriesSelector(series=("output_drift",)), margin=0.05, window=timedelta(minutes=5), higher_is_worse=True
    )
    assert not drift.is_counted


def test_a_gauge_may_be_an_expression_that_is_not_looked_at_here() -> None:
    signal = one({**DRIFT, "gauge": {"promql": "avg(x", "window": "5m"}}).signal
    assert isinstance(signal, Gauge) and signal.gauge == Expression(text="avg(x")


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ({"name": "quality"}, "[0].kind: is missing; write ratio, histogram or gauge"),
        ({**QUALITY, "name": "errors"}, "[0].total: {'series': 'feedback_total'} does not belong to errors"),
        ({**QUALITY, "name": "requests"}, "[0].name: requests is taken"),
        ({**QUALITY, "name": "Quality"}, "[0].name: Quality cannot be used"),
        ({**QUALITY, "name": "q/bad"}, "[0].name: q/bad cannot be used"),
        ({**QUALITY, "name": "q" * 41}, "cannot be used; write up to 40"),
        ({**QUALITY, "kind": "histogram"}, "[0]: total, bad is not what a histogram is made of; write histogram"),
        ({**QUALITY, "score": RATING["score"]}, "total, bad, score is not what a ratio is made of"),
        ({"name": "a", "kind": "ratio"}, "nothing is not what a ratio is made of; write total and bad or score"),
        ({**QUALITY, "bad": {"series": "a b"}}, "[0].bad.series: a b cannot be used"),
        ({**QUALITY, "bad": {"series": 'up{namespace="x"}'}}, "[0].bad.series:"),
        ({**QUALITY, "bad": {}}, "[0].bad.series: is missing"),
        ({**QUALITY, "bad": {"series": "a", "matchers": {"namespace": "x"}}}, "namespace cannot be matched here"),
        ({**QUALITY, "bad": {"series": "a", "patterns": {"pod": ".*"}}}, "patterns: pod cannot be matched here"),
        ({**QUALITY, "bad": {"series": "a", "matchers": {'x"': "y"}}}, "cannot be matched here"),
        ({**QUALITY, "bad": {"series": "a", "matchers": {"x": 'y"'}}}, 'matchers.x: y" cannot be used; write plain'),
        ({**QUALITY, "bad": {"series": "a", "matchers": {"x": "\\"}}}, "cannot be used; write plain text"),
        ({**QUALITY, "bad": {"series": "a", "matchers": {"x": "a\nb"}}}, "cannot be used; write plain text"),
        ({**QUALITY, "bad": {"series": "a", "matchers": {c: c for c in "abcde"}}}, "more than 4"),
        ({**QUALITY, "bad": {"series": "a", "matchers": {"x" * 64: "y"}}}, "cannot be matched here"),
        ({**QUALITY, "slo": {"within": 1, "share": 0.9}}, "[0].slo: 0.9 within 1 s is not possible; write an slo for"),
        ({"name": "latency", "slo": {"within": 1}}, "[0].slo.share: is missing; write a share such as 0.99"),
        ({"name": "latency", "slo": {"within": 1, "share": 99}}, "[0].slo.share: 99.0 is not possible; write a share"),
        ({**QUALITY, "edges": [0.1]}, "[0].edges: (0.1,) is not possible; write edges for histograms only"),
        ({**RATING, "score": {"series": "a", "low": 5, "high": 5}}, "score.low: 5 is not possible"),
        ({**RATING, "score": {"series": "a", "low": -1, "high": 5}}, "score.low: -1 is not possible"),
        ({**WAIT, "histogram": {"series": "wait_count"}}, "write the one that ends in _bucket"),
        ({**WAIT, "histogram": {"series": "wait_bucket", "unit": "min"}}, "unit: min is not possible"),
        ({**DRIFT, "weight": 0.5}, "[0].weight: 0.5 does not belong to a gauge; its margin is gauge.margin"),
        (
            {**DRIFT, "gauge": {"series": "a", "promql": "a", "window": "5m"}},
            "series: a is not looked at beside promql",
        ),
        ({**DRIFT, "gauge": {"promql": "a" * 513, "window": "5m"}}, "is too long; use at most 512 characters"),
        ({**DRIFT, "gauge": {"series": "a"}}, "gauge.window: is missing; write how long one evaluation takes"),
        ({**DRIFT, "gauge": {"series": "a", "window": "5m", "margin": -1}}, "gauge.margin: -1 is not possible"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(metric: dict[str, Any], told: str) -> None:
    with pytest.raises(Wrong) as caught:
        read(metric)
    assert str(caught.value).startswith("spec.analysis.metrics[0]")
    assert told in str(caught.value)


def test_the_longest_metrics_fit_into_the_status_that_freezes_them() -> None:
    labels = {f"{i}".rjust(63, "x"): "v" * 128 for i in range(4)}
    selector = {"series": "s" * 128, "matchers": labels, "patterns": labels}
    longest = [{**QUALITY, "name": f"{i}".rjust(40, "q"), "total": selector, "bad": selector} for i in range(8)]
    assert len(read(*longest)) == 8
    most = root()["properties"]["status"]["properties"]["rollout"]["properties"]["analysis"]["maxLength"]
    assert len(Fragment.of({"metrics": longest}).text) + 2000 < most


def test_there_are_at_most_eight() -> None:
    with pytest.raises(Wrong, match="more than 8"):
        read(*({**QUALITY, "name": f"quality-{i}"} for i in range(9)))


@given(st.text(max_size=12), st.text(max_size=12))
def test_whatever_is_read_has_no_character_that_could_end_a_string(label: str, value: str) -> None:
    try:
        signal = one({**QUALITY, "bad": {"series": "a", "matchers": {label: value}}}).signal
    except Wrong:
        return
    assert isinstance(signal, Counts)
    for name, _, wanted in signal.bad.matchers:
        assert name.isidentifier() and not set('"\\\n') & set(wanted)
