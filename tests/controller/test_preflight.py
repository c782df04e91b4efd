"""Before the first user: whole walks against a real HTTP server, what is told and that it goes on by itself."""

import re

import pytest

from tests.controller.rollout_world import Rollout, a_rollout
from tests.measure.http_server import Asked

WEIGHTS = "AnalysisHealthy"


async def second_version(rollout: Rollout, **analysis: object) -> None:
    """Version 1 serves for a while; then version 2 asks to be rolled out."""
    rollout.apply("1")
    await rollout.until("Stable")
    await rollout.pass_time(120.0)
    rollout.apply("2", **analysis)


async def held_back(rollout: Rollout) -> tuple[str, str]:
    """Long after the candidate's pods are ready, no weight was written; the condition's reason and message."""
    await rollout.pass_time(60.0)
    assert rollout.weight == 0 and rollout.status["rollout"]["target"] == 20
    status, reason, message = rollout.condition(WEIGHTS)
    assert status == "Unknown"
    return reason, message


async def goes_on(rollout: Rollout) -> None:
    await rollout.pass_time(30.0)
    assert rollout.weight == 20


async def test_with_metrics_that_can_be_read_the_first_weight_is_written_at_once() -> None:
    with a_rollout() as rollout:
        await second_version(rollout)
        await rollout.pass_time(5.0)
        assert rollout.weight == 20


async def test_a_prometheus_that_is_away_is_told_before_the_first_user_and_waited_for() -> None:
    with a_rollout() as rollout:
        rollout.apply("1")
        await rollout.until("Stable")
        rollout.script.answer, rollout.script.status = None, 503
        rollout.apply("2")
        reason, message = await held_back(rollout)
        assert reason == "ProviderError" and "No user is sent to the candidate before it answers." in message
        assert rollout.condition("Stalled")[0] == "False"
        rollout.script.answer, rollout.script.status = rollout.metrics.answer, 200
        await goes_on(rollout)


async def test_a_query_that_is_refused_is_told_and_stalls_until_it_is_not() -> None:
    with a_rollout() as rollout:
        rollout.apply("1")
        await rollout.until("Stable")
        rollout.script.answer, rollout.script.status = None, 422
        rollout.apply("2")
        reason, _ = await held_back(rollout)
        assert reason == "NoMetrics" and rollout.condition("Stalled")[:2] == ("True", "NoMetrics")
        rollout.script.answer, rollout.script.status = rollout.metrics.answer, 200
        await goes_on(rollout)
        assert rollout.condition("Stalled")[0] == "False"


async def test_a_gateway_that_is_not_scraped_is_told() -> None:
    with a_rollout() as rollout:
        await second_version(rollout)
        rollout.metrics.until = 0.0
        reason, message = await held_back(rollout)
        assert reason == "NoMetrics" and "traefik_config_last_reload_success" in message
        rollout.metrics.until = None
        await goes_on(rollout)


async def test_a_gateway_that_is_scraped_twice_is_told_with_its_jobs() -> None:
    with a_rollout() as rollout:
        rollout.apply("1")
        await rollout.until("Stable")
        await rollout.pass_time(60.0)
        once = rollout.metrics.answer

        def twice(asked: Asked) -> bytes:
            body = once(asked).decode()
            rows = re.findall(r'\{"metric": .*?\]\]\}', body)
            doubled = [row.replace('"job": "traefik"', '"job": "podmonitor"') for row in rows]
            return body.replace('"result": [', f'"result": [{", ".join(doubled)}, ').encode() if rows else once(asked)

        rollout.script.answer = twice
        rollout.apply("2")
        reason, message = await held_back(rollout)
        assert reason == "NoMetrics" and "is scraped twice by the jobs podmonitor and traefik" in message
        rollout.script.answer = once
        await goes_on(rollout)


