"""Metrics of the user's own, from the question to the counts: kept within the namespace and the two arms."""

from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import Any

import promql_parser
import pytest

from modelrollout.decide.blocks import OpenBlock, read_block
from modelrollout.domain.metrics import MetricSettings, Source
from modelrollout.domain.parse_fields import Field
from modelrollout.domain.parse_metrics import read_metrics
from modelrollout.domain.polls import Poll, Sample
from modelrollout.domain.tally import Tally
from modelrollout.measure.queries import MeasurePlan, queries, read_series
from modelrollout.measure.rows import Row
from modelrollout.measure.series import presets
from tests.domain.test_parse_metrics import DRIFT, QUALITY, RATING, WAIT
from tests.measure.exposition import Scraped, answer
from tests.measure.test_expositions import END, SCRAPES, START, plan_of

WANTED = ("sentiment-old-0", "sentiment-new-0")


def planned(*metrics: dict[str, Any], preset: str = "mlserver") -> MeasurePlan:
    plan = plan_of(presets()[preset])
    return replace(plan, metrics=(*plan.metrics, *read_metrics(Field("", list(metrics)))))


def texts(plan: MeasurePlan) -> dict[str, str]:
    return {query.name: query.text for query in queries(plan)}


def block_of(plan: MeasurePlan, *targets: Scraped) -> OpenBlock:
    answers = {each.name: read_series(each, answer(each, targets, SCRAPES), plan) for each in queries(plan)}
    return read_block(Poll(at=END, answers=answers), plan.arms, start=START, scrape_interval=15, warmup=0)


def pod(name: str, before: str, after: str, namespace: str = "shop") -> Scraped:
    return Scraped(labels={"namespace": namespace, "pod": name, "instance": name}, before=before, after=after)


def test_each_part_is_a_query_of_its_own_within_namespace_and_pods() -> None:
    asked = texts(planned(QUALITY, RATING, WAIT, DRIFT))
    mine = {
        name: text for name, text in asked.items() if name.partition("/")[0] in ("quality", "rating", "wait", "drift")
    }
    within = 'namespace="shop",pod=~"sentiment-old-0|sentiment-new-0"'
    assert mine == {
        "quality": f"feedback_total{{{within}}}[76s]",
        "quality/bad": f'feedback_total{{{within},rating="down"}}[76s]',
        "rating": f"answer_rating_count{{{within}}}[76s]",
        "rating/sum": f"answer_rating_sum{{{within}}}[76s]",
        "wait": f'{{__name__=~"wait_ms_bucket|wait_ms",{within}}}[76s]',
        "drift/value": f"output_drift{{{within}}}[76s]",
    }


def test_beside_a_gateways_series_pods_are_asked_in_their_own_place() -> None:
    asked = texts(planned(QUALITY, preset="traefik"))
    assert 'feedback_total{namespace="shop",pod=~"sentiment-old-0|sentiment-new-0"}' in asked["quality"]
    assert asked["targets/pods"].startswith('up{namespace="shop",pod=~"')
    assert asked["targets"].startswith("traefik_config_last_reload_success[")


def test_of_source_gateway_arms_are_told_by_the_gateways_label() -> None:
    busy = {
        "name": "too-many",
        "kind": "ratio",
        "source": "gateway",
        "total": {"series": "traefik_service_requests_total"},
        "bad": {"series": "traefik_service_requests_total", "matchers": {"code": "429"}},
    }
    asked = texts(planned(busy, preset="traefik"))
    assert asked["too-many/bad"].startswith('traefik_service_requests_total{service=~"httproute-shop-sentiment-gw-.+')
    assert asked["too-many/bad"].endswith(',code="429"}[76s]') and "targets/pods" not in asked


@pytest.mark.parametrize("preset", ["mlserver", "traefik"])
def test_counts_are_per_revision_and_nobody_elses(preset: str) -> None:
    plan = planned(QUALITY, preset=preset)
    before = 'up 1\nfeedback_total{rating="up"} 5\nfeedback_total{rating="down"} 2'
    after = 'up 1\nfeedback_total{rating="up"} 9\nfeedback_total{rating="down"} 5'
    block = block_of(
        plan,
        *(pod(name, before, after) for name in (*WANTED, "sentiment-new-00")),
        pod("sentiment-new-0", before, after, namespace="other"),
    )
    assert block.tally("quality", plan.arms, None) == Tally(x_canary=3, n_canary=7, x_stable=3, n_stable=7)
    assert block.errors(plan.arms) == Tally()


