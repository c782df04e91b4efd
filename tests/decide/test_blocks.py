from math import inf

from modelrollout.decide.blocks import OpenBlock, closing, read_block, ready_scrapes_without_series
from modelrollout.domain.metrics import LATENCY
from modelrollout.domain.polls import REQUESTS, TARGETS, Arm, ArmPod, Arms, Poll, Sample, Series
from modelrollout.domain.tally import Tally

GATEWAY = Arms(stable=Arm(revision="old", service="old@gw"), candidate=Arm(revision="new", service="new@gw"))


def a_series(
    revision: str, *rows: tuple[float, float], target: str = "gw", bad: bool = False, le: float | None = None
) -> Series:
    samples = tuple(Sample(t, v) for t, v in rows)
    return Series(revision=revision, target=target, labels=(), samples=samples, bad=bad, le=le)


def a_block(
    *series: Series, start: float = 100, end: float = 115, arms: Arms = GATEWAY, targets: tuple[Series, ...] = ()
) -> OpenBlock:
    latency = tuple(each for each in series if each.le is not None)
    requests = tuple(each for each in series if each.le is None)
    poll = Poll(at=end, answers={REQUESTS: requests, LATENCY: latency, TARGETS: targets})
    return read_block(poll, arms, start=start, scrape_interval=5, warmup=60)


def pods(**created: float) -> Arms:
    made = {
        name: ArmPod(name=name, created_at=at, ready_at=at + 1, gone=name.endswith("gone"))
        for name, at in created.items()
    }
    stable = tuple(pod for name, pod in made.items() if name.startswith("s"))
    candidate = tuple(pod for name, pod in made.items() if name.startswith("c"))
    return Arms(stable=Arm(revision="old", pods=stable), candidate=Arm(revision="new", pods=candidate))


def test_a_rising_total_without_a_bad_series_is_no_error() -> None:
    block = a_block(a_series("old", (98, 10), (113, 30)), a_series("new", (98, 0), (113, 6)))
    assert block.errors(GATEWAY) == Tally(x_canary=0, n_canary=6, x_stable=0, n_stable=20)


def test_the_first_error_of_a_running_target_counts_from_zero() -> None:
    block = a_block(a_series("old", (98, 10), (113, 30)), a_series("new", (108, 2), (113, 3), bad=True))
    assert block.errors(GATEWAY).x_canary == 3


def test_a_series_seen_for_the_first_time_with_its_target_is_only_a_base() -> None:
    block = a_block(a_series("old", (108, 4000), (113, 4006)))
    assert block.errors(GATEWAY).n_stable == 6


def test_a_target_known_only_by_its_witness_still_tells_a_birth() -> None:
    witness = (a_series("", (98, 1), (103, 1), (108, 1), (113, 1)),)
    assert a_block(a_series("new", (108, 4), (113, 6)), targets=witness).errors(GATEWAY).n_canary == 6


def test_a_failed_scrape_is_no_witness_of_a_birth() -> None:
    witness = (a_series("", (98, 0), (113, 1)),)
    assert a_block(a_series("new", (108, 4), (113, 6)), targets=witness).errors(GATEWAY).n_canary == 2


def test_a_pod_born_in_the_block_counts_from_zero() -> None:
    arms = pods(s1=0, c1=105)
    block = a_block(a_series("new", (108, 4), (113, 6), target="c1"), arms=arms)
    assert block.errors(arms).n_canary == 6


def test_a_block_closes_as_soon_as_both_arms_have_five_requests() -> None:
    few = a_block(a_series("old", (98, 0), (113, 30)), a_series("new", (98, 0), (113, 4)))
    enough = a_block(a_series("old", (98, 0), (113, 30)), a_series("new", (98, 0), (113, 5)))
    assert not closing(few, GATEWAY, ()).closes
    assert closing(enough, GATEWAY, ()).closes


def test_a_block_closes_at_sixty_seconds_whatever_was_counted() -> None:
    assert closing(a_block(a_series("old", (98, 0), (158, 3)), end=160), GATEWAY, ()).closes


def test_a_late_pod_is_waited_for_and_then_left_out_with_all_it_counted() -> None:
    arms = pods(s1=0, s2=0, c1=0)
    carried = (("old", "s1", 50.0), ("old", "s2", 50.0), ("new", "c1", 10.0))

    def seen(end: float) -> OpenBlock:
        return a_block(
            a_series("old", (98, 0), (end - 2, 40), target="s1"),
            a_series("old", (98, 0), (103, 7), target="s2"),
            a_series("new", (98, 0), (end - 2, 9), target="c1"),
            end=end,
            arms=arms,
        )

    assert not closing(seen(120), arms, carried).closes
    late = closing(seen(160), arms, carried)
    assert late.closes
    assert seen(160).errors(arms, late.targets) == Tally(n_canary=9, n_stable=40)


def test_a_pod_that_is_gone_is_not_waited_for_and_keeps_what_it_counted() -> None:
    arms = pods(s1=0, sgone=0, c1=0)
    carried = (("old", "s1", 50.0), ("old", "sgone", 50.0), ("new", "c1", 10.0))
    block = a_block(
        a_series("old", (98, 0), (113, 40), target="s1"),
        a_series("old", (98, 0), (103, 7), target="sgone"),
        a_series("new", (98, 0), (113, 9), target="c1"),
        arms=arms,
    )
    ends = closing(block, arms, carried)
    assert ends.closes
    assert block.errors(arms, ends.targets).n_stable == 47


def test_a_pod_that_is_no_longer_listed_is_not_waited_for() -> None:
    arms = pods(s1=0, c1=0)
    carried = (("old", "s1", 50.0), ("old", "s0", 50.0), ("new", "c1", 10.0))
    block = a_block(
        a_series("old", (98, 0), (113, 40), target="s1"), a_series("new", (98, 0), (113, 9), target="c1"), arms=arms
    )
    assert closing(block, arms, carried).closes


def test_latency_counts_only_from_the_warmup_after_ready() -> None:
    arms = pods(s1=0, c1=60)
    block = a_block(
        a_series("old", (98, 0), (113, 9), target="s1", le=inf),
        a_series("new", (98, 0), (113, 9), target="c1", le=inf),
        arms=arms,
    )
    assert block.buckets(LATENCY, arms.stable, None) == {inf: 9}
    assert block.buckets(LATENCY, arms.candidate, None) == {}


def test_ready_pods_that_export_nothing_are_told_from_pods_without_requests() -> None:
    arms = pods(s1=0, c1=0)
    witness = tuple(a_series("", (103, 1), (108, 1), (113, 1), target=name) for name in ("s1", "c1"))
    assert ready_scrapes_without_series(a_block(arms=arms, targets=witness), arms) == 3
    idle = a_block(a_series("old", (98, 5), (113, 5), target="s1"), arms=arms, targets=witness)
    assert ready_scrapes_without_series(idle, arms) == 0
