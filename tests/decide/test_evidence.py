"""Evidence is a pure function of what was scraped: counted once, whole after any restart."""

import json
from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from modelrollout.decide.counted import Counted
from modelrollout.decide.evidence import absorb, begin, enter_step, fits, measure_since, next_poll, polls_due
from modelrollout.decide.evidence_document import from_document, to_document
from modelrollout.decide.growth import grown
from modelrollout.decide.judge import judge
from modelrollout.domain.analysis import AnalysisSettings, Mode, StepTiming
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.judgement import Action
from modelrollout.domain.metrics import LATENCY
from modelrollout.domain.polls import REQUESTS, Arm, Arms, FaultKind, Poll, ProviderFault
from modelrollout.domain.tally import Tally
from tests.decide.simulated import ARMS, QUICK, World, roll_out

SETTINGS = AnalysisSettings(warmup=timedelta(0))
DOWN = ProviderFault(kind=FaultKind.TIMEOUT, message="Prometheus does not answer in time")


def in_step(at: float = 65.0, weight: int = 20, settings: AnalysisSettings = SETTINGS) -> Evidence:
    begun = begin(settings, stable="old", candidate="new", attempt="1", steps=3, at=at)
    return enter_step(begun, settings, step=0, weight=weight, at=at)


def through_json(evidence: Evidence) -> Evidence:
    return from_document(json.loads(json.dumps(to_document(evidence), allow_nan=False)))


def watched(world: World, evidence: Evidence, until: float) -> Evidence:
    """The live run: a poll as soon as it is due."""
    while world.now < until:
        world.run_to(world.now + 0.5)
        for at in polls_due(evidence, SETTINGS, world.now):
            evidence = absorb(evidence, SETTINGS, world.poll(at, measure_since(evidence)), ARMS)
    return evidence


def a_world(seed: int = 1, **changes: float) -> World:
    world = World(seed=seed, rps=60, **changes)  # type: ignore[arg-type]
    world.run_to(65)
    world.weight = 20
    return world


def test_a_restart_at_every_poll_equals_the_live_run() -> None:
    live = roll_out(World(seed=5, rps=60, rate_new=0.02), SETTINGS)
    restarted = roll_out(World(seed=5, rps=60, rate_new=0.02), SETTINGS, each=through_json)
    assert restarted.evidence == live.evidence
    assert restarted.judgement == live.judgement


def test_a_replay_from_raw_samples_equals_the_live_run() -> None:
    world = a_world()
    live = watched(world, in_step(), 200)
    replayed = in_step()
    while due := polls_due(replayed, SETTINGS, world.now):
        for at in due:
            replayed = absorb(replayed, SETTINGS, world.poll(at), ARMS)
    assert live.block_seq > 50
    assert replayed == live


def test_a_poll_counts_once_however_often_it_is_absorbed() -> None:
    world = a_world()
    once = watched(world, in_step(), 80)
    poll = world.poll(80.0)
    after = absorb(once, SETTINGS, poll, ARMS)
    assert absorb(after, SETTINGS, poll, ARMS) is after
    assert absorb(after, SETTINGS, world.poll(79.0), ARMS) is after


def test_entering_the_same_step_again_changes_nothing() -> None:
    evidence = in_step()
    assert enter_step(evidence, SETTINGS, step=0, weight=20, at=65.0) is evidence


def test_a_step_that_only_gets_another_number_counts_nothing_twice() -> None:
    """Steps may be edited in flight, or be unreadable for a while."""
    world = a_world()
    evidence = watched(world, in_step(), 120.0)
    counted = evidence.requests.n_canary
    assert counted > 0
    renumbered = enter_step(evidence, SETTINGS, step=2, weight=20, at=65.0)
    assert renumbered == replace(evidence, step=2)
    assert watched(world, renumbered, 120.0).requests.n_canary == counted
    assert enter_step(renumbered, SETTINGS, step=0, weight=20, at=65.0) == evidence


def test_a_new_step_keeps_the_evidence_and_begins_its_proof_afresh() -> None:
    before = watched(a_world(), in_step(), 120)
    after = enter_step(before, SETTINGS, step=1, weight=50, at=120)
    old, new = before.metrics[0].tests[0], after.metrics[0].tests[0]
    assert new.parts[0] == old.parts[0]
    assert (len(new.parts), after.parts_started) == (2, 2)
    assert not any(new.proof)
    assert new.rollout == old.rollout
    assert new.step.n_canary == 0
    assert after.block_start == 120


def test_after_the_planned_parts_no_more_are_started() -> None:
    evidence = in_step()
    for step in range(1, 6):
        evidence = enter_step(evidence, SETTINGS, step=step, weight=20 + step, at=65.0 + step)
    assert evidence.parts_started == evidence.planned_parts == 3