def test_the_first_feedback_of_a_running_pod_counts() -> None:
    plan = planned(QUALITY, preset="traefik")
    after = 'up 1\nfeedback_total{rating="down"} 2'
    block = block_of(plan, pod("sentiment-new-0", "up 1", after))
    assert block.tally("quality", plan.arms, None) == Tally(x_canary=2, n_canary=2)


def test_scores_histograms_and_gauges_are_read() -> None:
    plan = planned(RATING, WAIT, DRIFT)
    shown = "up 1\nanswer_rating_sum {}\nanswer_rating_count {}\noutput_drift {}\n"
    shown += 'wait_ms_bucket{{le="500"}} {}\nwait_ms_bucket{{le="+Inf"}} {}'
    block = block_of(plan, pod("sentiment-new-0", shown.format(10, 3, 0.1, 1, 2), shown.format(19, 6, 0.3, 4, 9)))
    new = plan.arms.candidate
    assert block.scores("rating", new, None) == (3, 9)
    assert block.buckets("wait", new, None) == {0.5: 3, inf: 7}
    assert block.value("drift", new, None) == 0.3
    assert block.value("drift", plan.arms.stable, None) is None


def test_a_gauge_that_is_no_longer_scraped_has_no_value() -> None:
    plan = replace(planned(DRIFT), polls=(200.0,))
    gone = pod("sentiment-new-0", "up 1\noutput_drift 0.5", "up 1\noutput_drift 0.5")
    answers = {each.name: read_series(each, answer(each, [gone], SCRAPES), plan) for each in queries(plan)}
    block = read_block(Poll(at=200.0, answers=answers), plan.arms, start=185, scrape_interval=15, warmup=0)
    assert block.value("drift", plan.arms.candidate, None) is None


SPREAD = {"name": "spread", "kind": "gauge", "gauge": {"promql": "max(entropy) - min(entropy)", "window": "5m"}}


def test_an_expression_is_one_query_per_arm_over_its_pods_only() -> None:
    asked = texts(replace(planned(SPREAD), promql=True))
    of = {arm: f'entropy{{namespace="shop",pod=~"sentiment-{arm}-0"}}' for arm in ("old", "new")}
    assert " ".join(asked["spread/value/old"].split()) == f"((max ({of['old']}) - min ({of['old']})))[1s:1s]"
    assert of["new"] in asked["spread/value/new"] and "sentiment-old" not in asked["spread/value/new"]


def test_each_query_is_promql_that_gives_a_matrix() -> None:
    plan = replace(planned(QUALITY, RATING, WAIT, DRIFT, SPREAD), promql=True)
    kinds = {name: type(promql_parser.parse(text)) for name, text in texts(plan).items()}
    assert {name for name, kind in kinds.items() if kind is promql_parser.SubqueryExpr} == {
        "spread/value/old",
        "spread/value/new",
    }
    assert set(kinds.values()) == {promql_parser.SubqueryExpr, promql_parser.MatrixSelector}


def test_an_expression_is_not_asked_where_the_administrator_does_not_allow_it() -> None:
    assert "spread" not in {name.partition("/")[0] for name in texts(planned(SPREAD))}


def test_the_values_of_an_expression_are_the_arms_and_their_mean_is_compared() -> None:
    plan = replace(planned(SPREAD), promql=True)
    (query,) = (query for query in queries(plan) if query.name == "spread/value/new")
    rows = [Row({"layer": layer}, (Sample(END, value),)) for layer, value in (("first", 0.2), ("last", 0.4))]
    series = read_series(query, rows, plan)
    assert [(each.revision, each.target) for each in series] == [("new", "layer=first"), ("new", "layer=last")]
    block = read_block(Poll(at=END, answers={query.name: series}), plan.arms, start=START, scrape_interval=15, warmup=0)
    assert block.value("spread", plan.arms.candidate, None) == pytest.approx(0.3)


def test_a_metric_of_ones_own_has_a_source_of_its_own() -> None:
    (quality,) = read_metrics(Field("", [{**QUALITY, "source": "gateway"}]))
    assert quality == replace(MetricSettings.of("quality", signal=quality.signal), source=Source.GATEWAY)
    assert timedelta(minutes=5) == read_metrics(Field("", [DRIFT]))[0].signal.window  # type: ignore[union-attr]
