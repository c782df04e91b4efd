from dataclasses import replace
from itertools import starmap
from math import inf, nan

import pytest

from modelrollout.domain.metrics import LATENCY
from modelrollout.domain.polls import IN_FLIGHT, REQUESTS, TARGETS, Arm, ArmPod, Arms, Sample
from modelrollout.measure.queries import REVISION_SERIES_LABEL, literal, queries, quoted, read_series
from modelrollout.measure.rows import Row
from tests.measure.arms import NEW, NEW_PATTERN, OLD, OLD_PATTERN, mlserver, query, traefik

ONE = (Sample(100, 1), Sample(105, 2))


def test_one_query_per_series_asks_for_both_arms_of_the_gateway() -> None:
    texts = {each.name: each.text for each in queries(traefik())}
    name = "traefik_service_request_duration_seconds"
    services = f'service=~"{OLD_PATTERN}|{NEW_PATTERN}"'
    assert texts == {
        REQUESTS: f"traefik_service_requests_total{{{services}}}[76s]",
        LATENCY: f'{{__name__=~"{name}_bucket|{name}",{services}}}[76s]',
        TARGETS: "traefik_config_last_reload_success[76s]",
    }


def test_the_namespace_is_forced_into_every_query_of_a_servers_series() -> None:
    asked = queries(mlserver())
    assert [each.name for each in asked] == [REQUESTS, LATENCY, IN_FLIGHT, TARGETS]
    for each in asked:
        assert 'namespace="shop",pod=~"old-1|old-2|new-1"' in each.text


def test_requests_in_flight_are_asked_for_only_beside_latency_and_of_two_arms() -> None:
    plan = mlserver()
    alone = replace(plan.arms, candidate=Arm(revision=""))
    for without in (replace(plan, metrics=plan.metrics[:1]), replace(plan, arms=alone)):
        assert IN_FLIGHT not in [each.name for each in queries(without)]


def test_health_checks_are_no_requests() -> None:
    assert ',path!~"/|/metrics|/v2|/v2/health/.*' in query(REQUESTS, mlserver()).text


def test_without_pods_nothing_is_asked() -> None:
    assert queries(mlserver(Arms(stable=Arm(revision="old"), candidate=Arm(revision="new")))) == ()


def test_no_value_can_end_its_string_or_match_another() -> None:
    assert quoted('a"} or up{x="') == '"a\\"} or up{x=\\""'
    assert quoted("a\\") == '"a\\\\"'
    assert quoted(literal("c|.*")) == '"c\\\\|\\\\.\\\\*"'


def test_gateway_series_are_told_apart_by_their_exact_service() -> None:
    rows = [
        ({"service": OLD, "code": "200", "job": "traefik", "instance": "10.0.0.1"}, ONE),
        ({"service": NEW, "code": "502", "job": "traefik", "instance": "10.0.0.1"}, ONE),
        ({"service": f"x{NEW}", "code": "200", "job": "traefik", "instance": "10.0.0.1"}, ONE),
    ]
    read = read_series(query(REQUESTS, traefik()), starmap(Row, rows), traefik())
    assert [(s.revision, s.target, s.bad) for s in read] == [
        ("old", "traefik/10.0.0.1", False),
        ("new", "traefik/10.0.0.1", True),
    ]


def test_server_series_belong_to_the_revision_of_their_pod() -> None:
    rows = [({"pod": "old-2", "status_code": "200"}, ONE), ({"pod": "new-1", "status_code": "500"}, ONE)]
    read = read_series(query(REQUESTS, mlserver()), starmap(Row, rows), mlserver())
    assert [(s.revision, s.target, s.bad) for s in read] == [("old", "old-2", False), ("new", "new-1", True)]


def test_a_pod_whose_series_name_another_revision_is_left_out() -> None:
    assert REVISION_SERIES_LABEL == "modelrollout_dev_revision"
    arms = Arms(stable=Arm(revision="old"), candidate=Arm(revision="new", pods=(ArmPod(name="p", created_at=0),)))
    rows = [({"pod": "p", "status_code": "200", REVISION_SERIES_LABEL: "other"}, ONE)]
    assert read_series(query(REQUESTS, mlserver(arms)), starmap(Row, rows), mlserver(arms)) == ()


def test_buckets_are_numbers_and_what_is_no_number_is_left_out() -> None:
    rows = [
        ({"service": OLD, "le": "0.5"}, ONE),
        ({"service": OLD, "le": "+Inf"}, ONE),
        ({"service": OLD, "le": "often"}, ONE),
        ({"service": OLD, "le": "1"}, (Sample(100, nan),)),
        ({"service": OLD, "le": "1"}, (Sample(100, nan), Sample(105, 7))),
    ]
    read = read_series(query(LATENCY, traefik()), starmap(Row, rows), traefik())
    assert [(s.le, s.samples) for s in read] == [(0.5, ONE), (inf, ONE), (1.0, (Sample(105, 7),))]


def test_polls_have_to_rise_and_lie_after_the_first_sample() -> None:
    with pytest.raises(ValueError, match="rising"):
        traefik(115.0, 110.0)
    with pytest.raises(ValueError, match="rising"):
        traefik(115.0, since=115.0)
