"""The whole service against its SLO: what begins not, what waits, what is never kept from being taken back."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modelrollout.decide.evidence import begin, enter_step
from modelrollout.decide.evidence_document import from_document, to_document
from modelrollout.decide.judge import judge
from modelrollout.decide.plan import plan
from modelrollout.decide.report import changes, status_of
from modelrollout.decide.service_burn import AGAIN, KEPT, burning, looked, next_look, unknown
from modelrollout.domain.analysis import AnalysisSettings, Mode, OnHoldTimeout, OnInconclusive, StepTiming
from modelrollout.domain.conditions import Reason
from modelrollout.domain.evidence import Evidence, GuardrailFired, LimitEvidence, RegressionFound
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.judgement import Action, Judgement
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.observed import Observed
from modelrollout.domain.parse import analysis_settings
from modelrollout.domain.plan import Measure, Plan
from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.domain.safeguards import Guardrails
from modelrollout.domain.service_errors import ServiceErrors, ServiceWindows, WindowCount
from modelrollout.domain.tally import Tally
from tests.builders import GOOD, NOW, STABLE, a_pod, a_rollout, a_spec, a_workload, at_rest, looked_at

SETTINGS = replace(
    AnalysisSettings(), metrics=AnalysisSettings().metrics[:1], guardrails=Guardrails(slo=0.999, max_budget_share=0.5)
)
TIMING = StepTiming.of(SETTINGS)
LATE = ProviderFault(kind=FaultKind.TIMEOUT, message="Too late.")


def failing(share: float) -> ServiceWindows:
    """The same share of bad requests over every window."""
    count = WindowCount(bad=10_000 * share, total=10_000)
    return ServiceWindows(six_hours=count, one_hour=count, thirty_minutes=count, five_minutes=count)


def seen(share: float, at: float, since: float | None = None) -> ServiceErrors:
    before = None if since is None else looked(None, SETTINGS, since, failing(share))
    return looked(before, SETTINGS, at, failing(share))


BURNING, FINE = failing(0.02), failing(0.001)


# ------------------------------------------------------------------ one look


def begun(service: ServiceErrors | None = None) -> Evidence:
    evidence = begin(SETTINGS, stable="old", candidate="new", attempt="1", steps=3, at=0)
    return replace(evidence, service=service)


def test_it_is_asked_for_at_once_and_then_every_minute_and_never_without_an_slo() -> None:
    assert next_look(begun(), SETTINGS, 1000) == timedelta(0)
    asked = begun(seen(0.0, at=1000))
    assert next_look(asked, SETTINGS, 1010) == AGAIN - timedelta(seconds=10)
    assert next_look(asked, SETTINGS, 5000) == timedelta(0)
    assert next_look(begun(), AnalysisSettings(), 1000) is None


def test_it_burns_since_the_first_of_the_looks_in_a_row_that_showed_it() -> None:
    first = looked(None, SETTINGS, 1000, BURNING)
    later = looked(first, SETTINGS, 1060, BURNING)
    assert (later.burning_since, later.seen_at) == (1000, 1060)
    over = looked(later, SETTINGS, 1120, FINE)
    assert over.burning_since is None
    assert looked(over, SETTINGS, 1180, BURNING).burning_since == 1180


def test_a_look_that_failed_leaves_the_last_answer_for_as_long_as_its_shortest_window() -> None:
    known = begun(looked(seen(0.02, at=1000), SETTINGS, 1060, LATE))
    assert known.service is not None and known.service.asked_at == 1060
    assert burning(known, SETTINGS, 1060) is not None and unknown(known, SETTINGS, 1060) == ""
    gone = 1000 + KEPT.total_seconds() + 1
    assert burning(known, SETTINGS, gone) is None
    assert "are not known. Too late." in unknown(known, SETTINGS, gone)


def test_what_was_never_answered_does_not_burn_and_is_told() -> None:
    never = begun(looked(None, SETTINGS, 1000, LATE))
    assert burning(never, SETTINGS, 1000) is None and unknown(never, SETTINGS, 1000)
    assert unknown(begun(), SETTINGS, 1000) == "", "nobody has looked yet"
    assert unknown(never, AnalysisSettings(), 1000) == ""


@pytest.mark.parametrize(
    "service",
    [None, seen(0.02, at=1000.125, since=900.5), looked(None, SETTINGS, 7.0, FINE), looked(None, SETTINGS, 7.0, LATE)],
    ids=["none", "burning", "fine", "never answered"],
)
def test_a_look_survives_json_but_for_why_it_failed(service: ServiceErrors | None) -> None:
    evidence = begun(service)
    stored = None if service is None else replace(service, fault=None)
    assert from_document(json.loads(json.dumps(to_document(evidence)))) == replace(evidence, service=stored)


# ------------------------------------------------------------------ in the judge


def watched(share: float = 0.02, *, at: float = 200.0, since: float | None = None, **changes: Any) -> Evidence:
    """A step that has had good requests enough for everything but proof."""
    evidence = enter_step(begun(seen(share, at, since)), SETTINGS, step=0, weight=10, at=0)
    tally = Tally(n_canary=1000, n_stable=9000)
    fresh = replace(evidence, last_eval=at, last_data_at=at, data_ok=True, requests=tally, step_requests=tally)
    return replace(fresh, **changes)


def ruled(evidence: Evidence, settings: AnalysisSettings = SETTINGS, *, at: float = 200.0) -> Judgement:
    return judge(evidence, settings, TIMING, at, shifted=True)


def test_a_step_waits_while_the_service_burns_and_says_how_fast() -> None:
    judgement = ruled(watched())
    assert (judgement.action, judgement.reason) == (Action.HOLD, "serviceBurning")
    assert judgement.sentence == (
        "Holding at 10 %: all revisions together spend the error budget of slo 0.999 20 times too fast over 1 h and "
        "5 min, and the limit is 14.4; it goes on by itself when that is over."
    )
    assert ruled(watched(0.001)).action is Action.CONTINUE


def test_a_slow_burn_is_told_with_its_own_windows() -> None:
    assert "7 times too fast over 6 h and 30 min, and the limit is 6;" in ruled(watched(0.0072)).sentence


def test_what_would_advance_waits_too_and_goes_on_when_it_is_over() -> None:
    late = watched(at=700.0)
    assert ruled(late, at=700.0).reason == "serviceBurning"
    assert (ruled(watched(0.001, at=700.0), at=700.0).action) is Action.ADVANCE
    quiet = replace(late, service=seen(0.02, at=300.0))
    assert ruled(quiet, at=700.0).action is Action.ADVANCE, "an answer as old as that says nothing"
    assert ruled(quiet, at=700.0).flags == ("DispersionUnknown", "ServiceBurnUnknown")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"guardrail": GuardrailFired(name="burn", at=100.0, value=20.0)}, (Action.ROLLBACK, "guardrail:burn")),
        (
            {"regression": RegressionFound(metric="errors", edge=None, at=100.0, log_evidence=6.0)},
            (Action.ROLLBACK, "regression"),
        ),
        ({"limits": (LimitEvidence(excused_at=100.0),)}, (Action.HOLD, "stableUnhealthy")),
        ({"budget_spent": 0.6}, (Action.HOLD, "budgetSpent")),
        ({"last_data_at": 0.0}, (Action.HOLD, "noData")),
        ({"missing_scrapes": 2}, (Action.HOLD, "noData")),
    ],
    ids=["guardrail", "regression", "stable unhealthy", "budget spent", "no data", "series missing"],
)
def test_what_takes_back_and_what_is_known_more_precisely_outranks_it(
    found: dict[str, Any], expected: tuple[Action, str]
) -> None:
    judgement = ruled(watched(**found))
    assert (judgement.action, judgement.reason) == expected


def test_a_candidate_is_taken_back_at_its_deadline_though_the_service_burns() -> None:
    strict = replace(SETTINGS, on_inconclusive=OnInconclusive.ROLLBACK)
    judgement = ruled(watched(at=700.0), strict, at=700.0)
    assert (judgement.action, judgement.reason) == (Action.ROLLBACK, "inconclusive")


def test_it_is_a_hold_like_others_once_hold_timeout_is_over() -> None:
    short = replace(SETTINGS, hold_timeout=timedelta(seconds=90))
    assert ruled(watched(since=50.0), short).sentence.endswith("Held longer than 1 min 30 s: promote or abort.")
    assert not ruled(watched(since=150.0), short).sentence.endswith("promote or abort.")
    back = replace(short, on_hold_timeout=OnHoldTimeout.ROLLBACK)
    assert ruled(watched(since=50.0), back).action is Action.HOLD, "the candidate is not to blame"


def test_at_all_traffic_nothing_waits_for_it() -> None:
    assert ruled(replace(watched(), weight=100)).action is Action.CONTINUE


# ------------------------------------------------------------------ in the plan


def with_slo(mode: Mode = Mode.ENFORCE) -> ModelDeployment:
    text = Fragment.of({"mode": str(mode), "metrics": [{"name": "errors"}], "guardrails": {"slo": 0.999}}).text
    return replace(a_spec("2"), analysis=analysis_settings(text), analysis_text=text)


def preparing(service: ServiceErrors | None, mode: Mode = Mode.ENFORCE, **intent: Any) -> Observed:
    desired = with_slo(mode)
    changed = {"analysis": desired.analysis_text, **intent}
    observed = a_rollout(0, target=10, desired=desired, intent=changed)
    return replace(observed, evidence=replace(looked_at(observed.intent), service=service))


def at_first_weight(service: ServiceErrors | None) -> Observed:
    desired = with_slo()
    observed = a_rollout(10, desired=desired, intent={"analysis": desired.analysis_text})
    start = NOW.timestamp() - 10
    evidence = replace(begin(
        desired.analysis, stable=STABLE.revision, candidate=GOOD.revision, attempt="2", steps=3, at=start,
    ), service=service)  # fmt: skip
    return replace(observed, evidence=enter_step(evidence, desired.analysis, step=0, weight=10, at=start))


def asked(answer: Plan) -> list[float | None]:
    return [action.service_at for action in answer.actions if isinstance(action, Measure)]


AT = NOW.timestamp()


def test_the_first_weight_waits_for_the_look_and_the_look_for_no_pod() -> None:
    answer = plan(preparing(None), NOW)
    assert (answer.reason, asked(answer)) == (Reason.CHECKING_METRICS, [AT])
    pods = (a_workload(STABLE.revision), a_workload(GOOD.revision, ready=0, replicas=1))
    assert asked(plan(replace(preparing(None), workloads=pods), NOW)) == [AT]
    raised = plan(preparing(seen(0.001, AT - 5)), NOW).intent
    assert raised is not None and raised.weight == 10


def test_a_service_that_burns_keeps_the_first_weight_and_is_looked_at_every_minute() -> None:
    observed = preparing(seen(0.02, AT - 5))
    answer = plan(observed, NOW)
    assert (answer.intent, answer.reason, asked(answer)) == (None, Reason.SERVICE_BURNING, [])
    assert answer.wake_after == AGAIN - timedelta(seconds=5)
    assert "20 times too fast over 1 h and 5 min" in answer.message and "promote" in answer.message
    assert asked(plan(observed, NOW + AGAIN)) == [AT + 60]
    status = status_of(observed, answer, (), NOW)
    conditions = {each["type"]: each for each in status.mapping["conditions"]}
    assert status.mapping["phase"] == "Progressing" and conditions["Stalled"]["status"] == "False"
    assert (conditions["AnalysisHealthy"]["status"], conditions["AnalysisHealthy"]["reason"]) == (
        "Unknown",
        "ServiceBurning",
    )
    events = changes(Fragment.of({"rollout": {"weight": 0}}), status)
    assert [each.warning for each in events if each.reason == "ServiceBurning"] == [True]


def test_a_service_that_is_not_known_to_burn_keeps_nothing_and_is_told() -> None:
    never = preparing(looked(None, SETTINGS, AT - 5, LATE))
    assert plan(never, NOW).intent is not None
    pods = (a_workload(STABLE.revision), a_workload(GOOD.revision, ready=0, replicas=1))
    outlook = plan(replace(never, workloads=pods), NOW).outlook
    assert outlook is not None and "guardrails.slo: its requests of the last 6 h are not known" in outlook.message


def test_observed_only_it_is_told_and_keeps_nothing() -> None:
    answer = plan(preparing(seen(0.02, AT - 5), Mode.OBSERVE), NOW)
    assert answer.intent is not None and answer.intent.weight == 10
    pods = (a_workload(STABLE.revision), a_workload(GOOD.revision, ready=0, replicas=1))
    outlook = plan(replace(preparing(seen(0.02, AT - 5), Mode.OBSERVE), workloads=pods), NOW).outlook
    assert outlook is not None and outlook.reason is Reason.SERVICE_BURNING


def test_a_promoted_candidate_and_one_without_analysis_wait_for_nothing() -> None:
    promoted = plan(preparing(seen(0.02, AT - 5), target=100, promote=True), NOW)
    assert promoted.intent is not None and promoted.intent.weight == 100
    silent = plan(replace(preparing(None, Mode.NONE), evidence=None), NOW)
    assert silent.intent is not None and silent.intent.weight == 10


def test_a_paused_rollout_asks_nothing_before_its_first_weight() -> None:
    assert asked(plan(preparing(None, paused=True, paused_since=NOW), NOW)) == []


def test_a_running_rollout_asks_beside_its_polls_and_once_a_minute() -> None:
    answer = plan(at_first_weight(None), NOW)
    (measure,) = (action for action in answer.actions if isinstance(action, Measure))
    assert measure.polls and measure.service_at == AT
    assert asked(plan(at_first_weight(seen(0.001, AT - 5)), NOW)) == [None]


def test_a_running_rollout_holds_and_an_abort_is_not_kept() -> None:
    observed = at_first_weight(seen(0.02, AT - 5))
    answer = plan(observed, NOW)
    assert answer.reason is Reason.HOLDING and "goes on by itself" in answer.message
    status = status_of(observed, answer, (), NOW).mapping
    conditions = {each["type"]: each["reason"] for each in status["conditions"]}
    assert (status["phase"], conditions["AnalysisHealthy"]) == ("Holding", "ServiceBurning")
    aborted = plan(replace(observed, command=f"abort:{GOOD.revision}"), NOW)
    assert aborted.intent is not None and aborted.intent.leaving
    crashed = tuple(a_pod(f"{GOOD.revision}-{i}", restarts=3) for i in range(2))
    workloads = (a_workload(STABLE.revision), a_workload(GOOD.revision, pods=crashed))
    back = plan(replace(observed, workloads=workloads), NOW)
    assert back.intent is not None and back.intent.leaving


def test_an_advance_waits_for_a_look_that_is_due() -> None:
    """Also where no poll is: a paused step has asked nothing for the service."""
    desired = with_slo()
    start = AT - 700
    observed = at_first_weight(None)
    assert observed.evidence is not None
    evidence = enter_step(
        replace(observed.evidence, service=seen(0.001, AT - 100)), desired.analysis, step=0, weight=10, at=start
    )
    tally = Tally(n_canary=1000, n_stable=9000)
    fresh = replace(
        evidence, last_eval=AT - 1, last_data_at=AT - 1, data_ok=True, requests=tally, step_requests=tally, polls=9,
        scrape_interval=15.0,
    )  # fmt: skip
    due = replace(
        observed, evidence=fresh, intent=replace(observed.intent, since=NOW - timedelta(seconds=700)),
        checkpointed_at=NOW, checkpoint_eval=AT - 1,
    )  # fmt: skip
    answer = plan(due, NOW)
    assert (answer.intent, asked(answer)) == (None, [AT])
    after = plan(replace(due, evidence=replace(fresh, service=seen(0.001, AT))), NOW)
    assert after.intent is not None and after.reason is Reason.ADVANCED


def test_nothing_is_asked_at_rest_for_a_first_revision_or_without_an_slo() -> None:
    desired = with_slo()
    assert asked(plan(at_rest(replace(a_spec("1"), analysis=desired.analysis)), NOW)) == []
    first = preparing(None)
    first = replace(first, evidence=None, intent=replace(first.intent, stable=None))
    assert asked(plan(first, NOW)) == []
    assert asked(plan(replace(a_rollout(0, target=10), evidence=None), NOW)) == [None]
