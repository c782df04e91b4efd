from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modelrollout.controller.work_queue import Priority, WorkQueue
from modelrollout.domain.model_deployment import Key

KEYS = [Key(namespace="shop", name=name) for name in "abcd"]
A, B, C, D = KEYS


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def a_queue(clock: Clock | None = None, jitter: float = 1.0) -> WorkQueue:
    return WorkQueue(clock=clock or Clock(), jitter=lambda: jitter)


def test_many_rings_are_one_walk() -> None:
    queue = a_queue()
    for _ in range(3):
        queue.ring(A)
    assert queue.take() == A
    queue.done(A)
    assert queue.take() is None


def test_a_key_that_is_walked_is_not_given_to_a_second_worker() -> None:
    queue = a_queue()
    queue.ring(A)
    assert queue.take() == A
    queue.ring(A)
    assert queue.take() is None


def test_a_ring_during_the_walk_makes_the_key_wait_again() -> None:
    queue = a_queue()
    queue.ring(A)
    assert queue.take() == A
    queue.ring(A)
    queue.done(A)
    assert queue.take() == A


def test_what_is_active_goes_before_what_is_idle() -> None:
    queue = a_queue()
    queue.ring(A, Priority.IDLE)
    queue.ring(B, Priority.IDLE)
    queue.ring(C)
    queue.ring(B)
    assert [queue.take(), queue.take(), queue.take()] == [C, B, A]


def test_a_delayed_key_is_given_when_it_is_due() -> None:
    clock = Clock()
    queue = a_queue(clock)
    queue.ring_after(A, 5.0)
    clock.now = 4.9
    assert queue.take() is None
    clock.now = 5.0
    assert queue.take() == A


def test_the_earlier_of_two_wishes_wins() -> None:
    clock = Clock()
    queue = a_queue(clock)
    queue.ring_after(A, 5.0)
    queue.ring_after(A, 2.0)
    queue.ring_after(A, 9.0)
    clock.now = 2.0
    assert queue.take() == A
    queue.done(A)
    clock.now = 100.0
    assert queue.take() is None, "the walk saw everything: earlier wishes are void"


def test_pauses_double_and_are_forgiven() -> None:
    queue = a_queue()
    assert [queue.pause(A) for _ in range(4)] == [0.25, 0.5, 1.0, 2.0]
    assert queue.pause(B) == 0.25
    queue.forgive(A)
    assert queue.pause(A) == 0.25


def test_pauses_end_at_five_minutes() -> None:
    queue = a_queue()
    assert max(queue.pause(A) for _ in range(2000)) == 300.0


def test_half_of_a_pause_is_jitter() -> None:
    assert a_queue(jitter=0.0).pause(A) == 0.125


def test_how_long_a_key_waited_is_told() -> None:
    clock, waits = Clock(), list[float]()
    queue = WorkQueue(clock=clock, jitter=lambda: 0.0, on_taken=waits.append)
    queue.ring(A, Priority.IDLE)
    clock.now = 3.0
    queue.ring(A)
    clock.now = 4.0
    queue.take()
    assert waits == [4.0]


async def test_next_waits_for_a_ring() -> None:
    import asyncio

    queue = WorkQueue(clock=asyncio.get_running_loop().time, jitter=lambda: 0.0)
    waiting = asyncio.create_task(queue.next())
    await asyncio.sleep(0)
    queue.ring(A)
    assert await waiting == A


async def test_next_wakes_for_what_becomes_due_and_for_an_earlier_wish() -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    queue = WorkQueue(clock=loop.time, jitter=lambda: 0.0)
    queue.ring_after(A, 60.0)
    waiting = asyncio.create_task(queue.next())
    await asyncio.sleep(0)
    queue.ring_after(B, 0.01)
    assert await asyncio.wait_for(waiting, 2) == B


class QueueMachine(RuleBasedStateMachine):
    """Against a model that knows only: which keys were rung and not yet walked since, and who walks what."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = a_queue(self.clock)
        self.owed: set[Key] = set()
        self.due: dict[Key, float] = {}
        self.walking: set[Key] = set()

    def _let_due_ring(self) -> None:
        for key in [key for key, at in self.due.items() if at <= self.clock.now]:
            del self.due[key]
            self.owed.add(key)

    @rule(key=st.sampled_from(KEYS), priority=st.sampled_from(Priority))
    def ring(self, key: Key, priority: Priority) -> None:
        self.queue.ring(key, priority)
        self.owed.add(key)

    @rule(key=st.sampled_from(KEYS), delay=st.floats(0, 10))
    def ring_after(self, key: Key, delay: float) -> None:
        self.queue.ring_after(key, delay)
        if delay <= 0:
            self.owed.add(key)
        else:
            self.due[key] = min(self.due.get(key, float("inf")), self.clock.now + delay)

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def take(self) -> None:
        self._let_due_ring()
        key = self.queue.take()
        ready = self.owed - self.walking
        if key is None:
            assert not ready, "a ring was lost"
            return
        assert key in ready, "a key nobody rang, or one that is walked already"
        self.owed.discard(key)
        self.due.pop(key, None)
        self.walking.add(key)

    @precondition(lambda self: self.walking)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.walking, key=lambda each: each.name)))
        self.queue.done(key)
        self.walking.discard(key)

    @invariant()
    def depth_is_what_is_owed_at_most(self) -> None:
        assert self.queue.walking == len(self.walking)
        assert self.queue.depth <= len(KEYS)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None)
