"""The pure parts of the other benchmarks."""

import os

import pytest

from benchmarks.__main__ import main
from benchmarks.api_requests import Window, within
from benchmarks.arena import Ending, model_deployment
from benchmarks.audit import OPERATOR, Asked
from benchmarks.decide_cost import Due
from benchmarks.first_canary import Pods, Start
from benchmarks.healthy_cluster import Span, told
from benchmarks.load import Request
from benchmarks.operator_cost import Usage
from benchmarks.simulated_detection import Case, found_out
from benchmarks.simulated_detection import told as simulated
from benchmarks.simulated_healthy_rollouts import one
from modelrollout.decide.evidence import absorb
from modelrollout.decide.growth import grown
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.parse import parse
from tests.decide.simulated import ARMS


def asked(at: float, verb: str = "patch", resource: str = "modeldeployments/status", namespace: str = "shop") -> Asked:
    return Asked(
        user=OPERATOR, verb=verb, resource=resource, namespace=namespace, name="", began=at, ended=at, code=200
    )


def test_a_window_counts_what_was_answered_in_it() -> None:
    found = within([asked(9.9), asked(10), asked(19.9), asked(20), asked(15, namespace="other")], 10, 20, "shop")
    assert [each.ended for each in found] == [10, 19.9]


def test_watches_and_the_lease_are_shown_but_not_counted() -> None:
    window = Window(title="at rest", seconds=60, asked=(asked(1, "watch"), asked(2, "update", "leases"), asked(3)))
    assert window.rate == 1
    assert window.rows() == [("**at rest**", "**1.0**"), ("at rest: patch modeldeployments/status", "1.0")]
    assert len(window.standing()) == 2


def test_the_benchmarks_own_manifest_is_one_that_the_operator_takes() -> None:
    assert isinstance(parse(model_deployment("registry.example/server:1", "v1", 0.5)), ModelDeployment)


def test_another_error_rate_is_another_revision() -> None:
    good, bad = (parse(model_deployment("registry.example/server:1", "v1", rate)) for rate in (0.0, 0.5))
    assert isinstance(good, ModelDeployment)
    assert isinstance(bad, ModelDeployment)
    assert good.revision != bad.revision


def test_a_healthy_rollout_that_was_rolled_back_misses_the_target() -> None:
    span = Span(version="v1", ending=Ending.ROLLED_BACK, began=10, ended=40, message="why")
    requests = [Request(due=20, sent=20, answered=20, status=200, version="v1")]
    assert not told([span.rollout(requests)]).met


def test_a_rollout_counts_its_own_requests_and_those_that_nobody_answered() -> None:
    span = Span(version="v1", ending=Ending.PROMOTED, began=10, ended=40, message="")
    requests = [
        Request(due=5, sent=5, answered=5, status=500, version="v1"),
        Request(due=20, sent=20, answered=20, status=500, version="v1"),
        Request(due=20, sent=20, answered=20, status=200, version="v0"),
        Request(due=20, sent=20, answered=20, status=0, version=""),
    ]
    rollout = span.rollout(requests)
    assert (rollout.requests, rollout.failed, rollout.elsewhere, rollout.seconds) == (1, 1, 1, 30)


def test_a_pod_is_there_when_first_seen_and_ready_when_first_seen_ready() -> None:
    pods = Pods()
    labels = {"modelrollout.dev/revision": "aaaa"}
    for at, status in ((1.0, "False"), (2.0, "True"), (3.0, "True")):
        conditions = [{"type": "Ready", "status": status}]
        event = {"type": "MODIFIED", "object": {"metadata": {"labels": labels}, "status": {"conditions": conditions}}}
        pods.saw(event, at)
    pods.saw({"type": "ADDED", "object": {"metadata": {"name": "somebody else's"}}}, 4.0)
    assert (pods.created, pods.ready) == ({"aaaa": 1.0}, {"aaaa": 2.0})


def test_all_but_the_pods_own_start_is_ours_to_answer_for() -> None:
    start = Start(applied=0.2, created=0.5, ready=4.5, routed=4.7, answered=5.3)
    assert start.ours == pytest.approx(1.3)


def test_usage_is_read_from_proc_whatever_the_process_is_called() -> None:
    stat = "42 (a (bad) name) S " + " ".join(["0"] * 10) + " 150 50 " + " ".join(["0"] * 30)
    usage = Usage.read(stat, "VmHWM:\t  4096 kB\nVmRSS:\t  2048 kB\n")
    assert usage == Usage(cpu=200 / os.sysconf("SC_CLK_TCK"), memory=2, peak=4)


def test_this_very_process_uses_memory() -> None:
    assert Usage.of(os.getpid()).memory > 1


def test_the_cost_of_a_poll_is_that_of_seven_tests_with_four_parts_each() -> None:
    due = Due.of(1, 15.0)
    assert [len(test.parts) for metric in due.evidence.metrics for test in metric.tests] == [4] * 7
    grown_from_samples = absorb(due.evidence, due.settings, due.poll, ARMS)
    assert grown_from_samples.metrics == grown(due.evidence, due.settings, due.block).metrics
    assert due.apart() == due


def test_only_tables_have_a_short_form(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--quick", "detection"])
    assert "no short form of detection" in capsys.readouterr().err


def test_a_healthy_rollout_is_told_by_what_ended_its_last_step() -> None:
    rollout = one(3)
    assert (rollout.ending, rollout.undone) in {
        ("promoted, last step proven", False),
        ("promoted, last step deadline", False),
    }
    assert 180 <= rollout.seconds <= 360 + 3 * 35


def test_a_canary_that_turns_bad_later_is_found_out_too() -> None:
    seconds = found_out(Case(seed=1, good_for=5, phi="taken to be 1"))
    assert seconds is not None
    assert 0 < seconds < 20


def test_a_canary_that_is_never_found_out_is_told_and_not_left_out() -> None:
    case = Case(seed=1, good_for=0, phi="taken to be 1")
    assert simulated([(case, 2.0), (case, None)]).tables[0].rows[-1] == (
        "taken to be 1",
        "0 s",
        "2",
        "2.0",
        "2.0",
        "2.0",
        "1",
    )
