"""The one status writer: what people and pipelines read in each phase."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modelrollout.decide.analysis_status import MOST_PARTS
from modelrollout.decide.plan import plan
from modelrollout.decide.report import changes, status_of
from modelrollout.domain.analysis import Mode
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.evidence import Replay
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.intent import Aborted, Intent
from modelrollout.domain.intent_document import intent_from, timestamp
from modelrollout.domain.model_deployment import InvalidSpec
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Outcome, Plan
from modelrollout.domain.traffic import RouteSeen
from tests.builders import GOOD, KEY, NOW, STABLE, a_pod, a_rollout, a_route, a_snapshot, a_spec, a_workload, at_rest
from tests.decide.test_rules import evidence_of, regressed


def reported(observed: Observed, *outcomes: Outcome) -> dict[str, Any]:
    return dict(status_of(observed, plan(observed, NOW), outcomes, NOW).mapping)


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def kstatus(status: dict[str, Any], generation: int = 1) -> str:
    """What Flux, Helm and Argo CD's readers of kstatus conclude."""
    told = {kind: state for kind, (state, _) in conditions(status).items()}
    if status["observedGeneration"] != generation or told["Reconciling"] == "True":
        return "InProgress"
    if told["Stalled"] == "True":
        return "Failed"
    return "Current" if told["Ready"] == "True" else "InProgress"


def after_a_rollback() -> Observed:
    aborted = Aborted(revision=GOOD.revision, version="2", reason=Reason.REGRESSED, message="Worse. Retry.", at=NOW)
    observed = at_rest(GOOD, snapshots=(a_snapshot(STABLE), a_snapshot(GOOD, 2)))
    return replace(observed, intent=replace(observed.intent, aborted=aborted))


def test_at_rest_everything_says_so() -> None:
    status = reported(at_rest())
    assert (status["phase"], kstatus(status)) == ("Stable", "Current")
    assert conditions(status)["Ready"] == ("True", "Stable")
    assert status["selector"] == f"modelrollout.dev/deployment=sentiment,modelrollout.dev/revision={STABLE.revision}"


def test_a_status_written_once_is_not_written_again() -> None:
    observed = at_rest()
    first = status_of(observed, plan(observed, NOW), (), NOW)
    again = replace(observed, status=first)
    later = NOW + timedelta(minutes=5)
    assert status_of(again, plan(again, later), (), later) == first


@pytest.mark.parametrize(
    ("observed", "verdict"),
    [
        (at_rest(), "Current"),
        (a_rollout(10), "InProgress"),
        (a_rollout(0, target=10), "InProgress"),
        (a_rollout(100), "InProgress"),
        (after_a_rollback(), "Failed"),
        (at_rest(refused=Remark(reason=Reason.UNKNOWN_PRESET, message="Use mlserver."), spec=GOOD), "Failed"),
    ],
    ids=["at rest", "candidate", "preparing", "baking", "rolled back", "impossible"],
)
def test_kstatus_comes_to_the_right_conclusion(observed: Observed, verdict: str) -> None:
    assert kstatus(reported(observed)) == verdict


def test_a_rolled_back_version_is_a_failed_sync_although_something_good_serves() -> None:
    status = reported(after_a_rollback())
    told = conditions(status)
    assert status["phase"] == "RolledBack" and status["message"] == "Worse. Retry."
    assert told["Ready"] == ("False", "RolledBack") and told["Available"][0] == "True"
    assert told["Stalled"] == ("True", "RolledBack") and told["Reconciling"][0] == "False"


def test_a_generation_not_yet_seen_is_never_called_ready() -> None:
    status = reported(at_rest(generation=5))
    assert status["observedGeneration"] == 5
    assert all(each["observedGeneration"] == 5 for each in status["conditions"])


def test_a_route_that_no_gateway_answers_for_is_told_within_five_seconds() -> None:
    silent = RouteSeen(exists=True, weights=((STABLE.revision, 100),), shifted_at=NOW - timedelta(seconds=4))
    status = reported(at_rest(route=silent))
    assert conditions(status)["TrafficReady"] == ("False", "RouteNotAccepted")
    assert "parentRefs" in status["message"] or status["phase"] == "Degraded"
    assert kstatus(status) == "Failed"


def test_a_route_written_just_now_is_waited_for() -> None:
    silent = RouteSeen(exists=True, weights=((STABLE.revision, 100),), shifted_at=NOW - timedelta(seconds=2))
    observed = at_rest(route=silent)
    assert kstatus(reported(observed)) == "InProgress"
    assert plan(observed, NOW).wake_after == timedelta(seconds=2)


