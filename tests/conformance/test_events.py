"""Events on a real API server: said once, counted, and never waited for."""

from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout.cluster.kinds import EVENT
from tests.conformance.bench import Bench, seen

NOW = datetime(2026, 11, 22, 3, 0, 0, tzinfo=UTC)


async def _events(bench: Bench) -> list[dict[str, Any]]:
    await bench.api.events_written()
    return list((await bench.outside("GET", EVENT, None))["items"])


async def test_the_same_words_within_ten_minutes_are_one_event_with_a_count(bench: Bench) -> None:
    observed = seen(await bench.model_deployment())
    for minutes in (0, 4, 9):
        bench.api._clock = lambda at=NOW + timedelta(minutes=minutes): at  # type: ignore[misc]
        await bench.api.event(observed, reason="Regressed", message="Errors rose.", warning=True)
        await bench.api.events_written()
    [event] = await _events(bench)
    assert event["count"] == 3
    assert event["firstTimestamp"] == "2026-11-22T03:00:00Z"
    assert event["lastTimestamp"] == "2026-11-22T03:09:00Z"
    assert event["type"] == "Warning"
    assert event["involvedObject"]["uid"] == observed.uid


async def test_other_words_or_a_later_time_are_another_event(bench: Bench) -> None:
    observed = seen(await bench.model_deployment())
    for at, message in ((NOW, "one"), (NOW, "two"), (NOW + timedelta(minutes=10), "one")):
        bench.api._clock = lambda at=at: at  # type: ignore[misc]
        await bench.api.event(observed, reason="Advanced", message=message, warning=False)
    assert sorted(event["message"] for event in await _events(bench)) == ["one", "one", "two"]


async def test_an_event_of_another_process_is_counted_too(bench: Bench) -> None:
    observed = seen(await bench.model_deployment())
    bench.api._clock = lambda: NOW
    await bench.api.event(observed, reason="Advanced", message="one", warning=False)
    await bench.api.event(observed, reason="Advanced", message="one", warning=False)
    [event] = await _events(bench)
    assert event["count"] == 2


async def test_an_event_does_not_make_the_walk_wait(bench: Bench) -> None:
    observed = seen(await bench.model_deployment())
    bench.requests.clear()
    await bench.api.event(observed, reason="Advanced", message="one", warning=False)
    assert bench.requests == []
    assert len(await _events(bench)) == 1


async def test_an_event_that_cannot_be_written_is_let_go(bench: Bench) -> None:
    observed = seen(await bench.model_deployment())
    host = bench.api._client.configuration.host
    bench.api._client.configuration.host = "https://127.0.0.1:9"
    await bench.api.event(observed, reason="Advanced", message="one", warning=False)
    await bench.api.events_written()
    bench.api._client.configuration.host = host
    assert await _events(bench) == []


async def test_a_message_beyond_what_the_server_takes_is_cut(bench: Bench) -> None:
    observed = seen(await bench.model_deployment())
    await bench.api.event(observed, reason="Advanced", message="x" * 5000, warning=False)
    [event] = await _events(bench)
    assert len(event["message"]) == 1024
