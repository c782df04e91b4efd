import asyncio
from dataclasses import replace

from modelrollout.controller.evidence_store import AFTER_A_FAULT, BackgroundMeasurements, EvidenceStore
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.model_deployment import Key
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Measure
from modelrollout.errors import ClusterUnavailable
from tests.builders import KEY, a_rollout

EVIDENCE = Evidence(stable="a", candidate="b", attempt="1", started_at=0.0, steps=1, planned_parts=1)
MEASURE = Measure(evidence=EVIDENCE, polls=(1.0,))
OBSERVED = a_rollout()


class Prober:
    def __init__(self, error: Exception | None = None) -> None:
        self.asked, self.error = 0, error
        self.answer = asyncio.Event()

    async def measure(self, action: Measure, observed: Observed) -> Evidence:
        self.asked += 1
        await self.answer.wait()
        if self.error is not None:
            raise self.error
        return replace(action.evidence, polls=self.asked)


class Bench:
    def __init__(self, error: Exception | None = None) -> None:
        self.prober, self.store = Prober(error), EvidenceStore()
        self.rings: list[Key] = []
        self.delayed: list[float] = []
        self.measured: list[bool] = []
        self.measurements = BackgroundMeasurements(
            self.prober,
            self.store,
            ring=self.rings.append,
            ring_after=lambda _, delay: self.delayed.append(delay),
            on_measured=lambda _, failed: self.measured.append(failed),
            monotonic=lambda: 0.0,
        )

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_an_answer_is_kept_and_rings() -> None:
    bench = Bench()
    bench.measurements.start(MEASURE, OBSERVED)
    await bench.settle()
    assert bench.store.of(OBSERVED.uid) is None
    bench.prober.answer.set()
    await bench.settle()
    kept = bench.store.of(OBSERVED.uid)
    assert kept is not None
    assert kept.polls == 1
    assert bench.rings == [KEY]
    assert bench.measured == [False]


async def test_one_object_has_one_measurement_under_way() -> None:
    bench = Bench()
    for _ in range(3):
        bench.measurements.start(MEASURE, OBSERVED)
        await bench.settle()
    bench.measurements.start(MEASURE, replace(OBSERVED, uid="another"))
    await bench.settle()
    assert bench.prober.asked == 2
    bench.prober.answer.set()
    await bench.settle()
    bench.measurements.start(MEASURE, OBSERVED)
    await bench.settle()
    assert bench.prober.asked == 3


async def test_a_failure_is_tried_again_later_and_keeps_nothing() -> None:
    for error in (ClusterUnavailable("down"), ZeroDivisionError()):
        bench = Bench(error)
        bench.prober.answer.set()
        bench.measurements.start(MEASURE, OBSERVED)
        await bench.settle()
        assert bench.store.of(OBSERVED.uid) is None
        assert bench.rings == []
        assert bench.delayed == [AFTER_A_FAULT.total_seconds()]
        assert bench.measured == [True]


async def test_a_stop_waits_for_nobody() -> None:
    bench = Bench()
    bench.measurements.start(MEASURE, OBSERVED)
    await bench.settle()
    await bench.measurements.stop()
    assert bench.rings == []


def test_evidence_belongs_to_one_life_of_an_object() -> None:
    store = EvidenceStore()
    store.put(KEY, "first", EVIDENCE)
    store.put(KEY, "second", EVIDENCE)
    assert store.of("first") is None
    assert store.of("second") == EVIDENCE
    store.forget(KEY)
    assert store.of("second") is None
    store.forget(KEY)