def test_a_long_last_step_begins_a_new_part_every_ten_minutes() -> None:
    settings = replace(SETTINGS, deadline=timedelta(minutes=40))
    evidence = begin(settings, stable="old", candidate="new", attempt="1", steps=1, at=0)
    assert evidence.planned_parts == 4
    own = timedelta(hours=1)
    longer = begin(SETTINGS, stable="old", candidate="new", attempt="1", steps=3, at=0, last_deadline=own)
    assert longer.planned_parts == 3 + 5
    assert begin(SETTINGS, stable="old", candidate="new", attempt="1", steps=3, at=0).planned_parts == 3


def test_polls_lie_on_a_grid_from_the_start_of_the_step() -> None:
    settings = replace(SETTINGS, poll=timedelta(seconds=5))
    evidence = in_step(settings=settings)
    assert polls_due(evidence, settings, 70.4) == ()
    assert polls_due(evidence, settings, 70.5) == (70.0,)
    assert polls_due(evidence, settings, 83.0) == (70.0, 75.0, 80.0)
    assert polls_due(evidence, settings, 9000.0, limit=2) == (70.0, 75.0)
    assert next_poll(evidence, settings, 66.0) == 70.5
    assert next_poll(evidence, settings, 99.0) == 99.0


def test_the_scrape_interval_is_seen_and_becomes_the_poll() -> None:
    world = World(seed=1, rps=60, scrape=5)
    world.run_to(67)
    evidence = in_step()
    assert polls_due(evidence, SETTINGS, 67.0) == (66.0,)
    evidence = absorb(evidence, SETTINGS, world.poll(66.0), ARMS)
    assert evidence.scrape_interval == 5
    assert next_poll(evidence, SETTINGS, 67.0) == 71.5


def test_nothing_is_asked_where_the_candidate_has_no_requests() -> None:
    evidence = in_step(weight=0)
    assert polls_due(evidence, SETTINGS, 1000) == ()
    assert next_poll(evidence, SETTINGS, 1000) == inf


def test_nothing_is_asked_when_analysis_is_off() -> None:
    settings = AnalysisSettings(mode=Mode.NONE)
    assert polls_due(in_step(settings=settings), settings, 1000) == ()


def test_a_failed_query_leaves_all_evidence_as_it_was_and_starts_a_clock() -> None:
    world = a_world()
    before = watched(world, in_step(), 90)
    failed = Poll(at=91.0, answers={REQUESTS: DOWN, LATENCY: DOWN})
    after = absorb(before, SETTINGS, failed, ARMS)
    assert after.metrics == before.metrics
    assert (after.block_seq, after.data_ok, after.fault_since) == (before.block_seq, False, 91.0)
    world.run_to(95)
    again = absorb(after, SETTINGS, world.poll(94.0), ARMS)
    assert (again.fault_since, again.fault_seconds, again.faults) == (None, 3.0, ())


def test_what_happened_while_prometheus_was_away_is_counted_when_it_is_back() -> None:
    world = a_world()
    live = watched(world, in_step(), 90)
    away = absorb(live, SETTINGS, Poll(at=91.0, answers={REQUESTS: DOWN}), ARMS)
    world.run_to(95)
    back = absorb(away, SETTINGS, world.poll(94.0), ARMS)
    assert back.recent[-1].end - back.recent[-1].start > 3


@pytest.mark.parametrize("seconds_before_the_deadline", [5, 15, 40])
@pytest.mark.parametrize("rps", [2, 5, 60])
def test_a_provider_that_answers_with_nothing_new_never_advances(
    rps: float, seconds_before_the_deadline: float
) -> None:
    """With few requests a block stays open for a while: what it counted before is no fresh data."""
    deadline, since = timedelta(seconds=100), 165.0 - seconds_before_the_deadline
    settings = replace(SETTINGS, poll=timedelta(seconds=1), min_requests=1)
    timing = StepTiming(min_duration=timedelta(seconds=10), deadline=deadline)
    world = World(seed=3, rps=rps)
    world.run_to(65)
    world.weight = 20
    evidence = in_step(settings=settings)
    while world.now < 180:
        world.run_to(world.now + 0.5)
        for at in polls_due(evidence, settings, world.now):
            poll = world.poll(at, measure_since(evidence))
            evidence = absorb(evidence, settings, frozen(poll, since), ARMS)
        found = judge(evidence, settings, timing, world.now, shifted=True)
        assert found.action in (Action.CONTINUE, Action.HOLD)
    assert (found.action, found.reason) == (Action.HOLD, "noData")


def frozen(poll: Poll, since: float) -> Poll:
    """As a Prometheus answers that scrapes nothing any more."""
    answers = {}
    for name, answer in poll.answers.items():
        assert isinstance(answer, tuple)
        old = (replace(series, samples=tuple(s for s in series.samples if s.t <= since)) for series in answer)
        answers[name] = tuple(series for series in old if series.samples)
    return replace(poll, answers=answers)