def test_stable_without_a_ready_pod_is_degraded_and_says_what_its_pods_say() -> None:
    trouble = Remark(reason=Reason.OUT_OF_MEMORY, message="Killed for memory. Raise its limit.")
    dead = a_workload(STABLE.revision, ready=0, replicas=1, pods=(a_pod(ready=False, trouble=trouble),))
    status = reported(at_rest(workloads=(dead,)))
    assert status["phase"] == "Degraded"
    assert conditions(status)["Available"] == ("False", "StableLost")


def test_a_first_revision_that_cannot_start_is_stalled_with_its_own_reason() -> None:
    trouble = Remark(reason=Reason.IMAGE_NOT_PULLABLE, message="The image cannot be pulled. Correct its name.")
    stuck = a_workload(STABLE.revision, ready=0, replicas=2, pods=(a_pod(ready=False, trouble=trouble),))
    intent = Intent(candidate=STABLE.revision, target=100, preparing_since=NOW, started_at=NOW, attempt=1)
    status = reported(at_rest(intent=intent, route=RouteSeen(exists=False), workloads=(stuck,), service_exists=False))
    assert conditions(status)["Stalled"] == ("True", "ImageNotPullable")
    assert conditions(status)["Ready"][0] == "False"


def test_an_invalid_spec_names_the_field_and_leaves_the_intent() -> None:
    invalid = InvalidSpec(key=KEY, uid="uid-1", generation=2, message="spec.rollout.steps[2].weight: 120 is above 100")
    observed = at_rest(desired=invalid)
    status = reported(observed)
    assert status["message"] == invalid.message and kstatus(status) == "Failed"
    assert intent_from(status).stable == STABLE.revision


def test_a_conflict_seen_at_write_time_is_a_stall_that_names_the_object() -> None:
    observed = at_rest()
    decided = plan(observed, NOW)
    refused = Outcome(action=decided.actions[0], refused=Reason.CONFLICT, message="Service x is not ours. Rename it.")
    status = dict(status_of(observed, decided, (refused,), NOW).mapping)
    assert conditions(status)["Stalled"] == ("True", "Conflict")
    assert status["message"] == "Service x is not ours. Rename it."


def test_in_a_namespace_that_is_being_deleted_one_waits_quietly() -> None:
    observed = at_rest(route=RouteSeen(exists=False))
    decided = plan(observed, NOW)
    refused = Outcome(action=decided.actions[0], refused=Reason.NAMESPACE_ENDING, message="The namespace goes.")
    before = status_of(observed, decided, (), NOW)
    after = status_of(observed, decided, (refused,), NOW)
    told = conditions(dict(after.mapping))
    assert told["Ready"] == ("False", "NamespaceEnding") and told["Stalled"][0] == "False"
    assert after.mapping["message"] == "The namespace goes."
    assert changes(before, after) == ()


def test_every_decision_carries_its_figures_and_a_sentence() -> None:
    status = reported(regressed(a_rollout(30)))
    entry = status["decisions"][-1]
    assert (entry["action"], entry["revision"], entry["weight"]) == ("Rollback", GOOD.revision, 30)
    assert f"{entry['step']}/4" == reported(a_rollout(30))["step"] == "2/4"
    assert entry["reason"] == "Regressed" and entry["message"] and entry["verdict"] == "Fail"


def test_a_first_revision_is_promoted_to_all_of_the_traffic() -> None:
    intent = Intent(candidate=STABLE.revision, step=3, target=100, preparing_since=NOW, started_at=NOW, attempt=1)
    status = reported(at_rest(intent=intent, route=RouteSeen(exists=False), service_exists=False))
    entry = status["decisions"][-1]
    assert (entry["action"], entry["step"], entry["weight"]) == ("Promote", 4, 100)


def test_a_start_names_the_first_step_and_no_weight() -> None:
    entry = reported(at_rest(GOOD, snapshots=(a_snapshot(STABLE), a_snapshot(GOOD, 2))))["decisions"][-1]
    assert (entry["action"], entry["step"], entry["weight"]) == ("Start", 1, 0)


def test_a_decision_says_against_which_revision_and_since_when_the_weight_was() -> None:
    entry = reported(regressed(a_rollout(30, since=timedelta(minutes=2))))["decisions"][-1]
    assert entry["stable"] == STABLE.revision
    assert entry["weightSince"] == timestamp(NOW - timedelta(minutes=2))


