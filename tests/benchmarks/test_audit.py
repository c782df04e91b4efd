"""The audit log, read."""

import json
from typing import Any

from benchmarks.audit import OPERATOR, Asked, per_minute, read


def a_line(stage: str = "ResponseComplete", *, verb: str = "patch", user: str = OPERATOR, **about: str) -> str:
    event: dict[str, Any] = {
        "stage": stage,
        "verb": verb,
        "user": {"username": user},
        "objectRef": {"resource": "modeldeployments", "namespace": "shop", "name": "sentiment", **about},
        "responseStatus": {"code": 200},
        "requestURI": "/apis/modelrollout.dev/v1alpha1/namespaces/shop/modeldeployments/sentiment",
        "requestReceivedTimestamp": "2026-11-22T03:00:00.250000Z",
        "stageTimestamp": "2026-11-22T03:00:00.500000Z",
    }
    return json.dumps(event) + "\n"


def test_a_subresource_is_part_of_what_was_asked_for() -> None:
    [asked] = read([a_line(subresource="status")])
    assert (asked.verb, asked.resource, asked.namespace, asked.name) == (
        "patch",
        "modeldeployments/status",
        "shop",
        "sentiment",
    )


def test_how_long_it_took_is_known_to_the_microsecond() -> None:
    [asked] = read([a_line()])
    assert round(asked.ended - asked.began, 6) == 0.25


def test_only_the_asked_user_is_read() -> None:
    lines = [a_line(), a_line(user="traefik"), a_line(user=f"{OPERATOR}-other")]
    assert [each.user for each in read(lines, user=OPERATOR)] == [OPERATOR]


def test_a_line_still_in_the_writing_is_left_for_later() -> None:
    assert len(list(read([a_line(), a_line()[:-9]]))) == 1


def test_a_request_that_was_only_begun_is_not_counted_unless_it_is_a_watch() -> None:
    lines = [a_line("ResponseStarted"), a_line("ResponseStarted", verb="watch")]
    assert [each.verb for each in read(lines)] == ["watch"]


def test_watches_and_the_lease_are_what_an_operator_does_all_the_time() -> None:
    lines = [a_line(verb="watch"), a_line(verb="update", resource="leases"), a_line()]
    assert [each.is_standing for each in read(lines)] == [True, True, False]


def test_a_request_for_no_object_is_known_by_its_path() -> None:
    event = json.loads(a_line())
    del event["objectRef"]
    assert Asked.of(event).resource.startswith("/apis/modelrollout.dev/")


def test_rates_are_of_a_minute_and_the_most_frequent_comes_first() -> None:
    asked = list(read([a_line(verb="get"), a_line(), a_line()]))
    assert list(per_minute(asked, 30).items()) == [("patch modeldeployments", 4), ("get modeldeployments", 2)]
