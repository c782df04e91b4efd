"""What users measure beside errors and latency is drawn, too, and judged by the operator's own rules."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from modelrollout.__main__ import main
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.parse import analysis_settings
from modelrollout.simulate.rollout import Ending, Run, roll_out
from modelrollout.simulate.scenario import Lognormal, Rate, Scenario, Version
from modelrollout.simulate.world import World
from tests.domain.test_parse_metrics import DRIFT, QUALITY, RATING, WAIT
from tests.simulate.specs import deployment
from tests.simulate.test_command import QUICK, RATED, SPEC

OWN: dict[str, Rate | Lognormal] = {
    "quality": Rate(bad=0.02, counted=0.5),
    "rating": Rate(bad=0.1),
    "wait": Lognormal(median=0.05),
}


def measured(*metrics: dict[str, Any], **analysis: Any) -> ModelDeployment:
    """Errors, and these."""
    bare = deployment()
    document = dict(Fragment(bare.analysis_text).mapping) | {"metrics": [{"name": "errors"}, *metrics]} | analysis
    text = Fragment.of(document).text
    return replace(bare, analysis=analysis_settings(text), analysis_text=text)


def run_of(desired: ModelDeployment, **worse: Rate | Lognormal) -> Run:
    """With a candidate like stable but for `worse`."""
    names = [metric.name for metric in desired.analysis.metrics if metric.name in OWN]
    stable = Version(own=tuple((name, OWN[name]) for name in names))
    candidate = Version(own=tuple((name, worse.get(name, OWN[name])) for name in names))
    return roll_out(desired, Scenario(requests_per_second=100, stable=stable, candidate=candidate), seed=3)


@pytest.mark.parametrize(
    ("metric", "worse"),
    [(QUALITY, Rate(bad=0.3, counted=0.5)), (RATING, Rate(bad=0.5)), (WAIT, Lognormal(median=0.2))],
    ids=["ratio", "score", "histogram"],
)
def test_a_candidate_that_is_worse_only_by_a_metric_of_the_users_own_is_found(
    metric: dict[str, Any], worse: Rate | Lognormal
) -> None:
    run = run_of(measured(metric), **{metric["name"]: worse})
    assert (run.ending, run.reason, run.culprit) == (Ending.ROLLED_BACK, "regression", metric["name"])


def test_a_healthy_one_goes_through_with_all_of_them() -> None:
    assert run_of(measured(QUALITY, RATING, WAIT)).ending is Ending.PROMOTED


def test_a_gauge_is_left_out_and_keeps_nobody_from_anything() -> None:
    assert run_of(measured(QUALITY, DRIFT)) == run_of(measured(QUALITY))


def test_as_many_answers_are_rated_as_was_said() -> None:
    desired = measured(QUALITY)
    scenario = Scenario(requests_per_second=200, stable=Version(own=(("quality", Rate(bad=0.25, counted=0.1)),)))
    world = World(desired, scenario, Random(1))
    answers = world.traffic.poll(world.now, world.now - 1700).answers
    grown = {}
    for name in ("requests", "quality", "quality/bad"):
        series = answers[name]
        assert isinstance(series, tuple)
        grown[name] = sum(each.samples[-1].v - each.samples[0].v for each in series)
    assert grown["quality"] / grown["requests"] == pytest.approx(0.1, rel=0.05)
    assert grown["quality/bad"] / grown["quality"] == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ((), "metric quality: is not said; write the share of bad ones, such as quality=2%"),
        ((("quality", Lognormal()),), "metric quality: has values of another kind"),
        ((("quality", Rate(bad=0.1)), ("speed", Rate(bad=0.1))), "metric speed: is not drawn; spec.* has quality"),
    ],
)
def test_what_is_not_said_of_a_metric_is_asked_for(own: tuple[tuple[str, Rate | Lognormal], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        roll_out(measured(QUALITY), Scenario(requests_per_second=9, stable=Version(own=own)), seed=1)


def test_both_versions_have_the_same_metrics() -> None:
    with pytest.raises(ValueError, match="metrics: of one version only"):
        Scenario(requests_per_second=9, stable=Version(own=(("quality", Rate(bad=0.1)),)), candidate=Version())


def test_what_a_server_counts_latency_by_shows_the_latency_unless_it_is_said() -> None:
    desired = measured({"name": "first-token"}, {"name": "per-token"}, source=str(Source.SERVER), series="vllm")
    slow = Version(latency=Lognormal(median=0.3))
    scenario = Scenario(requests_per_second=100, candidate=slow)
    run = roll_out(desired, scenario, seed=1)
    assert run.ending is Ending.ROLLED_BACK and run.culprit in ("first-token", "per-token")
    assert roll_out(desired, scenario.with_candidate(None), seed=1).ending is Ending.PROMOTED
    own = Version(own=(("first-token", Lognormal(median=2)),))
    worse = replace(own, own=(("first-token", Lognormal(median=9)),))
    said = roll_out(desired, Scenario(requests_per_second=100, stable=own, candidate=worse), seed=1)
    assert said.culprit == "first-token"


@pytest.fixture
def rated(tmp_path: Path) -> str:
    path = tmp_path / "md.yaml"
    path.write_text(RATED)
    return str(path)


def test_the_command_takes_them_by_name(rated: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--metric", "quality=2%/50%", "--candidate-metric", "quality=3%/50%")
    assert main(["simulate", rated, *QUICK, *asked]) == 0
    told = capsys.readouterr().out
    assert "Stable answers with errors 0.5 %, latency 100 ms, quality 2 %" in told
    assert "(the candidate: quality 3 %)" in told and "\n  quality 4 % " in told
    assert "Left out, for a gauge's values cannot be drawn: drift." in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "metric quality: is not said"),
        (("--metric", "quality"), "quality names no value"),
        (("--metric", "quality=200%"), "quality: 200% is not possible"),
        (("--metric", "quality=1h/x"), "quality: x is no number"),
        (("--metric", "qualit=2%"), "--metric qualit: is not drawn; spec.analysis.metrics has quality"),
        (
            ("--metric", "quality=2%", "--candidate-metric", "qualit=4%"),
            "--candidate-metric qualit: is not drawn; spec.analysis.metrics has quality",
        ),
        (
            ("--metric", "quality=2%", "--metric", "quality=3%"),
            "--metric quality: is said twice; leave one of them out",
        ),
        (
            ("--metric", "quality=2%", *("--candidate-metric", "quality=3%") * 2),
            "--candidate-metric quality: is said twice",
        ),
        (("--metric", "errors=2%"), "--metric errors: has an option of its own; write --errors"),
        (("--candidate-metric", "latency=1s"), "latency: has an option of its own; write --candidate-latency"),
        (("--candidate-metric", "quality=3%"), "quality: is said of the candidate only; write --metric quality=…, too"),
        (
            ("--metric", "quality=2%", "--candidate-metric", "quality=1s"),
            "--candidate-metric quality: has values of another kind than with --metric",
        ),
        (("--metric", "quality=2%", "--gateway", "haproxy"), "invalid choice: 'haproxy'"),
        (("--metric", "quality=2%", "--gateway", "nginx-gateway-fabric"), "cannot tell revisions apart"),
    ],
)
def test_what_cannot_be_drawn_is_told(
    rated: str, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", rated, *QUICK, *arguments]) == 64
    assert message in capsys.readouterr().err


def test_another_gateway_has_other_buckets_and_may_count_no_latency(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "md.yaml").write_text(SPEC.replace(", metrics: [{name: errors}]", ""))
    found = {}
    for gateway in ("traefik", "istio", "nginx-gateway-fabric-plus"):
        asked = ("--catch", "", "--slower", "3", "--gateway", gateway, "--latency", "15ms/0.3", "--output", "json")
        assert main(["simulate", str(tmp_path / "md.yaml"), *QUICK, *asked]) == 0
        (found[gateway],) = [each["rolledBack"] for each in json.loads(capsys.readouterr().out)["whatItCatches"]]
    assert found == {"traefik": 0, "istio": 1, "nginx-gateway-fabric-plus": 0}, "from 15 to 45 ms"