async def test_a_metric_whose_series_nothing_exports_is_told_by_its_name() -> None:
    with a_rollout() as rollout:
        quality = {"name": "quality", "kind": "ratio", "total": {"series": "feedback"}, "bad": {"series": "thumbs"}}
        metrics = [{"name": "errors"}, quality]
        await second_version(rollout, metrics=metrics)
        reason, message = await held_back(rollout)
        assert reason == "NoMetrics" and "nothing of stable exports feedback, by which quality is compared" in message


async def test_too_little_traffic_is_told_and_keeps_nothing() -> None:
    with a_rollout() as rollout:
        rollout.gateway.rps = 0.1
        await second_version(rollout)
        told = set()
        while rollout.weight == 0:
            await rollout.pass_time(0.5)
            told.add(rollout.condition(WEIGHTS)[2])
        assert any("minRequests is 100: the step will hold" in message for message in told) or rollout.weight == 20


async def test_a_look_that_finds_the_same_again_writes_no_status() -> None:
    with a_rollout() as rollout:
        await second_version(rollout)
        rollout.metrics.until = 0.0
        await held_back(rollout)
        writes = rollout.status_writes()
        await rollout.pass_time(120.0)
        assert rollout.status_writes() == writes


@pytest.mark.parametrize("command", ["promote", "abort"])
async def test_a_person_has_the_last_word(command: str) -> None:
    with a_rollout() as rollout:
        await second_version(rollout)
        rollout.metrics.until = 0.0
        await held_back(rollout)
        candidate = rollout.status["rollout"]["candidate"]
        rollout.command(f"{command}:{candidate}")
        await rollout.pass_time(30.0)
        assert (rollout.status["rollout"]["stable"] == candidate) is (command == "promote")
        assert rollout.status["lastCommand"]["accepted"] is True


async def test_a_service_that_burns_its_budget_is_waited_for_and_then_the_rollout_begins() -> None:
    """Requests of revisions before count, too, so the service was bad before this rollout began."""
    with a_rollout() as rollout:
        rollout.apply("1")
        await rollout.until("Stable")
        stable = rollout.status["rollout"]["stable"]
        rollout.gateway.bad[stable] = 0.05
        await rollout.pass_time(400.0)
        assert rollout.metrics.asked_for_service == [], "at rest nothing is asked"
        rollout.apply("2", guardrails={"slo": 0.999})
        reason, message = await held_back(rollout)
        assert reason == "ServiceBurning" and "times too fast over 1 h and 5 min" in message
        assert rollout.status["phase"] == "Progressing" and rollout.condition("Stalled")[0] == "False"
        asked = list(rollout.metrics.asked_for_service)
        assert len(asked) <= 3, "once a minute"
        rollout.gateway.bad.update({stable: 0.0, rollout.status["rollout"]["candidate"]: 0.0})
        await rollout.pass_time(1000.0)
        assert rollout.weight == 0, "half an hour remembers it"
        await rollout.pass_time(900.0)
        assert rollout.decided()[-1] == "Promote"


async def test_a_service_that_begins_to_burn_holds_the_step_and_it_goes_on_by_itself() -> None:
    with a_rollout() as rollout:
        await second_version(rollout, guardrails={"slo": 0.95})
        await rollout.pass_time(5.0)
        assert rollout.weight == 20
        for revision in (rollout.status["rollout"]["stable"], rollout.status["rollout"]["candidate"]):
            rollout.gateway.bad[revision] = 0.0
        rollout.metrics.burns = 0.9
        await rollout.pass_time(200.0)
        assert rollout.weight == 20 and rollout.status["phase"] == "Holding"
        assert rollout.condition(WEIGHTS)[1] == "ServiceBurning"
        assert "all revisions together" in rollout.status["message"]
        assert "Advance" not in rollout.decided()
        rollout.metrics.burns = None
        await rollout.pass_time(300.0)
        assert rollout.decided()[-3:] == ["Advance", "Advance", "Promote"]
