"""What users see while good versions go up: nothing."""

from collections import Counter

from tests.e2e.place import Place
from tests.e2e.specs import BY_EVIDENCE, Document, a_rollout


def test_no_request_is_lost_while_two_good_versions_go_up_at_a_hundred_requests_a_second(place: Place) -> None:
    model: Document = {
        "rollout": a_rollout(20, 50),
        "analysis": BY_EVIDENCE,
        "scaling": {"mode": "fixed", "replicas": 2},
    }
    place.deploy(place.model("1", **model))
    with place.requests(100) as seen:
        for version in ("2", "3"):
            place.apply(place.model(version, **model))
            revision = place.until_stable().stable
            assert place.route_of(revision) == [20, 50, 100]
            alone = {f"model-{revision}"}
            place.until_so("the old pods are gone", lambda: place.names("Deployment") == alone)  # noqa: B023 -- waited for at once
        records = seen()
    assert [record.status for record in records if record.failed] == []
    answered = Counter(record.version for record in records)
    assert set(answered) == {"1", "2", "3"} and len(records) > 1000


def test_the_share_that_users_see_is_the_weight(place: Place) -> None:
    model: Document = {"rollout": a_rollout(30, minDuration="60s", deadline="120s")}
    place.deploy(place.model("1", **model))
    place.apply(place.model("2", **model))
    place.until_weight(30)
    with place.requests(100) as seen:
        place.until_so("a thousand requests were answered", lambda: len(seen()) >= 1000)
        answered = Counter(record.version for record in seen())
    assert 0.25 <= answered["2"] / answered.total() <= 0.35
