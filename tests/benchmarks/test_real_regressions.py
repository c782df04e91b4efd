"""Which endings of the regressions are as wanted, and what is told of them."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.arena import Ending, model_deployment
from benchmarks.load import Request
from benchmarks.real_regressions import Played, told, with_exposure
from benchmarks.regressions import CANARY, STABLE, WAVES, Case
from demo.status import Status
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.parse import parse

CASES = [case for wave in WAVES for case in wave]
BAD = Case(name="bad", what="fails", wanted=Ending.ROLLED_BACK, rate=10)
SLOW = dataclasses.replace(BAD, latency=0.05)


def parsed(case: Case, version: str) -> ModelDeployment:
    def manifest(version: str, error_rate: float, **spec: Any) -> dict[str, Any]:
        return model_deployment("registry.example/server:1", version, error_rate, name=case.name, **spec)

    here: Any = SimpleNamespace(manifest=manifest)
    found = parse(case.manifest(here, version))
    assert isinstance(found, ModelDeployment), found
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_operator_takes_both_versions_of_every_case_and_tells_them_apart(case: Case) -> None:
    stable, canary = parsed(case, STABLE), parsed(case, CANARY)
    assert stable.revision != canary.revision
    assert (canary.analysis.source is Source.SERVER) == case.from_servers
    assert canary.analysis.alpha == 0.01


def test_all_rollouts_of_a_wave_together_are_a_load_that_two_cores_carry() -> None:
    assert all(sum(case.rate for case in wave) <= 150 for wave in WAVES)


def test_names_are_unique_since_all_share_a_namespace() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("ending", "reason", "as_wanted"),
    [
        (Ending.ROLLED_BACK, "Regressed", True),
        (Ending.ROLLED_BACK, "CrashLoop", False),
        (Ending.PROMOTED, "", False),
        (Ending.HELD, "NoData", False),
        (None, "", False),
    ],
)
def test_a_regression_is_to_be_rolled_back_for_that_reason(ending: Ending | None, reason: str, as_wanted: bool) -> None:
    assert Played(case=BAD, ending=ending, reason=reason).as_wanted is as_wanted


def test_one_ending_that_was_not_wanted_misses_the_target() -> None:
    good = Played(case=BAD, ending=Ending.ROLLED_BACK, reason="Regressed")
    assert told([good]).met
    assert not told([good, Played(case=BAD, ending=Ending.PROMOTED)]).met


def a_request(at: float, version: str, *, status: int = 200, latency: float = 0.01) -> Request:
    return Request(due=at - latency, sent=at, answered=at, status=status, version=version)


def test_the_seconds_that_users_met_it_are_told_only_of_what_was_taken_back() -> None:
    requests = [a_request(10, CANARY, status=500), a_request(12.5, CANARY)]
    back = with_exposure(Played(case=BAD, ending=Ending.ROLLED_BACK), requests, since=0)
    held = with_exposure(Played(case=BAD, ending=Ending.HELD), requests, since=0)
    assert back.row() == ("fails", "10", "2.5", "2", "1", "–", "0")
    assert held.row() == ("fails", "10", "–", "2", "1", "–", "0")


def test_what_others_failed_meanwhile_is_told_beside_it() -> None:
    requests = [a_request(at, version, status=503) for at in (9, 11, 12) for version in (STABLE, "", CANARY)]
    assert with_exposure(Played(case=BAD, ending=Ending.PROMOTED), requests, since=10).others_failed == 4


def test_where_latency_differs_slow_answers_are_bad_ones() -> None:
    requests = [a_request(10 + each, STABLE, latency=0.05) for each in range(20)]
    requests += [a_request(11, CANARY, latency=0.1), a_request(14, CANARY, latency=0.04)]
    played = with_exposure(Played(case=SLOW, ending=Ending.ROLLED_BACK), requests, since=0)
    assert played.row()[2:6] == ("3.0", "2", "0", "1")


def test_a_candidate_without_a_bad_answer_gives_no_seconds() -> None:
    played = with_exposure(Played(case=BAD, ending=Ending.PROMOTED), [a_request(10, CANARY)], since=0)
    assert played.exposure is None
    assert played.row()[2] == "–"


@pytest.mark.parametrize(
    ("phase", "stable", "aborted", "ending"),
    [
        ("Stable", "v2", "", Ending.PROMOTED),
        ("Stable", "v1", "", None),
        ("RolledBack", "v1", "v2", Ending.ROLLED_BACK),
        ("RolledBack", "v1", "v0", None),
        ("Holding", "v1", "", None),
    ],
)
def test_how_a_rollout_ended_is_read_from_the_status(
    phase: str, stable: str, aborted: str, ending: Ending | None
) -> None:
    status = Status(is_current=True, phase=phase, stable_version=stable, aborted_version=aborted)
    assert Ending.of(status, "v2") is ending
    assert Ending.of(dataclasses.replace(status, is_current=False), "v2") is None
