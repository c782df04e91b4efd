"""Lost evidence: whole again where the samples are still there, gone on with from status where they are not."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from modelrollout.decide import gauges, mixture
from modelrollout.decide.evidence import begin, enter_step, measure_since, next_poll, polls_due
from modelrollout.decide.evidence_document import from_document, to_document
from modelrollout.decide.judge import judge
from modelrollout.decide.recovery import MOST_POLLS, absorbed, checked, recovered, resumed
from modelrollout.decide.recovery_document import recovery_document
from modelrollout.decide.standing import proofs, standing
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import (
    Evidence,
    GaugeEvidence,
    GuardrailFired,
    RegressionFound,
    Scatter,
    StableBefore,
    StepEntered,
)
from modelrollout.domain.judgement import Action
from modelrollout.domain.metrics import MetricSettings
from modelrollout.domain.polls import REQUESTS, FaultKind, Poll, ProviderFault
from modelrollout.domain.signals import Gauge, SeriesSelector
from tests.crds.schema import problems
from tests.crds.test_schema import STATUS
from tests.decide.simulated import ARMS, QUICK
from tests.decide.test_replay import END, SETTINGS, STEPS, TICK, scraped

SCATTER = Scatter(phi=1.3141592653589793, known=True, tau=0.12345678901234567)
DOWN = ProviderFault(kind=FaultKind.UNREACHABLE, message="Prometheus cannot be reached.")
WRONG = ProviderFault(kind=FaultKind.REFUSED, message="No such series.", permanent=True)
DRIFT = Gauge(gauge=SeriesSelector(series=("drift",)), window=timedelta(minutes=5), margin=0.05)
NOTHING_LOST: frozenset[int] = frozenset()


def fresh(wanted: AnalysisSettings = SETTINGS) -> Evidence:
    return begin(wanted, stable="old", candidate="new", attempt="1", steps=len(STEPS), at=STEPS[0][0])


def informed() -> Evidence:
    """With what stable's past told."""
    bare = fresh()
    metrics = tuple(
        replace(m, tests=tuple(replace(t, scatter=SCATTER, ratio=1.75) for t in m.tests)) for m in bare.metrics
    )
    return replace(bare, metrics=metrics, before=StableBefore(requests=500, bad=2.5, seconds=60.0))


def at(now: float) -> StepEntered:
    """The weight in effect."""
    step = max(index for index, (begun, _) in enumerate(STEPS) if begun <= now)
    return StepEntered(step=step, weight=STEPS[step][1], at=STEPS[step][0])


def lived(
    begun: Evidence, until: float, since: float = STEPS[0][0], missing: frozenset[int] = NOTHING_LOST
) -> Iterator[Evidence]:
    """The evidence tick by tick, as the operator would have it."""
    evidence, now = begun, since
    while now < until:
        now += TICK
        while True:
            current = at(now - TICK)
            evidence = resumed(evidence, SETTINGS, current)
            if evidence.replay is None:
                evidence = enter_step(evidence, SETTINGS, step=current.step, weight=current.weight, at=current.at)
            due = polls_due(evidence, SETTINGS, now)
            for time in due:
                evidence = absorbed(evidence, SETTINGS, scraped(1.0, time, measure_since(evidence), missing), ARMS)
            if not due:
                break
        yield evidence


def last(evidences: Iterator[Evidence]) -> Evidence:
    *_, evidence = evidences
    return evidence


def status_of(evidence: Evidence, wanted: AnalysisSettings = SETTINGS) -> dict[str, Any]:
    """As the API server gives it back."""
    figures = {
        "attempt": evidence.attempt,
        "logEvidence": round(standing(evidence, wanted).log_evidence, 4),
        "recovery": recovery_document(evidence, wanted),
    }
    status: dict[str, Any] = json.loads(json.dumps({"analysis": figures, "decisions": ADVANCED}, allow_nan=False))
    assert list(problems(STATUS, status)) == []
    return status


ADVANCED = [
    {"time": "2026-11-22T03:00:00.000Z", "action": "Start", "reason": "RolloutStarted"},
    {"time": "2026-11-22T03:00:00.000Z", "action": "Advance", "reason": "Advanced"},
]


@cache
def live() -> tuple[Evidence, ...]:
    return tuple(lived(informed(), END))


