from datetime import timedelta

from prometheus_client import CollectorRegistry, generate_latest

from modelrollout.domain.fragment import EMPTY, Fragment
from modelrollout.domain.judgement import Verdict
from modelrollout.domain.model_deployment import Key
from modelrollout.telemetry import Telemetry
from tests.controller.rollout_world import Rollout, a_rollout, at_first_step

KEY = Key(namespace="shop", name="sentiment")
NAMES = {"namespace": "shop", "name": "sentiment"}


def a_status(phase: str = "Progressing", weight: int = 25) -> Fragment:
    conditions = [{"type": "Ready", "status": "Unknown", "reason": "X"}, {"type": "Available", "status": "True"}]
    return Fragment.of({"phase": phase, "rollout": {"weight": weight}, "conditions": conditions})


def value(telemetry: Telemetry, name: str, /, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def test_a_deployment_is_told_by_phase_weight_and_condition() -> None:
    telemetry = Telemetry(CollectorRegistry())
    telemetry.saw_status(KEY, a_status())
    assert value(telemetry, "modelrollout_phase", **NAMES, phase="Progressing") == 1
    assert value(telemetry, "modelrollout_phase", **NAMES, phase="Stable") == 0
    assert value(telemetry, "modelrollout_candidate_weight", **NAMES) == 25
    assert value(telemetry, "modelrollout_condition", **NAMES, type="Ready", status="Unknown") == 1
    telemetry.saw_status(KEY, a_status("Stable", 0))
    assert value(telemetry, "modelrollout_phase", **NAMES, phase="Progressing") == 0
    assert value(telemetry, "modelrollout_candidate_weight", **NAMES) == 0


def test_a_status_that_says_nothing_yet_is_not_told() -> None:
    telemetry = Telemetry(CollectorRegistry())
    telemetry.saw_status(KEY, EMPTY)
    telemetry.announced(KEY, "Regressed")
    assert b"sentiment" not in generate_latest(telemetry.registry)


def test_rollbacks_are_counted_by_reason_and_other_news_is_not() -> None:
    telemetry = Telemetry(CollectorRegistry())
    telemetry.saw_status(KEY, a_status())
    for reason in ("Regressed", "Regressed", "CrashLoop", "Promoted"):
        telemetry.announced(KEY, reason)
    assert value(telemetry, "modelrollout_rollbacks_total", **NAMES, reason="Regressed") == 2
    assert value(telemetry, "modelrollout_rollbacks_total", **NAMES, reason="CrashLoop") == 1
    assert value(telemetry, "modelrollout_rollbacks_total", **NAMES, reason="Promoted") is None


def test_the_series_of_what_is_gone_are_gone() -> None:
    telemetry = Telemetry(CollectorRegistry())
    telemetry.saw_status(KEY, a_status())
    telemetry.announced(KEY, "Regressed")
    telemetry.forget(KEY)
    assert b"sentiment" not in generate_latest(telemetry.registry)
    telemetry.forget(KEY)


def exported(rollout: Rollout, name: str, /, **labels: str) -> float | None:
    return value(rollout.ports.telemetry, f"modelrollout_{name}", **NAMES, **labels)


def told(rollout: Rollout) -> set[str]:
    """Names of the series about the analysis."""
    text = generate_latest(rollout.ports.telemetry.registry).decode()
    names = ("metric_verdict", "log_evidence", "compared_requests", "last_data")
    return {
        line.partition("{")[0]
        for line in text.splitlines()
        if line.startswith(tuple(f"modelrollout_{n}" for n in names))
    }


async def test_the_analysis_of_a_rollout_is_told_while_it_lasts() -> None:
    with a_rollout() as rollout:
        assert told(rollout) == set()
        await at_first_step(rollout)
        await rollout.pass_time(20.0)
        verdicts = {each: exported(rollout, "metric_verdict", metric="errors", verdict=each) for each in Verdict}
        assert sum(each or 0.0 for each in verdicts.values()) == 1
        limit, evidence = exported(rollout, "log_evidence_limit"), exported(rollout, "log_evidence")
        assert limit is not None and evidence is not None and evidence < limit
        assert (exported(rollout, "compared_requests") or 0) > 0
        assert 0 <= rollout.now - (exported(rollout, "last_data_timestamp_seconds") or 0) <= 15
        await rollout.until("Stable")
        assert told(rollout) == set()


async def test_a_prometheus_that_fails_is_a_verdict_of_each_metric() -> None:
    with a_rollout() as rollout:
        await at_first_step(rollout)
        rollout.script.status, rollout.script.answer = 500, None
        await rollout.pass_time(20.0)
        assert exported(rollout, "metric_verdict", metric="errors", verdict="ProviderError") == 1
        assert exported(rollout, "metric_verdict", metric="errors", verdict="Pass") == 0


async def test_decisions_are_counted_by_action_and_reason() -> None:
    with a_rollout() as rollout:
        await at_first_step(rollout)
        await rollout.until("Stable")
        counted = {
            action: exported(rollout, "decisions_total", action=action, reason=reason)
            for action, reason in (("Start", "RolloutStarted"), ("Advance", "Advanced"), ("Promote", "Promoted"))
        }
        assert counted == {action: rollout.decided().count(action) for action in counted}


def test_two_registries_share_nothing() -> None:
    first, second = Telemetry(CollectorRegistry()), Telemetry(CollectorRegistry())
    first.requested("GET", 200)
    assert value(second, "rest_client_requests_total", method="GET", code="200") is None
    first.requested("GET", 0)
    assert value(first, "rest_client_requests_total", method="GET", code="<error>") == 1


def test_watch_ages_are_asked_for_when_scraped() -> None:
    telemetry, ages = Telemetry(CollectorRegistry()), dict[str, timedelta]()
    telemetry.watch_ages(lambda: ages)
    ages["pods"] = timedelta(seconds=3)
    assert value(telemetry, "modelrollout_watch_age_seconds", kind="pods") == 3


def test_providers_are_told_by_outcome_time_and_breaker() -> None:
    telemetry, states = Telemetry(CollectorRegistry()), {"mimir": "closed"}
    telemetry.watch_breakers(lambda: states)
    for outcome in ("ok", "timeout", "timeout", "breaker", "busy"):
        telemetry.asked_provider("mimir", outcome, 0.2)
    assert value(telemetry, "modelrollout_prometheus_queries_total", provider="mimir", outcome="timeout") == 2
    assert value(telemetry, "modelrollout_prometheus_queries_total", provider="mimir", outcome="breaker") == 1
    seconds = value(telemetry, "modelrollout_prometheus_answer_seconds_count", provider="mimir")
    assert seconds == 3, "what was never sent took no time to answer"
    assert value(telemetry, "modelrollout_prometheus_breaker", provider="mimir", state="closed") == 1
    states["mimir"] = "open"
    assert value(telemetry, "modelrollout_prometheus_breaker", provider="mimir", state="closed") == 0
    assert value(telemetry, "modelrollout_prometheus_breaker", provider="mimir", state="open") == 1
