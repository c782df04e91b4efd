"""Whether a chapter ended, whether as told, and what the timeline says of it; from statuses as the operator writes them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.chapters import CHAPTERS, PACE, Chapter, manifest
from demo.load import Target, question, understood
from demo.models import VERSIONS
from demo.status import Status
from demo.story import QUICKSTART
from demo.timeline import happenings
from demo.training import SOURCES, manifests
from demo.users import Record

ROLLBACK = {
    "time": "2026-11-22T10:12:22.123Z",
    "action": "Rollback",
    "reason": "Regressed",
    "revision": "cccc3",
    "step": 0,
    "weight": 10,
    "message": "Rolled back at 10 %.",
    "verdict": "Fail",
    "value": 0.97,
    "threshold": 0.0223,
    "samples": 24,
    "metric": "latency@0.025",
    "query": "traefik_service_request_duration_seconds_bucket",
}


def a_document(**status: Any) -> dict[str, Any]:
    """A ModelDeployment of which version 2 is stable and the spec has just been seen."""
    stable: dict[str, Any] = {
        "observedGeneration": 3,
        "phase": "Stable",
        "message": "Revision bbbb2 (version 2) serves.",
        "rollout": {"stable": "bbbb2", "step": 0, "weight": 0},
        "revisions": [
            {"name": "bbbb2", "version": "2", "role": "Stable"},
            {"name": "cccc3", "version": "3", "role": "Candidate"},
        ],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    return {"metadata": {"generation": 3}, "status": {**stable, **status}}


def rolled_back(version: str = "3", reason: str = "Regressed", metric: str = "latency@0.025") -> Status:
    return Status.of(
        a_document(
            phase="RolledBack",
            rollout={"stable": "bbbb2", "weight": 0, "aborted": {"version": version, "reason": reason}},
            conditions=[{"type": "Ready", "status": "False", "reason": "RolledBack"}],
            decisions=[{**ROLLBACK, "reason": reason, "metric": metric}],
        ),
    )


def progressing(weight: int = 10) -> dict[str, Any]:
    return a_document(
        phase="Progressing",
        step="1/4",
        message="Candidate cccc3 (version 3) at 10 %, step 1 of 4.",
        rollout={"stable": "bbbb2", "candidate": "cccc3", "step": 0, "weight": weight},
        conditions=[{"type": "Ready", "status": "False"}],
    )


def chapter(version: str) -> Chapter:
    return next(each for each in CHAPTERS if each.version == version)


def answered(version: str, *, count: int = 20) -> list[Record]:
    return [Record(due=0.0, latency=0.01, status=200, version=version, right=True)] * count


FAILED = Record(due=0.0, latency=0.01, status=500, version="", right=False)


def test_the_story_has_every_version_once_in_order() -> None:
    assert [each.version for each in CHAPTERS] == list(VERSIONS)


def test_a_chapter_is_not_over_while_traffic_still_moves() -> None:
    assert not chapter("3").is_over(Status.of(progressing()))


def test_a_chapter_is_not_over_before_the_operator_has_seen_its_spec() -> None:
    stale = a_document()
    stale["metadata"]["generation"] = 4
    assert not chapter("2").is_over(Status.of(stale))


def test_the_last_chapters_failure_does_not_end_this_one() -> None:
    assert not chapter("4").is_over(rolled_back("3"))


def test_a_good_version_ends_its_chapter_when_it_is_stable() -> None:
    assert chapter("2").is_over(Status.of(a_document()))
    assert chapter("2").surprises(Status.of(a_document()), answered("2")) == ()


def test_a_slow_version_taken_back_for_latency_is_as_told() -> None:
    assert chapter("3").is_over(rolled_back())
    assert chapter("3").surprises(rolled_back(), [*answered("2"), *answered("3", count=4)]) == ()


@pytest.mark.parametrize(
    ("version", "status", "users", "surprise"),
    [
        ("3", rolled_back(metric="errors"), answered("3"), "version 3 was taken back for errors, not latency"),
        ("3", rolled_back(reason="ReadyPodsLost"), answered("3"), "taken back as ReadyPodsLost, not Regressed"),
        ("3", Status.of(a_document()), answered("3"), "was promoted, but should have been taken back"),
        ("3", rolled_back(), [*answered("3"), FAILED], "1 requests failed"),
        ("3", rolled_back(), answered("2"), "no user was answered by version 3"),
        ("4", rolled_back("4", metric="latency@0.1"), answered("4"), "was taken back for latency, not errors"),
        ("5", rolled_back("5", "CrashLoop", ""), answered("5"), "20 requests reached version 5"),
        ("2", rolled_back("2"), answered("2"), "version 2 was taken back, but should have been promoted"),
    ],
)
def test_what_is_not_as_told_is_named(version: str, status: Status, users: list[Record], surprise: str) -> None:
    assert surprise in "; ".join(chapter(version).surprises(status, users))


def test_the_failing_version_may_fail_requests() -> None:
    status = rolled_back("4", metric="errors")
    assert chapter("4").surprises(status, [*answered("2"), *answered("4", count=3), FAILED, FAILED]) == ()


@pytest.mark.parametrize("reason", ["ModelNotLoaded", "CrashLoop", "NotReadyInTime"])
def test_the_broken_version_may_be_given_up_for_any_way_of_never_loading(reason: str) -> None:
    assert chapter("5").surprises(rolled_back("5", reason, ""), answered("2")) == ()


def test_the_timeline_tells_a_new_decision_with_its_numbers_once() -> None:
    before, after = Status.of(progressing()), rolled_back()
    told = happenings(before, after)
    assert told[0] == (
        "✗ Rollback at 10 %, verdict Fail: latency 0.97, tolerated 0.0223, in 24 requests. Rolled back at 10 %."
    )
    assert happenings(after, after) == ()


def test_figures_and_sentences_are_told_once() -> None:
    message = "Rolled back at 10 %: `latency above 0.025 s` candidate 97.00 %."
    after = Status.of(a_document(phase="RolledBack", message=message, decisions=[{**ROLLBACK, "message": message}]))
    assert happenings(Status.of(progressing()), after) == (
        f"✗ Rollback at 10 %, verdict Fail. {message}",
        "RolledBack",
    )


def test_the_operators_book_keeping_is_not_told() -> None:
    begun = a_document(phase="Progressing", message="The new revision's rendered pod template is being recorded.")
    assert happenings(Status.of(a_document()), Status.of(begun)) == ()


def test_the_timeline_tells_each_weight() -> None:
    told = happenings(Status.of(progressing(10)), Status.of(progressing(30)))
    assert told == ("→ version 3 gets 30 % (step 1/4)",)


def test_a_status_not_yet_written_is_an_empty_look() -> None:
    assert Status.of({"metadata": {"generation": 1}}) == Status()


def test_the_demo_changes_the_quickstart_only_in_version_image_size_and_pace() -> None:
    quickstart = yaml.safe_load(QUICKSTART.read_text())
    made = manifest(quickstart, "3", image="localhost/mlserver")
    assert made["spec"]["model"] == {"version": "3", "uri": "pvc://models/sentiment/3"}
    assert made["spec"]["runtime"]["image"] == "localhost/mlserver"
    assert made["spec"]["traffic"] == quickstart["spec"]["traffic"]
    assert {"model", "runtime", "traffic", *PACE} == set(made["spec"])
    weights = [step["weight"] for step in quickstart["spec"]["rollout"]["steps"]]
    assert [step["weight"] for step in made["spec"]["rollout"]["steps"]] == weights == [10, 30, 60]


def test_the_trainer_brings_along_every_file_that_the_models_need() -> None:
    served = {f"served/{version.cleaning}.py" for version in VERSIONS.values() if version.cleaning}
    assert served < set(SOURCES)
    source, job = manifests("localhost/mlserver")
    items = job["spec"]["template"]["spec"]["volumes"][0]["configMap"]["items"]
    assert {item["key"] for item in items} == set(source["data"])
    assert all((Path(QUICKSTART).parents[2] / item["path"]).is_file() for item in items)


def test_requests_go_to_private_addresses_only() -> None:
    Target(url="http://10.200.0.2:80/v2/models/sentiment/infer", host="sentiment.example.com")
    with pytest.raises(ValueError, match="private addresses only"):
        Target(url="http://93.184.216.34/", host="sentiment.example.com")
    with pytest.raises(ValueError, match="does not appear to be"):
        Target(url="http://sentiment.example.com/", host="sentiment.example.com")


def test_a_question_carries_one_text_and_its_answer_names_the_version() -> None:
    assert question("The lamp is great.")["inputs"][0]["shape"] == [1]
    body = b'{"model_version": "2", "outputs": [{"data": ["positive"]}]}'
    assert understood(body) == ("2", "positive")