moments = st.integers(4, int((END - STEPS[0][0]) / TICK) - 1)


@given(written=moments, read=moments)
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
def test_a_replay_equals_the_run_that_lost_nothing(written: int, read: int) -> None:
    """Status is written as each step begins, and at checkpoints."""
    written, read = sorted((written, read))
    written = max(written, next(i for i, each in enumerate(live()) if each.step == live()[read].step))
    now = STEPS[0][0] + (read + 1) * TICK
    found = recovered(fresh(), SETTINGS, status_of(live()[written]), at(now - TICK), now)
    again = last(lived(found, END, since=now - TICK))
    assert again.replay is None
    assert again.restarted_at is None
    assert standing(again, SETTINGS).log_evidence == pytest.approx(
        standing(live()[-1], SETTINGS).log_evidence, abs=1e-9
    )
    assert again == live()[-1]


def test_while_it_is_replayed_nothing_is_decided_yet() -> None:
    found = recovered(fresh(), SETTINGS, status_of(live()[-1]), at(END - 1), END)
    assert found.replay is not None
    assert (found.step, found.weight) == (0, 20)
    assert "replay" not in to_document(found)


def test_without_an_answer_a_replay_waits_and_asks_for_the_same_again() -> None:
    found = recovered(fresh(), SETTINGS, status_of(live()[-1]), at(END - 1), END)
    assert found.replay is not None
    found = replace(found, replay=replace(found.replay, asked_at=END))
    first = polls_due(found, SETTINGS, END)
    failed = absorbed(found, SETTINGS, Poll(at=first[0], answers={REQUESTS: DOWN}), ARMS)
    assert failed.last_eval is None
    assert failed.faults == ((REQUESTS, DOWN),)
    assert polls_due(failed, SETTINGS, END + 4) == ()
    assert next_poll(failed, SETTINGS, END + 1) == END + 5
    assert polls_due(failed, SETTINGS, END + 5) == first


@pytest.mark.parametrize(
    ("kind", "patience"),
    [
        (FaultKind.REFUSED, SETTINGS.no_data_timeout),
        (FaultKind.TOO_LARGE, SETTINGS.no_data_timeout),
        (FaultKind.UNREACHABLE, SETTINGS.hold_timeout),
    ],
)
def test_what_is_never_answered_is_given_up_and_an_outage_is_waited_out_longer(
    kind: FaultKind, patience: timedelta
) -> None:
    found = recovered(fresh(), SETTINGS, status_of(live()[-1]), at(END - 1), END)
    now, fault = END, ProviderFault(kind=kind, message="No.", permanent=kind is FaultKind.REFUSED)
    while found.replay is not None and now < END + 2 * patience.total_seconds():
        due = polls_due(found, SETTINGS, now)
        found = replace(found, replay=replace(found.replay, asked_at=now))
        assert len(due) == 1 or now == END, "after a fault one at a time"
        found = absorbed(found, SETTINGS, Poll(at=due[0], answers={REQUESTS: fault}), ARMS)
        now += 10
    assert now - END == pytest.approx(patience.total_seconds(), abs=20)
    assert found.restarted_at is not None
    assert standing(found, SETTINGS).log_evidence == pytest.approx(
        standing(live()[-1], SETTINGS).log_evidence, abs=1e-9
    )


def test_edges_that_came_from_the_rollouts_first_requests_are_chosen_again() -> None:
    """Before they were chosen nothing was tested, however much of errors the past had."""
    told = replace(informed(), before=StableBefore(requests=5000, bad=2.5, seconds=60.0))
    ran = last(lived(told, END))
    found = recovered(fresh(), SETTINGS, status_of(ran), at(END - 1), END)
    again = last(lived(found, END, since=END - 1))
    assert again.restarted_at is None
    assert again.metrics == ran.metrics


def test_a_metric_that_is_refused_for_good_stops_no_replay() -> None:
    found = recovered(fresh(), SETTINGS, status_of(live()[-1]), at(END - 1), END)
    poll = scraped(1.0, STEPS[0][0] + 1, measure_since(found), NOTHING_LOST)
    after = absorbed(found, SETTINGS, replace(poll, answers={**poll.answers, "latency": WRONG}), ARMS)
    assert after.last_eval == poll.at