def test_errors_go_on_being_judged_while_only_latency_cannot_be_read() -> None:
    world = a_world()
    before = watched(world, in_step(), 90)
    world.run_to(93)
    poll = world.poll(92.0)
    after = absorb(before, SETTINGS, replace(poll, answers={**poll.answers, LATENCY: DOWN}), ARMS)
    assert after.block_seq == before.block_seq + 1
    assert after.metrics[0] != before.metrics[0]
    assert after.metrics[1] == before.metrics[1]
    assert not after.data_ok


def test_evidence_of_other_revisions_is_never_mixed_in() -> None:
    other = Arms(stable=ARMS.stable, candidate=Arm(revision="newer", service="newer@gw"))
    with pytest.raises(ValueError, match="not those of the evidence"):
        absorb(in_step(), SETTINGS, Poll(at=70.0, answers={}), other)


def test_latency_edges_are_fixed_from_stables_first_thousand_requests() -> None:
    evidence = watched(a_world(), in_step(), 80)
    assert evidence.metrics[1].edges is None
    assert evidence.metrics[1].profile
    evidence = watched(a_world(), in_step(), 120)
    assert evidence.metrics[1].edges == (0.25, 0.5)
    assert evidence.metrics[1].profile == ()


def test_a_bound_that_not_every_block_has_is_no_edge() -> None:
    """As where a resolution became too coarse for it: what it counted before is of fewer requests than there were."""
    evidence = in_step()
    for i, bounds in enumerate(((0.25, 0.5, inf), (0.25, inf), (), (0.25, 0.5, inf))):
        stable = {bound: 500.0 if bound == inf else 400.0 for bound in bounds}
        errors = Tally(n_canary=100, n_stable=500)
        at = 65.0 + i
        block = Counted(start=at, end=at + 1, errors=errors, histograms={LATENCY: ({}, stable)}, carried=())
        evidence = grown(evidence, SETTINGS, block)
    assert evidence.metrics[1].edges == (0.25,)


def test_evidence_for_other_metrics_does_not_fit() -> None:
    assert fits(in_step(), SETTINGS)
    assert not fits(in_step(), replace(SETTINGS, metrics=SETTINGS.metrics[:1]))


FAULTS = st.lists(st.sampled_from(["ok", "down", "quiet", "half"]), min_size=1, max_size=25)


@given(FAULTS, st.sampled_from([0.005, 0.05, 0.5]), st.integers(0, 3))
@hypothesis_settings(max_examples=25, deadline=None)
def test_a_poll_without_data_never_advances_and_never_rolls_back(faults: list[str], rate: float, seed: int) -> None:
    world = World(seed=seed, rps=60, rate_new=rate, with_latency=False)
    world.run_to(65)
    world.weight = 20
    settings = replace(SETTINGS, metrics=SETTINGS.metrics[:1])
    evidence = in_step(settings=settings)
    before = judge(evidence, settings, QUICK, 65.0, shifted=True)
    for i, fault in enumerate(faults):
        at = 66.0 + 5 * i
        world.run_to(at)
        poll = world.poll(at, measure_since(evidence))
        match fault:
            case "down":
                poll = Poll(at=at, answers=dict.fromkeys(poll.answers, DOWN))
            case "quiet":
                poll = Poll(at=at, answers={REQUESTS: ()})
            case "half":
                poll = replace(poll, answers={**poll.answers, LATENCY: DOWN})
        evidence = absorb(evidence, settings, poll, ARMS)
        now = judge(evidence, settings, QUICK, at, shifted=True)
        if fault != "ok":
            assert now.action is not Action.ADVANCE
        if fault in {"down", "quiet"} and before.action is not Action.ROLLBACK:
            assert now.action is not Action.ROLLBACK
        before = now


@pytest.mark.parametrize(("share", "off"), [(None, 1), (0.33, 0)], ids=["the weight", "what the router really gives"])
def test_the_split_is_held_against_the_share_that_is_expected(share: float | None, off: int) -> None:
    errors = Tally(n_canary=330, n_stable=670)
    block = Counted(start=65, end=70, errors=errors, histograms={}, carried=(), share=share)
    assert grown(in_step(weight=20), SETTINGS, block).off_split == off


def test_requests_per_ready_pod_add_up_over_the_step() -> None:
    evidence = in_step()
    for pods in ((1, 4), (2, 4), (0, 4)):
        errors = Tally(n_canary=200, n_stable=800)
        block = Counted(start=65, end=70, errors=errors, histograms={}, carried=(), pods=pods)
        evidence = grown(evidence, SETTINGS, block)
    assert evidence.pod_load == (300.0, 400.0)
    assert enter_step(evidence, SETTINGS, step=1, weight=50, at=100).pod_load == (0.0, 0.0)


def test_a_rollout_counts_from_its_first_weight_however_long_that_took_to_prepare() -> None:
    begun = begin(SETTINGS, stable="old", candidate="new", attempt="1", steps=3, at=10.0)
    first = enter_step(begun, SETTINGS, step=0, weight=20, at=65.0)
    assert (first.started_at, enter_step(first, SETTINGS, step=1, weight=50, at=200.0).started_at) == (65.0, 65.0)
