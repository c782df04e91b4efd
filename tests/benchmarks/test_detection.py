"""How long users met a bad canary, from what they saw and what the operator wrote."""

import pytest

from benchmarks.audit import OPERATOR, Asked
from benchmarks.detection import Detection, told
from benchmarks.load import Request, read


def a_request(at: float, version: str = "bad", status: int = 200) -> Request:
    return Request(due=at - 0.01, sent=at - 0.01, answered=at, status=status, version=version)


def a_write(at: float, resource: str) -> Asked:
    return Asked(
        user=OPERATOR,
        verb="patch",
        resource=resource,
        namespace="shop",
        name="sentiment",
        began=at - 0.01,
        ended=at,
        code=200,
    )


REQUESTS = [
    a_request(9.0, "stable", 500),
    a_request(10.0),
    a_request(11.0, status=500),
    a_request(11.5, "stable", 500),
    a_request(12.0, "", 502),
    a_request(13.0, status=500),
    a_request(14.0),
    a_request(15.0, "stable", 500),
]
WRITES = [
    a_write(9.5, "httproutes"),
    a_write(11.2, "modeldeployments/status"),
    a_write(13.4, "modeldeployments/status"),
    a_write(13.5, "httproutes"),
    a_write(13.6, "modeldeployments/status"),
]


def test_time_counts_from_the_first_failure_that_a_user_saw() -> None:
    found = Detection.of(REQUESTS, WRITES, "bad")
    assert (found.decided, found.routed, found.last) == pytest.approx((2.4, 2.5, 3.0))


def test_the_candidates_requests_count_from_its_first_and_the_failures_of_others_in_the_same_time() -> None:
    found = Detection.of(REQUESTS, WRITES, "bad")
    assert (found.reached, found.failed, found.others_failed) == (4, 2, 2)


def test_a_canary_that_nobody_saw_fail_gives_no_number() -> None:
    with pytest.raises(ValueError, match="no user was given a bad answer by version good"):
        Detection.of(REQUESTS, WRITES, "good")


def test_the_median_is_what_the_target_is_held_against() -> None:
    fast = Detection(decided=1, routed=1, last=3.9, reached=1, failed=1, others_failed=0)
    slow = Detection(decided=1, routed=1, last=9.0, reached=1, failed=1, others_failed=0)
    assert told([fast, fast, slow]).met
    assert not told([fast, slow, slow]).met


def test_a_request_survives_its_line_and_a_line_in_the_writing_is_left() -> None:
    request = Request(due=1700000000.125, sent=1700000000.25, answered=1700000000.5, status=0, version="")
    assert read([request.line(), request.line()[:-2]]) == [request]
