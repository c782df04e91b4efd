"""What users met, from their own records."""

import pytest

from benchmarks.exposure import Exposure, usual_limit
from benchmarks.load import Request


def a_request(at: float, version: str = "canary", *, status: int = 200, latency: float = 0.01) -> Request:
    return Request(due=at - latency, sent=at, answered=at, status=status, version=version)


REQUESTS = [
    a_request(9, "stable", status=500),
    a_request(10, status=500),
    a_request(11),
    a_request(12, latency=0.2),
    a_request(13, status=500),
    a_request(14),
    a_request(20, "stable"),
]


def test_users_meet_a_version_from_its_first_bad_answer_to_its_last_answer() -> None:
    seen = Exposure.of(REQUESTS, "canary")
    assert (seen.first_bad, seen.last, seen.seconds, seen.reached, seen.failed) == (10, 14, 4, 5, 2)


def test_what_was_before_does_not_count() -> None:
    seen = Exposure.of(REQUESTS, "canary", since=11)
    assert (seen.first_bad, seen.reached, seen.failed) == (13, 4, 1)


def test_a_slow_answer_is_bad_where_slowness_counts() -> None:
    seen = Exposure.of(REQUESTS, "canary", since=11, slow_above=0.1)
    assert (seen.first_bad, seen.slow, seen.failed) == (12, 1, 1)
    assert Exposure.of(REQUESTS, "canary").slow == 0


def test_a_version_that_nobody_was_harmed_by_gives_no_number() -> None:
    with pytest.raises(ValueError, match="no user was given a bad answer by version good"):
        Exposure.of(REQUESTS, "good")


def test_slow_is_what_19_of_20_answers_are_not() -> None:
    requests = [a_request(each, "stable", latency=each / 1000) for each in range(1, 102)]
    assert usual_limit([*requests, a_request(200, latency=9)], "stable") == pytest.approx(0.096)


def test_what_is_slow_is_unknown_where_nobody_was_answered() -> None:
    with pytest.raises(ValueError, match="version stable answered nobody"):
        usual_limit(REQUESTS, "stable", since=30)