def test_a_decision_about_no_weight_or_without_a_stable_revision_says_neither() -> None:
    start = reported(at_rest(GOOD, snapshots=(a_snapshot(STABLE), a_snapshot(GOOD, 2))))["decisions"][-1]
    assert start["stable"] == STABLE.revision and "weightSince" not in start
    intent = Intent(candidate=STABLE.revision, step=3, target=100, preparing_since=NOW, started_at=NOW, attempt=1)
    first = reported(at_rest(intent=intent, route=RouteSeen(exists=False), service_exists=False))["decisions"][-1]
    assert not {"stable", "weightSince"} & first.keys()


@pytest.mark.parametrize("command", ["advance", "promote"])
def test_a_step_that_a_person_ends_is_a_decision_told_with_the_command(command: str) -> None:
    observed = a_rollout(10, command=f"{command}:{GOOD.revision}", since=timedelta(minutes=2))
    after = status_of(observed, plan(observed, NOW), (), NOW)
    entry = after.mapping["decisions"][-1]
    assert (entry["action"], entry["reason"], entry["weight"]) == ("Advance", "Commanded", 10)
    assert entry["weightSince"] == timestamp(NOW - timedelta(minutes=2)) and "as soon as capacity" in entry["message"]
    told = [(each.reason, each.action) for each in changes(observed.status, after) if each.reason == "Commanded"]
    assert told == [("Commanded", "Advance")]


def test_a_command_that_raises_no_weight_is_no_decision() -> None:
    observed = a_rollout(10, command=f"pause:{GOOD.revision}")
    assert "decisions" not in reported(observed)


def test_only_the_last_ten_decisions_are_kept() -> None:
    observed = regressed(a_rollout(30))
    crowded = replace(observed, status=Fragment.of({"decisions": [{"action": "Start", "n": n} for n in range(10)]}))
    decisions = reported(crowded)["decisions"]
    assert len(decisions) == 10 and decisions[0] == {"action": "Start", "n": 1}


def test_what_is_decided_reads_back_as_decided() -> None:
    for observed in (regressed(a_rollout(30)), a_rollout(0, target=10), a_rollout(100, since=timedelta(minutes=1))):
        decided = plan(observed, NOW)
        assert decided.intent is not None
        assert intent_from(status_of(observed, decided, (), NOW).mapping) == decided.intent


def test_a_changing_figure_alone_changes_no_status() -> None:
    observed = a_rollout(10)
    first = status_of(observed, plan(observed, NOW), (), NOW)
    again = replace(observed, status=first)
    decided = plan(again, NOW + timedelta(seconds=1))
    assert status_of(again, decided, (), NOW + timedelta(seconds=1)) == first


def test_an_intent_that_was_replaced_is_a_decision_and_a_warning() -> None:
    observed = at_rest(adopted=True)
    after = status_of(observed, plan(observed, NOW), (), NOW)
    (told,) = changes(observed.status, after)[:1]
    assert (told.reason, told.warning) == ("Adopted", True)
    assert intent_from(after.mapping) == observed.intent


def test_a_rollback_is_announced_as_a_warning_once() -> None:
    observed = regressed(a_rollout(30))
    before = status_of(a_rollout(30), Plan(reason=Reason.ANALYSING, message="Compared."), (), NOW)
    after = status_of(replace(observed, status=before), plan(observed, NOW), (), NOW)
    told = [each for each in changes(before, after) if each.reason == "Regressed"]
    assert [each.warning for each in told] == [True]
    assert changes(after, after) == ()


def test_a_rollback_that_is_only_observed_is_told_once_and_changes_nothing() -> None:
    looks_on = a_spec("2", mode=Mode.OBSERVE)
    observed = regressed(a_rollout(30, desired=looks_on, intent={"analysis": looks_on.analysis_text}))
    before = status_of(a_rollout(30), Plan(reason=Reason.ROLLOUT_STARTED, message="", intent=observed.intent), (), NOW)
    observed = replace(observed, status=before)
    after = status_of(observed, plan(observed, NOW), (), NOW)
    told = after.mapping["decisions"][-1]
    assert (told["action"], told["reason"], told["revision"]) == ("WouldRollBack", "WouldRollBack", GOOD.revision)
    assert told["message"].startswith("Only observed. With mode enforce: Rolled back at 30 %")
    assert [each.warning for each in changes(before, after) if each.reason == "WouldRollBack"] == [True]
    assert after.mapping["rollout"]["weight"] == 30
    assert conditions(dict(after.mapping))["AnalysisHealthy"] == ("False", "WouldRollBack")
    again = replace(observed, status=after)
    assert status_of(again, plan(again, NOW), (), NOW) == after


