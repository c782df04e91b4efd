"""Which series measure a spec, what they cannot tell, and what `latency` means there."""

from dataclasses import replace
from typing import Any

import pytest

from modelrollout.domain.analysis import Mode
from modelrollout.domain.conditions import Reason
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.parse import analysis_settings
from modelrollout.measure.instruments import Instruments
from modelrollout.settings import Gateway
from tests.builders import GOOD


def served_by(preset: str, *metrics: dict[str, Any], **analysis: Any) -> ModelDeployment:
    """Compared by the server's own series; no metrics given: the default ones."""
    document = {"source": "server", **analysis, **({"metrics": list(metrics)} if metrics else {})}
    text = Fragment.of(document).text
    return replace(GOOD, preset=preset, analysis=analysis_settings(text), analysis_text=text)


def refused(spec: ModelDeployment, gateway: str = "traefik") -> str:
    told = Instruments(gateway=gateway).refusal(spec)
    assert told is None or told.reason is Reason.NO_METRICS
    return told.message if told else ""


def compared(spec: ModelDeployment) -> list[tuple[str, float | None]]:
    completed = Instruments().completed(spec)
    assert refused(completed) == ""
    return [(metric.name, metric.weight) for metric in completed.analysis.metrics]


def test_a_runtime_without_series_is_refused_before_anything_moves() -> None:
    server = served_by("custom")
    assert "spec.analysis.series" in refused(server)
    assert refused(replace(server, analysis=replace(server.analysis, mode=Mode.NONE))) == ""
    assert refused(replace(server, analysis=replace(server.analysis, source=Source.GATEWAY))) == ""
    assert refused(served_by("mlserver")) == ""


def test_a_custom_runtime_may_name_the_series_of_its_server() -> None:
    assert compared(served_by("custom", series="bentoml")) == [("errors", None), ("latency", None)]
    assert "prometheus is not known here. Use one of bentoml" in refused(served_by("custom", series="prometheus"))
    assert "traefik is not known" in refused(served_by("custom", series="traefik"))


def test_a_gateway_that_cannot_tell_backends_apart_is_refused_with_the_reason() -> None:
    by_gateway = replace(GOOD, analysis=replace(GOOD.analysis, source=Source.GATEWAY))
    told = refused(by_gateway, gateway="nginx-gateway-fabric")
    assert "counts no requests per backend" in told and "spec.analysis.source to server" in told
    assert refused(by_gateway, gateway="istio") == ""


def test_a_runtime_that_counts_no_errors_is_refused_unless_only_latency_is_asked_for() -> None:
    assert "kserve-python counts no errors" in refused(Instruments().completed(served_by("kserve-python")))
    assert compared(served_by("kserve-python", {"name": "latency"})) == [("latency", None)]


def test_latency_is_all_that_the_runtime_counts_it_by() -> None:
    assert compared(served_by("mlserver")) == [("errors", None), ("latency", None)]
    assert compared(served_by("custom", series="vllm")) == [
        ("errors", None),
        ("first-token", None),
        ("per-token", None),
    ]
    assert compared(served_by("custom", {"name": "latency", "weight": 0.5}, series="vllm")) == [
        ("first-token", 0.25),
        ("per-token", 0.25),
    ]


def test_a_part_of_latency_that_is_listed_keeps_its_own_settings() -> None:
    listed = ({"name": "first-token", "edges": [0.5]}, {"name": "errors"}, {"name": "latency"})
    spec = Instruments().completed(served_by("custom", *listed, series="vllm"))
    assert [(m.name, m.edges) for m in spec.analysis.metrics] == [
        ("first-token", (0.5,)),
        ("errors", None),
        ("per-token", None),
    ]


def test_what_is_spelt_out_is_frozen_and_not_spelt_out_again() -> None:
    once = Instruments().completed(served_by("custom", series="tgi"))
    assert analysis_settings(once.analysis_text) == once.analysis
    assert Instruments().completed(once) == once


def test_an_slo_of_latency_is_refused_where_it_is_counted_in_two_ways() -> None:
    promised = {"name": "latency", "slo": {"within": 0.5, "share": 0.99}}
    spec = Instruments().completed(served_by("custom", promised, series="vllm"))
    assert "edges and slo of latency: vllm counts it by first-token and per-token" in refused(spec)


def test_edges_of_latency_are_refused_where_it_is_counted_in_two_ways() -> None:
    spec = Instruments().completed(served_by("custom", {"name": "latency", "edges": [0.5]}, series="vllm"))
    assert "vllm counts it by first-token and per-token" in refused(spec)


def test_without_a_list_of_ones_own_latency_is_left_out_where_nothing_counts_it() -> None:
    assert compared(served_by("custom", series="torchserve")) == [("errors", None)]


def test_a_list_of_ones_own_is_taken_at_its_word() -> None:
    spec = served_by("custom", {"name": "errors"}, {"name": "latency"}, series="torchserve")
    assert "torchserve does not count latency. Leave it out." in refused(Instruments().completed(spec))
    spec = served_by("mlserver", {"name": "first-token"})
    assert "mlserver does not count first-token; it counts latency" in refused(spec)


def test_an_expression_is_refused_unless_the_administrator_allows_it_and_it_is_safe() -> None:
    def spec(promql: str) -> ModelDeployment:
        gauge = {"name": "drift", "kind": "gauge", "gauge": {"promql": promql, "window": "5m"}}
        return served_by("mlserver", {"name": "errors"}, gauge)

    told = refused(spec("avg(x)"))
    assert told.startswith("spec.analysis.metrics: gauge.promql of drift is not allowed by this operator.")
    assert "MODELROLLOUT_ALLOW_PROMQL" in told
    allowing = Instruments(promql=True)
    assert allowing.refusal(spec("avg(x)")) is None
    unsafe = allowing.refusal(spec('avg(x{namespace="other"})'))
    assert unsafe is not None and "gauge.promql of drift cannot be used: it names a namespace; leave" in unsafe.message


@pytest.mark.parametrize("gateway", list(Gateway))
def test_the_gateways_that_can_be_set_are_those_whose_series_are_known(gateway: Gateway) -> None:
    assert Instruments(gateway=str(gateway)).of(replace(GOOD.analysis, source=Source.GATEWAY), "mlserver") is not None