# ---------------------------------------------------------------------- the samples are gone

GONE = frozenset(range(150))


def test_where_samples_are_gone_it_goes_on_from_what_status_kept() -> None:
    kept = live()[int((160 - STEPS[0][0]) / TICK)]
    found = recovered(fresh(), SETTINGS, status_of(kept), at(165), 165)
    again = last(lived(found, END, since=165, missing=GONE))
    assert again.restarted_at == kept.block_start
    assert again.replay is None
    assert (again.step, again.parts_started, again.entered) == (kept.step, kept.parts_started, kept.entered)
    at_once = checked(replace(found, block_start=kept.block_start), SETTINGS)
    assert standing(at_once, SETTINGS).log_evidence == pytest.approx(standing(kept, SETTINGS).log_evidence, abs=1e-9)
    assert standing(at_once, SETTINGS).bad_canary == standing(kept, SETTINGS).bad_canary
    kept_proofs = proofs(kept, SETTINGS)
    for name, (log_proof, proven) in proofs(at_once, SETTINGS).items():
        assert log_proof == pytest.approx(kept_proofs[name][0], abs=1e-9)
        assert proven is kept_proofs[name][1]
    for mine, theirs in zip(at_once.metrics, kept.metrics, strict=True):
        assert [t.scatter for t in mine.tests] == [t.scatter for t in theirs.tests]
        assert [(t.edge, t.ratio, t.rollout) for t in mine.tests] == [
            (t.edge, t.ratio, t.rollout) for t in theirs.tests
        ]


def test_its_log_evidence_is_what_was_kept_plus_that_of_fresh_processes() -> None:
    kept = live()[int((160 - STEPS[0][0]) / TICK)]
    restarted = checked(
        replace(recovered(fresh(), SETTINGS, status_of(kept), at(165), 165), block_start=kept.block_start), SETTINGS
    )
    zero = mixture.nothing_yet(mixture.REGRESSION)

    def emptied(evidence: Evidence) -> Evidence:
        metrics = tuple(
            replace(m, tests=tuple(replace(t, parts=(zero,) * len(t.parts)) for t in m.tests)) for m in evidence.metrics
        )
        return replace(evidence, metrics=metrics)

    after = last(lived(restarted, END, since=165))
    alone = last(lived(emptied(restarted), END, since=165))
    assert after.block_seq > kept.block_seq
    for metric, fresh_one, saved in zip(after.metrics, alone.metrics, kept.metrics, strict=True):
        for test, new, old in zip(metric.tests, fresh_one.tests, saved.tests, strict=True):
            for parts in zip(test.parts, new.parts, old.parts, strict=True):
                both, fresh_part, kept_part = (mixture.log_mixture(mixture.REGRESSION, part) for part in parts)
                assert both == pytest.approx(kept_part + fresh_part, abs=1e-9)


def test_good_steps_that_were_lost_do_not_hide_a_late_regression() -> None:
    """A step that begins afterwards has its own part, which starts at one."""
    kept = live()[int((120 - STEPS[0][0]) / TICK)]
    status = status_of(replace(kept, restarted_at=100.0))
    found = recovered(fresh(), SETTINGS, status, at(130), 130)
    test = found.metrics[0].tests[0]
    assert found.parts_started == kept.parts_started + 1
    assert mixture.log_mixture(mixture.REGRESSION, test.parts[-1]) == pytest.approx(0)
    assert found.block_start == found.restarted_at == 125.0


def test_it_is_told_by_a_flag_and_in_the_step_s_sentence() -> None:
    status = status_of(replace(live()[-1], restarted_at=130.0))
    found = recovered(fresh(), SETTINGS, status, at(END - 1), END)
    told = judge(found, SETTINGS, QUICK, END, shifted=True)
    assert "EvidenceRestarted" in told.flags
    assert "goes on from what status kept" in told.sentence
    later = replace(found, step_at=END + 1)
    assert "goes on" not in judge(later, SETTINGS, QUICK, END + 2, shifted=True).sentence


def test_a_replay_of_more_polls_than_is_sensible_is_not_begun() -> None:
    now = STEPS[0][0] + MOST_POLLS + 1
    assert recovered(fresh(), SETTINGS, status_of(live()[-1]), at(now), now).restarted_at == live()[-1].block_start


