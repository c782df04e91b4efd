"""What must always hold, under random specs, verdicts, crashes, old views and two workers."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelrollout.domain.analysis import Mode
from modelrollout.domain.conditions import Reason
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import Scaling, ScalingMode
from modelrollout.domain.parse import analysis_settings
from tests.builders import a_spec
from tests.simulation.world import START, Traits, World

ladders = st.lists(st.integers(1, 99), max_size=4, unique=True).map(sorted).map(tuple)
traits = st.builds(
    Traits,
    ready=st.sampled_from([True, True, True, False]),
    regressed=st.booleans(),
    crashes=st.sampled_from([False, False, False, True]),
)
versions = st.sampled_from(["1", "2", "3", "4"])
chaos = st.one_of(
    st.tuples(st.just("walk"), st.integers(0, 1)),
    st.tuples(st.just("walk"), st.integers(0, 1)),
    st.tuples(st.just("time"), st.sampled_from([0.1, 1, 5, 30, 90])),
    st.tuples(st.just("look"), st.integers(0, 1)),
    st.tuples(st.just("act on old view"), st.integers(0, 1)),
    st.tuples(st.just("kill"), st.integers(0, 9)),
    st.tuples(st.just("spec"), versions),
    st.tuples(st.just("metrics"), st.booleans()),
    st.tuples(st.just("burns"), st.booleans()),
    st.tuples(st.just("router"), st.booleans()),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("command"), st.sampled_from(["abort", "promote", "advance", "retry", "pause", "resume", "undo"])),
    st.tuples(st.just("lose child"), st.integers(0, 3)),
    st.tuples(st.just("lose evidence"), st.booleans()),
)


SLO = Fragment.of({**Fragment(a_spec().analysis_text).mapping, "guardrails": {"slo": 0.999}}).text


def a_world(
    ladder: tuple[int, ...], version: str = "1", *, mode: ScalingMode = ScalingMode.HPA, slo: bool = False
) -> World:
    scaling = Scaling(mode=mode, replicas=2, min_replicas=2, max_replicas=6)
    spec = a_spec(version, steps=ladder, scaling=scaling, ready_timeout=timedelta(seconds=60))
    return World(spec=replace(spec, analysis=analysis_settings(SLO), analysis_text=SLO) if slo else spec)


def asks(world: World, version: str) -> None:
    """The user applies another version; the generation moves on only with the spec."""
    other = a_spec(
        version,
        scaling=world.spec.scaling,
        rollout=world.spec.rollout,
        ready_timeout=world.spec.ready_timeout,
        analysis=world.spec.analysis,
        analysis_text=world.spec.analysis_text,
    )
    if other.revision != world.spec.revision:
        world.spec = replace(other, generation=world.spec.generation + 1, paused=world.spec.paused)
        world.version += 1


def happens(world: World, event: tuple[str, object], views: dict[int, object]) -> None:
    match event:
        case ("walk", int(worker)):
            world.walk(worker)
        case ("time", float() | int() as seconds):
            world.pass_time(float(seconds))
        case ("look", int(worker)):
            views[worker] = world.observe(worker)
        case ("act on old view", int(worker)):
            world.walk(worker, views.pop(worker, None))  # type: ignore[arg-type]
        case ("kill", int(at)):
            world.kill_at = at
        case ("spec", str(version)):
            asks(world, version)
        case ("metrics", bool(answer)):
            world.metrics_answer = answer
        case ("burns", bool(burns)):
            world.burns = burns
        case ("router", bool(answer)):
            world.router_answers = answer
        case ("pause", bool(paused)):
            world.spec = replace(world.spec, paused=paused, generation=world.spec.generation + 1)
            world.version += 1
        case ("command", str(action)):
            revision = world.intent.candidate or world.intent.stable or "none"
            world.command = f"{action}:{revision}:{world.writes}"
            world.version += 1
        case ("lose evidence", bool(samples)):
            world.lose_evidence()
            if samples:
                world.samples_since = world.now.timestamp()
        case ("lose child", int(index)):
            names = sorted(world.workloads)
            if names and not (world.route or {}).get(names[index % len(names)], 0):
                del world.workloads[names[index % len(names)]]
        case _:
            raise AssertionError(event)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ladder=ladders,
    luck=st.fixed_dictionaries(dict.fromkeys("1234", traits)),
    mode=st.sampled_from([ScalingMode.HPA, ScalingMode.FIXED]),
    slo=st.booleans(),
    events=st.lists(chaos, max_size=60),
)
def test_whatever_happens_the_invariants_hold_and_it_comes_to_rest(
    ladder: tuple[int, ...], luck: dict[str, Traits], mode: ScalingMode, slo: bool, events: list[tuple[str, object]]
) -> None:
    world = a_world(ladder, mode=mode, slo=slo)
    for version, trait in luck.items():
        world.traits[a_spec(version).revision] = trait
    world.traits[a_spec("1").revision] = Traits()  # somebody has to serve
    world.settle(seconds=60)
    views: dict[int, object] = {}
    for event in events:
        happens(world, event, views)
        world.check()
    world.kill_at, world.metrics_answer, world.router_answers, world.burns = None, True, True, False
    world.spec = replace(world.spec, paused=False, generation=world.spec.generation + 1)
    world.command = f"resume:{world.intent.candidate or world.intent.stable}:last"
    world.version += 1
    world.settle()
    comes_to_rest(world)


def comes_to_rest(world: World) -> None:
    """The spec's revision serves, or it was given up and stable serves; nothing is written any more."""
    intent = world.intent
    asked, traits = world.spec.revision, world.traits_of(world.spec.revision)
    assert intent.stable is not None
    if intent.candidate is not None:
        raise AssertionError(f"still under way: {world.status.text}")
    if intent.stable != asked:
        assert intent.aborted is not None and intent.aborted.revision == asked
        assert traits.regressed or traits.crashes or not traits.ready or intent.aborted.reason is Reason.ABORTED
    assert world.route == {intent.stable: 100}
    assert set(world.workloads) == {intent.stable}
    assert world.service == intent.stable
    writes = world.writes
    for _ in range(20):
        world.walk()
        world.pass_time(30)
    assert world.writes == writes, f"writes at rest: {world.log[-5:]}"


