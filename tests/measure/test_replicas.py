"""An HA pair that nobody merged: each request is counted once."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from modelrollout.decide.blocks import read_block
from modelrollout.domain.metrics import LATENCY
from modelrollout.domain.polls import REQUESTS, TARGETS, FaultKind, Poll, ProviderFault, Sample, Series
from modelrollout.measure.replicas import Answers, one_replica
from tests.measure.arms import GATEWAY

LABEL = "prometheus_replica"


def a_series(replica: str, times: list[float], *, revision: str = "new", target: str = "gw", **labels: str) -> Series:
    """A counter that rises by one a second."""
    told = {**labels, LABEL: replica} if replica else labels
    samples = tuple(Sample(t, t) for t in times)
    return Series(revision=revision, target=target, labels=tuple(sorted(told.items())), samples=samples)


def every(seconds: float, phase: float = 0.0, end: float = 120.0) -> list[float]:
    return [phase + i * seconds for i in range(int((end - phase) // seconds) + 1)]


def twins(a: list[float], b: list[float]) -> Answers:
    return {
        REQUESTS: tuple(
            a_series(replica, times, revision=revision, code="200")
            for revision in ("old", "new")
            for replica, times in (("a", a), ("b", b))
        ),
        TARGETS: (a_series("a", a, revision=""), a_series("b", b, revision="")),
    }


def read(answers: Answers, name: str = REQUESTS) -> list[str]:
    answer = answers[name]
    assert not isinstance(answer, ProviderFault)
    return [dict(series.labels).get(LABEL, "") for series in answer]


def requests_of_the_candidate(answers: Answers) -> float:
    block = read_block(Poll(at=120.0, answers=answers), GATEWAY, start=60.0, scrape_interval=15.0, warmup=0.0)
    return block.errors(GATEWAY).n_canary


def test_counts_are_not_doubled() -> None:
    both = twins(every(15), every(15, phase=7))
    assert requests_of_the_candidate(both) == 120.0, "what would be counted without the rule"
    assert requests_of_the_candidate(one_replica(both, LABEL)) == 60.0


def test_all_series_of_a_target_are_of_one_twin() -> None:
    one = one_replica(twins(every(15), every(15, phase=7)), LABEL)
    assert set(read(one)) | set(read(one, TARGETS)) == {"a"}


def test_a_different_phase_alone_does_not_change_the_twin() -> None:
    for phase in (0.1, 7.0, 14.9):
        assert set(read(one_replica(twins(every(15, phase=phase), every(15)), LABEL))) == {"a"}


def test_the_twin_that_missed_scrapes_is_left() -> None:
    gap = [t for t in every(15) if not 30 <= t <= 75]
    assert set(read(one_replica(twins(gap, every(15)), LABEL))) == {"b"}
    assert set(read(one_replica(twins([], every(15)), LABEL))) == {"b"}


def test_each_target_has_its_own_twin() -> None:
    """Sharded pairs: the replicas of one shard never scraped the other's targets."""
    shards = {
        REQUESTS: (
            a_series("shard-0-a", every(15), target="pod-1"),
            a_series("shard-0-b", every(15), target="pod-1"),
            a_series("shard-1-a", every(15), target="pod-2"),
            a_series("shard-1-b", every(15), target="pod-2"),
        )
    }
    assert read(one_replica(shards, LABEL)) == ["shard-0-a", "shard-1-a"]


def test_series_without_the_label_and_faults_stay_as_they_are() -> None:
    fault = ProviderFault(kind=FaultKind.TIMEOUT, message="late")
    single: Answers = {REQUESTS: (a_series("", every(15)),), LATENCY: fault}
    assert one_replica(single, LABEL) == single
    mixed: Answers = {**twins(every(15), every(15)), LATENCY: (a_series("", every(15)),)}
    assert one_replica(mixed, LABEL)[LATENCY] == mixed[LATENCY]


@given(
    st.lists(st.sampled_from(["a", "b", "c"]), unique=True, min_size=1),
    st.integers(0, 14),
    st.integers(1, 4),
)
def test_what_is_kept_is_one_twin_whole(replicas: list[str], phase: int, targets: int) -> None:
    given_series = tuple(
        a_series(replica, every(15, phase=(phase * number) % 15), target=f"pod-{target}")
        for target in range(targets)
        for number, replica in enumerate(replicas)
    )
    kept = one_replica({REQUESTS: given_series}, LABEL)[REQUESTS]
    assert not isinstance(kept, ProviderFault)
    assert sorted(series.target for series in kept) == [f"pod-{target}" for target in range(targets)]
    assert all(replace(series) in given_series for series in kept)
