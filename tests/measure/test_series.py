import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from modelrollout.domain.metrics import BUILT_IN, Kind, Source
from modelrollout.domain.signals import SeriesSelector
from modelrollout.measure.series import parse_preset, presets, series_for
from tests.measure.arms import preset

RECORDED = Path(__file__).parent / "expositions"
GOOD = {
    "name": "custom",
    "source": "server",
    "target": ["pod"],
    "arm": "pod",
    "targets": "up",
    "requests": "requests_total",
    "bad": [{"code": "5.."}],
}


def test_a_runtime_without_series_has_no_preset() -> None:
    assert series_for(Source.SERVER, "custom") is None
    assert series_for(Source.SERVER, "traefik") is None


REAL = (
    "httproute-shop-sentiment-gw-infra-public-ep-web-0-8ff6d89612ef2bf7a50d-svc-shop-sentiment-old-0@kubernetesgateway"
)


def pattern(route: str = "sentiment", service: str = "sentiment-old") -> str:
    return preset(Source.GATEWAY, "traefik").service_pattern(namespace="shop", route=route, service=service)


def test_the_gateways_label_as_measured_is_recognised_by_our_names() -> None:
    assert re.fullmatch(pattern(), REAL)
    assert not re.fullmatch(pattern(service="sentiment-new"), REAL)
    assert not re.fullmatch(pattern(route="other"), REAL)


def test_runs_of_dashes_are_one_dash_in_the_gateways_label() -> None:
    assert "svc-shop-a-b-[0-9]+@" in pattern(service="a--b")


@pytest.mark.parametrize(
    ("code", "bad"), [("200", False), ("404", False), ("500", True), ("504", True), ("5000", False)]
)
def test_server_errors_and_timeouts_are_bad_and_nothing_else(code: str, bad: bool) -> None:
    assert preset(Source.GATEWAY, "traefik").is_bad({"code": code}) is bad


def test_a_preset_is_read_from_its_document() -> None:
    requests = {"series": ["good_total", "bad_total"], "matchers": [["path", "!=", "/metrics"]]}
    latency = [{"name": "latency", "series": "seconds_bucket", "unit": "ms", "needs": "--histograms"}]
    read = parse_preset({**GOOD, "requests": requests, "latency": latency}, "custom.yaml")
    assert (read.name, read.place.source, read.place.arm, read.place.target) == (
        "custom",
        Source.SERVER,
        "pod",
        ("pod",),
    )
    assert read.requests == SeriesSelector(series=("good_total", "bad_total"), matchers=(("path", "!=", "/metrics"),))
    assert [(part.name, part.unit, part.needs) for part in read.latency] == [("latency", 0.001, "--histograms")]
    assert read.counts_errors and not replace(read, bad=()).counts_errors


@pytest.mark.parametrize(
    "change",
    [
        {"reqests": "x"},
        {"bad": "5.."},
        {"bad": ["5.."]},
        {"requests": 3},
        {"requests": {"series": "x", "matchers": [["path", "~", "/"]]}},
        {"source": "cloud"},
        {"source": "gateway"},
        {"latency": [{"name": "latency", "series": "x", "unit": "minutes"}]},
        {"latency": [{"name": "latency", "unit": "s"}]},
        {"name": None},
    ],
)
def test_a_preset_that_is_wrong_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"custom\.yaml|cloud"):
        parse_preset({**GOOD, **change}, "custom.yaml")


def test_presets_count_latency_by_names_that_a_spec_can_say() -> None:
    told = {part.name for preset in presets().values() for part in preset.latency}
    assert told == {name for name, kind in BUILT_IN.items() if kind is Kind.HISTOGRAM}


def test_a_single_histogram_is_latency() -> None:
    assert {preset.latency[0].name for preset in presets().values() if len(preset.latency) == 1} == {"latency"}


def test_each_file_says_which_version_it_was_taken_from_and_whether_it_was_tried() -> None:
    for file in (files("modelrollout.presets") / "series").iterdir():
        head = "".join(line for line in file.read_text().splitlines() if line.startswith("#"))
        assert re.search(r"\d+\.\d|commit [0-9a-f]{8}", head), file.name
        told = re.findall("Tried with|[Nn]ot tried|Plus only", head)
        assert len(told) == 1, file.name
        scrape = RECORDED / file.name.replace(".yaml", ".txt")
        assert told == ["Tried with"] or not scrape.exists(), f"{scrape.name} was recorded from a real one: say so"
