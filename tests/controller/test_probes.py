import asyncio
from collections.abc import Mapping
from datetime import timedelta

from prometheus_client import CollectorRegistry

from modelrollout.controller.probes import LoopLag, Vitals, unhealthy, unready
from modelrollout.telemetry import Telemetry


def vitals(lag: float = 0.0, ages: Mapping[str, float] | None = None, missing: tuple[str, ...] = ()) -> Vitals:
    spans = {kind: timedelta(seconds=age) for kind, age in (ages or {}).items()}
    return Vitals(loop_lag=lambda: timedelta(seconds=lag), watch_ages=lambda: spans, missing=lambda: missing)


def test_a_process_that_hears_its_watches_is_well() -> None:
    assert unhealthy(vitals(0.1, {"pods": 60.0})) == ()


def test_a_watch_that_was_not_heard_for_long_is_told() -> None:
    assert unhealthy(vitals(ages={"pods": 211.0, "services": 1.0})) == ("the watch on pods was last heard 211 s ago",)


def test_a_late_event_loop_is_told() -> None:
    assert unhealthy(vitals(lag=5.5)) == ("the event loop is 5.5 s late",)


def test_what_is_not_listed_is_not_ready() -> None:
    assert unready(vitals()) == ()
    (told,) = unready(vitals(missing=("modeldeployments",)))
    assert "modeldeployments are not listed yet" in told
    assert "CRD" in told


async def test_the_lag_is_how_late_a_sleeper_was_woken() -> None:
    now = [0.0]
    telemetry = Telemetry(CollectorRegistry())
    lag = LoopLag(monotonic=lambda: now[0], telemetry=telemetry)
    naps = iter([1.0, 3.5])

    async def sleep(_: float) -> None:
        try:
            now[0] += next(naps)
        except StopIteration:
            raise asyncio.CancelledError from None

    await asyncio.gather(lag.run(sleep), return_exceptions=True)
    assert lag.last == timedelta(seconds=2.5)
    assert telemetry.registry.get_sample_value("modelrollout_event_loop_lag_seconds") == 2.5