def test_a_good_version_goes_through_every_step_once() -> None:
    world = a_world((10, 30, 60))
    world.settle(seconds=60)
    asks(world, "2")
    world.settle(seconds=900)
    assert [weight for _, _, weight in world.raised] == [10, 30, 60, 100]
    comes_to_rest(world)
    assert world.intent.stable == world.spec.revision


def test_a_good_rollout_costs_few_status_writes_however_often_it_measures() -> None:
    world = a_world((10, 30, 60))
    world.settle(seconds=60)
    asks(world, "2")
    before = world.status_writes
    world.settle(seconds=900)
    assert world.status_writes - before <= 40


def test_a_regression_ends_at_no_traffic_and_is_not_tried_again() -> None:
    world = a_world((10, 30, 60))
    world.settle(seconds=60)
    asks(world, "2")
    world.traits[world.spec.revision] = Traits(regressed=True)
    world.settle(seconds=900)
    assert [weight for _, _, weight in world.raised] == [10]
    comes_to_rest(world)
    assert world.intent.aborted is not None
    assert world.intent.aborted.reason is Reason.REGRESSED


def test_a_regression_that_is_only_observed_goes_through_and_is_told_once() -> None:
    world = a_world((10, 30, 60))
    world.settle(seconds=60)
    asks(world, "2")
    frozen = a_spec("2", mode=Mode.OBSERVE)
    world.spec = replace(world.spec, analysis=frozen.analysis, analysis_text=frozen.analysis_text)
    world.traits[world.spec.revision] = Traits(regressed=True)
    world.settle(seconds=900)
    assert [weight for _, _, weight in world.raised] == [10, 30, 60, 100]
    assert world.intent.stable == world.spec.revision
    decisions = [each["action"] for each in world.status.mapping["decisions"]]
    assert decisions.count("WouldRollBack") == 1
    comes_to_rest(world)


def test_a_version_that_never_gets_ready_never_sees_a_request() -> None:
    world = a_world((10, 30, 60))
    world.settle(seconds=60)
    asks(world, "2")
    world.traits[world.spec.revision] = Traits(ready=False)
    world.settle(seconds=900)
    assert world.raised == []
    assert world.intent.aborted is not None
    assert world.intent.aborted.reason is Reason.NOT_READY_IN_TIME
    comes_to_rest(world)


def test_without_metrics_nothing_moves_either_way() -> None:
    world = a_world((10, 30, 60))
    world.settle(seconds=60)
    asks(world, "2")
    world.settle(seconds=20)
    assert world.intent.weight == 10
    world.metrics_answer = False
    world.settle(seconds=3000)
    assert world.intent.weight == 10
    assert world.intent.aborted is None
    world.metrics_answer = True
    world.settle(seconds=900)
    comes_to_rest(world)
    assert world.intent.stable == world.spec.revision


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 100), good=st.booleans())
def test_killed_at_any_write_the_rollout_ends_as_it_would_have(at: int, good: bool) -> None:
    world = a_world((10, 50))
    world.settle(seconds=60)
    asks(world, "2")
    world.traits[world.spec.revision] = Traits(regressed=not good)
    world.kill_at = at
    world.settle(seconds=1200)
    world.check()
    comes_to_rest(world)
    assert (world.intent.stable == world.spec.revision) is good
    assert [weight for _, _, weight in world.raised] == ([10, 50, 100] if good else [10])


@settings(max_examples=60, deadline=None)
@given(lost=st.lists(st.tuples(st.floats(1, 120), st.booleans()), min_size=1, max_size=4), good=st.booleans())
def test_without_its_evidence_the_rollout_ends_as_it_would_have(lost: list[tuple[float, bool]], good: bool) -> None:
    world = a_world((10, 50))
    world.settle(seconds=60)
    asks(world, "2")
    world.traits[world.spec.revision] = Traits(regressed=not good)
    for wait, samples in lost:
        world.settle(seconds=wait)
        happens(world, ("lose evidence", samples), {})
    world.settle(seconds=1200)
    world.check()
    comes_to_rest(world)
    assert (world.intent.stable == world.spec.revision) is good
    assert [weight for _, _, weight in world.raised] == ([10, 50, 100] if good else [10])


