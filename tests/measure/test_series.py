import re

import pytest

from modelrollout.domain.analysis import Source
from modelrollout.measure.series import parse_preset, series_for
from tests.measure.arms import preset

GOOD = {
    "name": "custom",
    "source": "server",
    "target": ["pod"],
    "arm": "pod",
    "targets": "up",
    "requests": "requests_total",
    "bad": {"label": "code", "pattern": "5.."},
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
    read = parse_preset({**GOOD, "matchers": [["path", "!=", "/metrics"]]}, "custom.yaml")
    assert (read.name, read.source, read.latency, read.unit) == ("custom", Source.SERVER, None, 1.0)
    assert read.matchers == (("path", "!=", "/metrics"),)


@pytest.mark.parametrize(
    "change",
    [{"reqests": "x"}, {"bad": "5.."}, {"requests": 3}, {"matchers": [["path", "~", "/"]]}, {"source": "cloud"}],
)
def test_a_preset_that_is_wrong_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        parse_preset({**GOOD, **change}, "custom.yaml")