def test_the_next_rollout_tells_its_own_observation() -> None:
    looks_on = a_spec("2", mode=Mode.OBSERVE)
    observed = regressed(a_rollout(30, desired=looks_on, intent={"analysis": looks_on.analysis_text}))
    actions = []
    for _ in range(2):
        start = Plan(reason=Reason.ROLLOUT_STARTED, message="", intent=observed.intent)
        observed = replace(observed, status=status_of(observed, start, (), NOW))
        observed = replace(observed, status=status_of(observed, plan(observed, NOW), (), NOW))
        actions = [each["action"] for each in observed.status.mapping["decisions"]]
    assert actions == ["Start", "WouldRollBack", "Start", "WouldRollBack"]


def test_real_shares_are_reported_where_the_router_cannot_give_exact_ones() -> None:
    route = replace(
        a_route(**{STABLE.revision: 90, GOOD.revision: 10}), share=((STABLE.revision, 67), (GOOD.revision, 33))
    )
    weights = {each["name"]: each["weight"] for each in reported(a_rollout(10, route=route))["revisions"]}
    assert weights == {STABLE.revision: 67, GOOD.revision: 33}


def test_ready_waits_until_the_gateway_may_be_taken_to_have_the_route_in_effect() -> None:
    young = replace(a_route(**{STABLE.revision: 100}), shifted_at=NOW - timedelta(seconds=1))
    observed = at_rest(route=young)
    assert kstatus(reported(observed)) == "InProgress"
    assert plan(observed, NOW).wake_after == timedelta(seconds=1)
    assert kstatus(reported(at_rest(route=replace(young, shifted_at=NOW - timedelta(seconds=2))))) == "Current"


def test_a_weight_that_was_just_written_leaves_the_route_ready() -> None:
    young = replace(a_route(**{STABLE.revision: 90, GOOD.revision: 10}), shifted_at=NOW)
    assert conditions(reported(a_rollout(10, route=young)))["TrafficReady"] == ("True", "Settled")


def test_as_a_step_begins_its_figures_are_told_at_once_and_then_wait_for_a_checkpoint() -> None:
    observed = a_rollout(10)
    first = reported(replace(observed, evidence=evidence_of(observed)))
    assert (first["analysis"]["step"], first["analysis"]["decision"]) == (1, "Continue")
    later = replace(observed, status=Fragment.of(first), evidence=evidence_of(observed, block_seq=7))
    assert reported(later)["analysis"] == first["analysis"]
    next_step = a_rollout(30, status=Fragment.of(first))
    assert reported(replace(next_step, evidence=evidence_of(next_step)))["analysis"]["step"] == 2


def test_status_keeps_what_lost_evidence_is_gathered_again_from_as_long_as_that_is_short() -> None:
    observed = a_rollout(10)
    first = reported(replace(observed, evidence=evidence_of(observed)))
    assert [each["weight"] for each in first["analysis"]["recovery"]["steps"]] == [10]
    long = evidence_of(observed, parts_started=MOST_PARTS + 1)
    assert "recovery" not in reported(replace(observed, evidence=long))["analysis"]


def test_while_evidence_is_gathered_again_status_keeps_what_it_knows_of_it() -> None:
    observed = a_rollout(10)
    first = reported(replace(observed, evidence=evidence_of(observed)))
    replay = Replay(ahead=(), until=None, saved=None)
    again = evidence_of(observed, step=2, replay=replay)
    later = reported(replace(observed, status=Fragment.of(first), evidence=again))
    assert later["analysis"] == first["analysis"]
    assert "read again from the metrics" in later["message"]


def test_that_evidence_was_restarted_is_announced_once() -> None:
    observed = a_rollout(10)
    before = reported(replace(observed, evidence=evidence_of(observed)))
    changed = evidence_of(observed, restarted_at=observed.intent.since.timestamp())  # type: ignore[union-attr]
    after = reported(replace(observed, evidence=changed))
    assert [each.reason for each in changes(Fragment.of(before), Fragment.of(after))] == ["EvidenceRestarted"]
    assert changes(Fragment.of(after), Fragment.of(after)) == ()