def test_lost_evidence_is_whole_again_where_the_samples_are_there_and_goes_on_where_they_are_not() -> None:
    for samples, restarted in ((False, False), (True, True)):
        world = a_world((10, 50))
        world.settle(seconds=60)
        asks(world, "2")
        while world.intent.weight < 50:
            world.settle(seconds=1)
        world.settle(seconds=8)
        before = world.memory[0]
        happens(world, ("lose evidence", samples), {})
        world.settle(seconds=1)
        after = world.memory[0]
        assert (after.restarted_at is not None) is restarted
        assert after.replay is None
        assert after.entered == before.entered
        if not restarted:
            assert before.block_seq > before.polls, "a step lies behind"
            assert after.block_seq - before.block_seq == after.polls - before.polls
            assert after.requests.n_canary == 50 * after.block_seq
        world.settle(seconds=900)
        comes_to_rest(world)
        assert [weight for _, _, weight in world.raised] == [10, 50, 100]


@settings(max_examples=60, deadline=None)
@given(wait=st.floats(0, 200), breaks=st.sampled_from(["metrics", "router", "candidate"]))
def test_the_hand_brake_works_when_something_else_does_not(wait: float, breaks: str) -> None:
    world = a_world((10, 50))
    world.settle(seconds=60)
    asks(world, "2")
    world.settle(seconds=wait)
    if breaks == "metrics":
        world.metrics_answer = False
    elif breaks == "router":
        world.router_answers = False
    else:
        world.traits[world.spec.revision] = Traits(ready=False)
    candidate = world.intent.candidate
    world.command = f"abort:{candidate or world.spec.revision}"
    world.version += 1
    for _ in range(6):
        world.walk()
    if candidate is not None:
        assert world.route == {world.intent.stable: 100}
        assert candidate != world.intent.stable


@settings(max_examples=40, deadline=None)
@given(lag=st.integers(1, 12), good=st.booleans(), data=st.data())
def test_a_second_worker_on_old_views_repeats_and_skips_nothing(lag: int, good: bool, data: st.DataObject) -> None:
    world = a_world((10, 50))
    world.settle(seconds=60)
    asks(world, "2")
    world.traits[world.spec.revision] = Traits(regressed=not good)
    old = [world.observe(1)]
    while world.now < START + timedelta(seconds=1200) and len(old) < 400:
        decided = world.walk(0)
        old.append(world.observe(1))
        world.walk(1, old[max(len(old) - 1 - lag, 0)])
        world.check()
        wake = 1.0 if decided.wake_after is None else decided.wake_after.total_seconds()
        world.pass_time(min(max(wake, 0.05), data.draw(st.sampled_from([0.1, 1.0, 5.0]))))
    world.settle()
    comes_to_rest(world)
    assert [weight for _, _, weight in world.raised] == ([10, 50, 100] if good else [10])


def test_a_service_that_burns_begins_no_rollout_until_it_is_over() -> None:
    world = a_world((10, 50), slo=True)
    world.settle(seconds=60)
    asks(world, "2")
    world.burns = True
    world.settle(seconds=3000)
    assert world.raised == [] and world.intent.candidate == world.spec.revision
    assert world.service_looks <= 3000 / 60 + 2, "about once a minute"
    world.burns = False
    world.settle(seconds=1200)
    assert [weight for _, _, weight in world.raised] == [10, 50, 100]
    comes_to_rest(world)


def test_a_service_that_burns_lets_no_step_end_and_none_of_the_rollback_wait() -> None:
    world = a_world((10, 50), slo=True)
    world.settle(seconds=60)
    looks = world.service_looks
    asks(world, "2")
    world.settle(seconds=20)
    assert world.intent.weight == 10 and world.service_looks > looks
    world.burns = True
    world.settle(seconds=3000)
    assert world.intent.weight == 10
    world.traits[world.spec.revision] = Traits(regressed=True)
    world.settle(seconds=60)
    assert world.intent.aborted is not None and world.intent.aborted.reason is Reason.REGRESSED
    comes_to_rest(world)
    looks = world.service_looks
    world.settle(seconds=600)
    assert world.service_looks == looks, "nothing is asked at rest"


def test_a_step_that_waited_for_the_service_goes_on_after_it() -> None:
    world = a_world((10, 50), slo=True)
    world.settle(seconds=60)
    asks(world, "2")
    world.settle(seconds=20)
    world.burns = True
    world.settle(seconds=1200)
    assert world.intent.weight == 10
    world.burns = False
    world.settle(seconds=1200)
    assert [weight for _, _, weight in world.raised] == [10, 50, 100]
    comes_to_rest(world)