# ---------------------------------------------------------------------- what status may say


def test_in_the_first_step_without_figures_it_just_begins() -> None:
    assert recovered(fresh(), SETTINGS, {}, at(70), 70) == fresh()


@pytest.mark.parametrize(
    "analysis",
    [{}, {"attempt": "0"}, {"attempt": "1", "recovery": {}}, {"attempt": "1", "recovery": {"steps": [{"step": "x"}]}}],
    ids=["nothing", "another rollout's", "empty", "nonsense"],
)
def test_a_status_that_tells_nothing_begins_anew_in_this_step_and_says_so(analysis: dict[str, Any]) -> None:
    found = recovered(fresh(), SETTINGS, {"analysis": analysis, "decisions": ADVANCED}, at(130), 130)
    assert (found.restarted_at, found.step) == (125.0, -1)


def test_of_a_status_without_steps_its_evidence_multiplies_what_comes_now() -> None:
    analysis = {"attempt": "1", "logEvidence": 2.5}
    found = recovered(fresh(), SETTINGS, {"analysis": analysis, "decisions": ADVANCED}, at(130), 130)
    assert standing(found, SETTINGS).metrics[0].log_evidence == pytest.approx(2.5)
    assert (found.block_start, found.restarted_at, found.step_at) == (130, 130, 125.0)
    assert judge(found, SETTINGS, QUICK, 131, shifted=True).action is Action.CONTINUE


@given(
    name=st.sampled_from(
        [
            "steps",
            "tests",
            "limits",
            "blockEnd",
            "requests",
            "plannedParts",
            "partsStarted",
            "scrapeInterval",
            "stableBefore",
            "edgesFromPast",
        ]
    ),
    value=st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=3) | st.just({"at": 1}),
)
@settings(max_examples=60, deadline=None)
def test_no_status_breaks_it(name: str, value: object) -> None:
    status = status_of(live()[-1])
    status["analysis"]["recovery"][name] = value
    found = recovered(fresh(), SETTINGS, status, at(END - 1), END)
    assert found.attempt == "1"
    current = at(END - 1)
    entered = enter_step(
        resumed(found, SETTINGS, current), SETTINGS, step=current.step, weight=current.weight, at=current.at
    )
    poll = scraped(1.0, END, measure_since(entered), NOTHING_LOST)
    judge(absorbed(entered, SETTINGS, poll, ARMS), SETTINGS, QUICK, END, shifted=True)


def test_what_was_found_for_good_is_kept() -> None:
    wanted = AnalysisSettings(
        warmup=timedelta(0),
        metrics=(
            MetricSettings.of("errors", index=0),
            MetricSettings.of("drift", index=1, signal=DRIFT),
        ),
    )
    begun = enter_step(fresh(wanted), wanted, step=0, weight=20, at=65.0)
    gauge = GaugeEvidence(products=(0.5, 1.5, 2.5), window=3, windows=4, worse=3)
    full = replace(
        begun,
        metrics=(begun.metrics[0], replace(begun.metrics[1], gauge=gauge)),
        regression=RegressionFound(metric="errors", edge=None, at=70.125, log_evidence=5.5),
        guardrail=GuardrailFired(name="slo", at=71.0, value=4.75),
        limits=(replace(begun.limits[0], excused_at=72.0),),
        restarted_at=66.0,
        budget_spent=0.0125,
    )
    found = recovered(fresh(wanted), wanted, status_of(full, wanted), StepEntered(step=0, weight=20, at=65.0), 80)
    assert (found.regression, found.guardrail) == (full.regression, full.guardrail)
    assert (found.limits[0].excused_at, found.budget_spent) == (72.0, 0.0125)
    kept = found.metrics[1].gauge
    assert kept is not None
    assert (kept.window, kept.windows, kept.worse) == (3, 4, 3)
    assert gauges.log_sign(kept.products) == pytest.approx(gauges.log_sign(gauge.products))


def test_the_steps_survive_a_checkpoint() -> None:
    evidence = replace(live()[-1], restarted_at=70.5)
    assert from_document(json.loads(json.dumps(to_document(evidence)))) == evidence
    assert [(each.step, each.weight, each.at) for each in evidence.entered] == [(0, 20, 65.0), (1, 50, 125.0)]
    assert evidence.entered[0].until == 124.0
