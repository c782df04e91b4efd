"""Each preset against a scrape typed from its runtime's or gateway's documentation: right counts, nobody else's.

And against scrapes recorded from real servers, in `expositions`: what was sent is what is counted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import promql_parser
import pytest

from modelrollout.decide.blocks import OpenBlock, read_block
from modelrollout.decide.histogram import slower_than
from modelrollout.domain.metrics import MetricSettings, Source
from modelrollout.domain.polls import Arm, ArmPod, Arms, Poll, Sample
from modelrollout.domain.tally import Tally
from modelrollout.measure.queries import MeasurePlan, queries, read_series
from modelrollout.measure.rows import Row
from modelrollout.measure.series import SeriesPreset, presets
from tests.measure.exposition import Scraped, answer

START, END = 100.0, 115.0
SCRAPES = (95.0, 110.0)


def lines(rows: Mapping[str, float]) -> str:
    return "\n".join(f"{series} {value:g}" for series, value in rows.items())


def grown(rows: Mapping[str, float], by: Mapping[str, float]) -> str:
    return lines({series: value + by.get(series, 0) for series, value in rows.items()})


def plan_of(preset: SeriesPreset) -> MeasurePlan:
    """Two revisions of `sentiment` in `shop`, whose metrics are all that the preset knows."""

    def arm(name: str) -> Arm:
        pods = (ArmPod(name=f"sentiment-{name}-0", created_at=0, ready_at=0),)
        if preset.place.source is Source.SERVER:
            return Arm(revision=name, pods=pods, ready_at=0)
        service = preset.service_pattern(namespace="shop", route="sentiment", service=f"sentiment-{name}")
        return Arm(revision=name, service=service, pods=pods, ready_at=0)

    known = [*(["errors"] if preset.counts_errors else []), *(part.name for part in preset.latency)]
    return MeasurePlan(
        namespace="shop",
        preset=preset,
        arms=Arms(stable=arm("old"), candidate=arm("new")),
        polls=(END,),
        since=40.0,
        metrics=tuple(MetricSettings.of(name) for name in known),
    )


def block_of(preset: SeriesPreset, *targets: Scraped) -> OpenBlock:
    plan = plan_of(preset)
    answers = {each.name: read_series(each, answer(each, targets, SCRAPES), plan) for each in queries(plan)}
    return read_block(Poll(at=END, answers=answers), plan.arms, start=START, scrape_interval=15, warmup=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A server's scrape: ten good requests and five bad ones in the span, and requests of nobody's interest.

    `slow`: per histogram, an edge in seconds beyond which two of ten lie.
    """

    before: Mapping[str, float]
    good: Mapping[str, float]
    bad: Mapping[str, float]
    aside: Mapping[str, float]
    slow: Mapping[str, float]
    in_flight: Mapping[str, float] = field(default_factory=dict)
    """Series that together are three requests in flight, and others that are none."""
    bad_is_counted: bool = True


RUNTIMES = {
    "mlserver": Runtime(
        before={
            'rest_server_requests_total{app_name="rest",method="POST",path="/v2/models/m/infer",status_code="200"}': 50,
            'rest_server_requests_total{app_name="rest",method="POST",path="/v2/models/m/infer",status_code="500"}': 1,
            'rest_server_requests_total{app_name="rest",method="GET",path="/v2/models/m/ready",status_code="200"}': 9,
            'rest_server_request_duration_seconds_bucket{path="/v2/models/m/infer",le="0.1"}': 7,
            'rest_server_request_duration_seconds_bucket{path="/v2/models/m/infer",le="+Inf"}': 9,
            'rest_server_request_duration_seconds_bucket{path="/v2/models/m/ready",le="0.1"}': 7,
            'rest_server_request_duration_seconds_bucket{path="/v2/models/m/ready",le="+Inf"}': 9,
        },
        good={
            'rest_server_requests_total{app_name="rest",method="POST",path="/v2/models/m/infer",status_code="200"}': 10
        },
        bad={
            'rest_server_requests_total{app_name="rest",method="POST",path="/v2/models/m/infer",status_code="500"}': 5
        },
        aside={
            'rest_server_requests_total{app_name="rest",method="GET",path="/v2/models/m/ready",status_code="200"}': 77,
            'rest_server_request_duration_seconds_bucket{path="/v2/models/m/infer",le="0.1"}': 8,
            'rest_server_request_duration_seconds_bucket{path="/v2/models/m/infer",le="+Inf"}': 10,
            'rest_server_request_duration_seconds_bucket{path="/v2/models/m/ready",le="+Inf"}': 77,
        },
        slow={"latency": 0.1},
        in_flight={
            'rest_server_requests_in_progress{app_name="rest",method="POST"}': 3,
            'rest_server_requests_in_progress{app_name="rest",method="GET"}': 7,
        },
    ),
    "vllm": Runtime(
        before={
            'http_requests_total{handler="/v1/chat/completions",method="POST",status="2xx"}': 40,
            'http_requests_total{handler="/v1/chat/completions",method="POST",status="5xx"}': 0,
            'http_requests_total{handler="/v1/models",method="GET",status="2xx"}': 3,
            'http_requests_total{handler="/tokenize",method="POST",status="2xx"}': 3,
            'vllm:time_to_first_token_seconds_bucket{engine="0",le="0.25",model_name="m"}': 4,
            'vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="m"}': 5,
            'vllm:request_time_per_output_token_seconds_bucket{engine="0",le="0.05",model_name="m"}': 4,
            'vllm:request_time_per_output_token_seconds_bucket{engine="0",le="+Inf",model_name="m"}': 5,
            'vllm:inter_token_latency_seconds_bucket{engine="0",le="+Inf",model_name="m"}': 5000,
        },
        good={'http_requests_total{handler="/v1/chat/completions",method="POST",status="2xx"}': 10},
        bad={'http_requests_total{handler="/v1/chat/completions",method="POST",status="5xx"}': 5},
        aside={
            'http_requests_total{handler="/v1/models",method="GET",status="2xx"}': 60,
            'http_requests_total{handler="/tokenize",method="POST",status="2xx"}': 60,
            'vllm:time_to_first_token_seconds_bucket{engine="0",le="0.25",model_name="m"}': 8,
            'vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="m"}': 10,
            'vllm:request_time_per_output_token_seconds_bucket{engine="0",le="0.05",model_name="m"}': 8,
            'vllm:request_time_per_output_token_seconds_bucket{engine="0",le="+Inf",model_name="m"}': 10,
            'vllm:inter_token_latency_seconds_bucket{engine="0",le="+Inf",model_name="m"}': 900,
        },
        slow={"first-token": 0.25, "per-token": 0.05},
        in_flight={
            'vllm:num_requests_running{engine="0",model_name="m"}': 1,
            'vllm:num_requests_waiting{engine="0",model_name="m"}': 2,
        },
    ),
    "sglang": Runtime(
        before={
            'sglang:http_requests_total{endpoint="/v1/chat/completions",method="POST"}': 70,
            'sglang:http_responses_total{endpoint="/v1/chat/completions",method="POST",status_code="200"}': 40,
            'sglang:http_responses_total{endpoint="/v1/chat/completions",method="POST",status_code="503"}': 0,
            'sglang:http_responses_total{endpoint="/health_generate",method="GET",status_code="503"}': 4,
            'sglang:time_to_first_token_seconds_bucket{le="0.4",model_name="m"}': 4,
            'sglang:time_to_first_token_seconds_bucket{le="+Inf",model_name="m"}': 5,
            'sglang:request_time_per_output_token_seconds_bucket{le="0.05",model_name="m"}': 4,
            'sglang:request_time_per_output_token_seconds_bucket{le="+Inf",model_name="m"}': 5,
        },
        good={'sglang:http_responses_total{endpoint="/v1/chat/completions",method="POST",status_code="200"}': 10},
        bad={'sglang:http_responses_total{endpoint="/v1/chat/completions",method="POST",status_code="503"}': 5},
        aside={
            'sglang:http_responses_total{endpoint="/health_generate",method="GET",status_code="503"}': 60,
            'sglang:time_to_first_token_seconds_bucket{le="0.4",model_name="m"}': 8,
            'sglang:time_to_first_token_seconds_bucket{le="+Inf",model_name="m"}': 10,
            'sglang:request_time_per_output_token_seconds_bucket{le="0.05",model_name="m"}': 8,
            'sglang:request_time_per_output_token_seconds_bucket{le="+Inf",model_name="m"}': 10,
        },
        slow={"first-token": 0.4, "per-token": 0.05},
        in_flight={
            'sglang:num_running_reqs{model_name="m",pp_rank="0",tp_rank="0"}': 2,
            'sglang:num_running_reqs{model_name="m",pp_rank="0",tp_rank="1"}': 2,
            'sglang:num_queue_reqs{model_name="m"}': 1,
        },
    ),
    "tgi": Runtime(
        before={
            "tgi_request_count": 40,
            'tgi_request_failure{err="overloaded"}': 1,
            'tgi_request_failure{err="validation"}': 1,
            'tgi_request_mean_time_per_token_duration_bucket{le="0.05"}': 4,
            'tgi_request_mean_time_per_token_duration_bucket{le="+Inf"}': 5,
            'tgi_request_duration_bucket{le="2.5"}': 4,
            'tgi_request_duration_bucket{le="+Inf"}': 5,
        },
        good={"tgi_request_count": 15},
        bad={'tgi_request_failure{err="overloaded"}': 5},
        aside={
            'tgi_request_failure{err="validation"}': 2,
            'tgi_request_mean_time_per_token_duration_bucket{le="0.05"}': 8,
            'tgi_request_mean_time_per_token_duration_bucket{le="+Inf"}': 10,
            'tgi_request_duration_bucket{le="2.5"}': 8,
            'tgi_request_duration_bucket{le="+Inf"}': 10,
        },
        slow={"per-token": 0.05, "end-to-end": 2.5},
        in_flight={"tgi_queue_size": 1, "tgi_batch_current_size": 2},
    ),
    "triton": Runtime(
        before={
            'nv_inference_request_success{model="m",version="1"}': 40,
            'nv_inference_request_failure{model="m",reason="BACKEND",version="1"}': 1,
            'nv_inference_first_response_histogram_ms_bucket{le="100",model="m",version="1"}': 4,
            'nv_inference_first_response_histogram_ms_bucket{le="+Inf",model="m",version="1"}': 5,
        },
        good={'nv_inference_request_success{model="m",version="1"}': 10},
        bad={'nv_inference_request_failure{model="m",reason="BACKEND",version="1"}': 5},
        aside={
            'nv_inference_first_response_histogram_ms_bucket{le="100",model="m",version="1"}': 8,
            'nv_inference_first_response_histogram_ms_bucket{le="+Inf",model="m",version="1"}': 10,
        },
        slow={"latency": 0.1},
        in_flight={'nv_inference_pending_request_count{model="m",version="1"}': 3},
    ),
    "tfserving": Runtime(
        before={
            ':tensorflow:serving:request_count{model_name="m",status="OK"}': 40,
            ':tensorflow:serving:request_count{model_name="m",status="INTERNAL"}': 1,
            ':tensorflow:serving:request_latency_bucket{model_name="m",API="predict",entrypoint="REST",le="104857.6"}': 4,
            ':tensorflow:serving:request_latency_bucket{model_name="m",API="predict",entrypoint="REST",le="+Inf"}': 5,
        },
        good={':tensorflow:serving:request_count{model_name="m",status="OK"}': 10},
        bad={':tensorflow:serving:request_count{model_name="m",status="INTERNAL"}': 5},
        aside={
            ':tensorflow:serving:request_latency_bucket{model_name="m",API="predict",entrypoint="REST",le="104857.6"}': 8,
            ':tensorflow:serving:request_latency_bucket{model_name="m",API="predict",entrypoint="REST",le="+Inf"}': 10,
        },
        slow={"latency": 0.1048576},
    ),
    "kserve-python": Runtime(
        before={
            'request_predict_seconds_count{model_name="m"}': 40,
            'request_predict_seconds_bucket{le="0.1",model_name="m"}': 4,
            'request_predict_seconds_bucket{le="+Inf",model_name="m"}': 5,
        },
        good={'request_predict_seconds_count{model_name="m"}': 15},
        bad={},
        aside={
            'request_predict_seconds_bucket{le="0.1",model_name="m"}': 8,
            'request_predict_seconds_bucket{le="+Inf",model_name="m"}': 10,
        },
        slow={"latency": 0.1},
        bad_is_counted=False,
    ),
    "rayserve": Runtime(
        before={
            'ray_serve_num_http_requests_total{application="app",method="POST",route="/",status_code="200"}': 40,
            'ray_serve_num_http_requests_total{application="app",method="POST",route="/",status_code="500"}': 1,
            'ray_serve_num_http_requests_total{application="",method="GET",route="/-/healthz",status_code="503"}': 1,
            'ray_serve_num_http_requests_total{application="",method="GET",route="",status_code="404"}': 1,
            'ray_serve_http_request_latency_ms_bucket{application="app",route="/",status_code="200",le="100"}': 4,
            'ray_serve_http_request_latency_ms_bucket{application="app",route="/",status_code="200",le="+Inf"}': 5,
        },
        good={'ray_serve_num_http_requests_total{application="app",method="POST",route="/",status_code="200"}': 10},
        bad={'ray_serve_num_http_requests_total{application="app",method="POST",route="/",status_code="500"}': 5},
        aside={
            'ray_serve_num_http_requests_total{application="",method="GET",route="/-/healthz",status_code="503"}': 60,
            'ray_serve_num_http_requests_total{application="",method="GET",route="",status_code="404"}': 60,
            'ray_serve_http_request_latency_ms_bucket{application="app",route="/",status_code="200",le="100"}': 8,
            'ray_serve_http_request_latency_ms_bucket{application="app",route="/",status_code="200",le="+Inf"}': 10,
        },
        slow={"latency": 0.1},
        in_flight={'ray_serve_num_ongoing_http_requests{node_id="n",node_ip_address="10.0.0.7"}': 3},
    ),
    "bentoml": Runtime(
        before={
            'bentoml_service_request_total{endpoint="/predict",http_response_code="200",service_name="s"}': 40,
            'bentoml_service_request_total{endpoint="/predict",http_response_code="503",service_name="s"}': 1,
            'bentoml_service_request_total{endpoint="/readyz",http_response_code="503",service_name="s"}': 1,
            'bentoml_service_request_duration_seconds_bucket{endpoint="/predict",le="0.1",service_name="s"}': 4,
            'bentoml_service_request_duration_seconds_bucket{endpoint="/predict",le="+Inf",service_name="s"}': 5,
        },
        good={'bentoml_service_request_total{endpoint="/predict",http_response_code="200",service_name="s"}': 10},
        bad={'bentoml_service_request_total{endpoint="/predict",http_response_code="503",service_name="s"}': 5},
        aside={
            'bentoml_service_request_total{endpoint="/readyz",http_response_code="503",service_name="s"}': 60,
            'bentoml_service_request_duration_seconds_bucket{endpoint="/predict",le="0.1",service_name="s"}': 8,
            'bentoml_service_request_duration_seconds_bucket{endpoint="/predict",le="+Inf",service_name="s"}': 10,
        },
        slow={"latency": 0.1},
        in_flight={
            'bentoml_service_request_in_progress{endpoint="/predict",service_name="s"}': 3,
            'bentoml_service_request_in_progress{endpoint="/readyz",service_name="s"}': 1,
        },
    ),
    "torchserve": Runtime(
        before={
            'ts_inference_requests_total{model_name="m",model_version="1.0",hostname="h"}': 40,
            'Requests5XX{Level="Host",Hostname="h"}': 1,
        },
        good={'ts_inference_requests_total{model_name="m",model_version="1.0",hostname="h"}': 15},
        bad={'Requests5XX{Level="Host",Hostname="h"}': 5},
        aside={'Requests4XX{Level="Host",Hostname="h"}': 9},
        slow={},
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AtGateway:
    """A gateway's scrape: `row(service of ours, code)` and `bucket(service of ours, bound)` are the series' names."""

    row: Callable[[str, str, str], str]
    bucket: Callable[[str, str, str], str] | None
    good: str
    bad: str
    bound: str
    edge: float
    witness: str | None
    similar: tuple[tuple[str, str], ...]
    """(namespace, Service) of others whose names resemble ours."""


def _traefik(namespace: str, service: str) -> str:
    route = service.rpartition("-")[0]
    return (
        f"httproute-{namespace}-{route}-gw-infra-public-ep-web-0-8ff6d89612ef2bf7a50d-svc-{namespace}-{service}-0"
        "@kubernetesgateway"
    )


def _istio(namespace: str, service: str, reporter: str = "source") -> str:
    return (
        f'reporter="{reporter}",destination_service="{service}.{namespace}.svc.cluster.local",'
        f'destination_service_name="{service}",destination_service_namespace="{namespace}",request_protocol="http"'
    )


OTHERS = (("shop", "other-old"), ("shop", "sentiment-v2-old"), ("shop", "my-sentiment-old"), ("shop2", "sentiment-old"))
GATEWAYS = {
    "traefik": AtGateway(
        row=lambda ns, svc, code: (
            f'traefik_service_requests_total{{code="{code}",method="POST",protocol="http",service="{_traefik(ns, svc)}"}}'
        ),
        bucket=lambda ns, svc, le: (
            f'traefik_service_request_duration_seconds_bucket{{code="200",le="{le}",service="{_traefik(ns, svc)}"}}'
        ),
        good="200",
        bad="504",
        bound="0.3",
        edge=0.3,
        witness="traefik_config_last_reload_success",
        similar=OTHERS,
    ),
    "istio": AtGateway(
        row=lambda ns, svc, code: f'istio_requests_total{{{_istio(ns, svc)},response_code="{code}"}}',
        bucket=lambda ns, svc, le: (
            f'istio_request_duration_milliseconds_bucket{{{_istio(ns, svc)},response_code="200",le="{le}"}}'
        ),
        good="200",
        bad="0",
        bound="100",
        edge=0.1,
        witness=None,
        similar=OTHERS,
    ),
    "envoy-gateway": AtGateway(
        row=lambda ns, svc, code: (
            f'envoy_cluster_upstream_rq_xx{{envoy_response_code_class="{code}",'
            f'envoy_cluster_name="service/{ns}/{svc}/80/http"}}'
        ),
        bucket=lambda ns, svc, le: (
            f'envoy_cluster_upstream_rq_time_bucket{{envoy_cluster_name="service/{ns}/{svc}/80/http",le="{le}"}}'
        ),
        good="2",
        bad="5",
        bound="100",
        edge=0.1,
        witness="envoy_server_uptime",
        similar=OTHERS,
    ),
    "nginx-gateway-fabric-plus": AtGateway(
        row=lambda ns, svc, code: (
            f'nginx_http_upstream_peer_responses_total{{nginx_upstream_name="{ns}_{svc}_80",'
            f'nginx_peer_address="10.0.0.7:8080",nginx_status_range="{code}"}}'
        ),
        bucket=None,
        good="2xx",
        bad="5xx",
        bound="",
        edge=0,
        witness=None,
        similar=OTHERS,
    ),
}


def test_each_preset_that_can_compare_has_a_scrape() -> None:
    able = {name for name, preset in presets().items() if not preset.impossible}
    assert able == {*RUNTIMES, *GATEWAYS}


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_servers_scrape_is_counted_per_revision(name: str) -> None:
    runtime, preset = RUNTIMES[name], presets()[name]

    def pod(pod: str, namespace: str, by: Mapping[str, float]) -> Scraped:
        labels = {"namespace": namespace, "pod": pod, "instance": f"{pod}:8080", "job": "models"}
        rows = {"up": 1.0, **runtime.before, **runtime.in_flight}
        return Scraped(labels=labels, before=lines(rows), after=grown(rows, by))

    everything = {**runtime.aside, **{key: runtime.aside.get(key, 0) + by for key, by in runtime.good.items()}}
    block = block_of(
        preset,
        pod("sentiment-old-0", "shop", everything),
        pod("sentiment-new-0", "shop", {**everything, **runtime.bad}),
        pod("sentiment-new-0", "other", {**everything, **runtime.bad}),
        pod("sentiment-new-00", "shop", everything),
    )
    tally = block.errors(plan_of(preset).arms)
    new, old = (10, 10) if not _counts_apart(preset) else (15, 15)
    bad = 5.0 if runtime.bad_is_counted else 0.0
    in_all = new if _counts_apart(preset) else new + bad
    assert tally == Tally(x_canary=bad, n_canary=in_all, x_stable=0, n_stable=old)
    for metric, edge in runtime.slow.items():
        for arm in (plan_of(preset).arms.stable, plan_of(preset).arms.candidate):
            assert slower_than(block.buckets(metric, arm, None), edge) == (2, 10), metric
    waiting = [block.in_flight(arm, None) for arm in (plan_of(preset).arms.stable, plan_of(preset).arms.candidate)]
    assert waiting == ([3.0, 3.0] if runtime.in_flight else [None, None])
    assert (preset.in_flight is not None) == bool(runtime.in_flight)


def _counts_apart(preset: SeriesPreset) -> bool:
    """Whether a bad request raises the total by itself: then the total of the scrape has them in it already."""
    return preset.errors is not None or not preset.counts_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the preset is to count of a recorded scrape; its file says what was sent."""

    n: float
    x: float
    slow: tuple[tuple[float, float, float], ...] = ()
    """(edge in seconds, slower ones, all) of the latency histogram."""


RECORDED = {
    # 20 good, 9 the client's fault, 6 slow, 4 to a path that is not there; 5 raised, 2 ran out of time.
    "bentoml": Recorded(n=20 + 9 + 6 + 4 + 5 + 2, x=5 + 2, slow=((0.5, 6 + 2, 46), (1.0, 2, 46))),
    # 23 good, 4 the client's fault, 6 slow; 5 raised, 3 answered 503, 2 ran out of time.
    "rayserve": Recorded(n=23 + 4 + 6 + 5 + 3 + 2, x=5 + 3 + 2, slow=((0.5, 6 + 2, 43), (1.0, 2, 43))),
    # Neither the 3 that raised in preprocess nor those that were no JSON; and no failures.
    "kserve-python": Recorded(n=20 + 5 + 4 + 6 + 2, x=0, slow=((0.5, 6, 37), (0.75, 0, 37))),
    # Failures are those that raised; 11 TritonErrors are successes, and 6 that found the queue full nothing at all.
    "triton": Recorded(n=20 + 3 + 11 + 6 + 2 + 2, x=3),
    # Those that found the queue full are requests, too; 5 raised, 5 answered 5xx, one ran out of time.
    "torchserve": Recorded(n=20 + 5 + 3 + 2 + 4 + 6 + 1 + 8, x=5 + 5 + 1 + 5),
}


def recorded(name: str, labels: Mapping[str, str]) -> Scraped:
    text = (Path(__file__).parent / "expositions" / f"{name}.txt").read_text(encoding="utf-8")
    before, after = text.split("# Scrape 1\n")[1].split("# Scrape 2\n")
    return Scraped(labels=labels, before=f"{before}up 1", after=f"{after}up 1")


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_scrape_is_counted_as_it_was_sent(name: str) -> None:
    expected, preset = RECORDED[name], presets()[name]
    block = block_of(preset, recorded(name, {"namespace": "shop", "pod": "sentiment-new-0", "job": "models"}))
    arms = plan_of(preset).arms
    assert block.errors(arms) == Tally(x_canary=expected.x, n_canary=expected.n)
    for edge, slower, requests in expected.slow:
        assert slower_than(block.buckets("latency", arms.candidate, None), edge) == (slower, requests), edge


def test_a_recorded_scrape_of_envoy_gateway_is_counted_as_it_was_sent() -> None:
    preset = presets()["envoy-gateway"]
    block = block_of(
        preset, recorded("envoy-gateway", {"namespace": "infra", "pod": "envoy-0", "instance": "a", "job": "b"})
    )
    arms = plan_of(preset).arms
    # 20 good, 6 the client's fault, 6 slow; 8 answered 5xx, 2 ran out of time, 3 lost their connection.
    assert block.errors(arms) == Tally(x_canary=8 + 2 + 3, n_canary=20 + 6 + 6 + 8 + 2 + 3, x_stable=0, n_stable=20)
    assert slower_than(block.buckets("latency", arms.candidate, None), 0.5) == (6, 20 + 6 + 6 + 8)
    assert slower_than(block.buckets("latency", arms.candidate, None), 1.0) == (0, 20 + 6 + 6 + 8)
    assert slower_than(block.buckets("latency", arms.stable, None), 0.5) == (0, 20)


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_gateways_scrape_is_counted_per_revision_and_others_never_leak_in(name: str) -> None:
    gateway, preset = GATEWAYS[name], presets()[name]
    ours = (("shop", "sentiment-old", 0), ("shop", "sentiment-new", 5))
    before: dict[str, float] = {} if gateway.witness is None else {gateway.witness: 1.0}
    rises: dict[str, float] = {}
    for namespace, service, bad in (*ours, *((*other, 40) for other in gateway.similar)):
        for code, rise in ((gateway.good, 10), (gateway.bad, bad)):
            before[gateway.row(namespace, service, code)] = 3.0
            rises[gateway.row(namespace, service, code)] = rise
        if gateway.bucket is not None:
            for bound, rise in ((gateway.bound, 8), ("+Inf", 10)):
                before[gateway.bucket(namespace, service, bound)] = 3.0
                rises[gateway.bucket(namespace, service, bound)] = rise
    labels = {"instance": "10.0.0.1:9100", "job": "gateway", "namespace": "infra", "pod": "gateway-0"}
    block = block_of(preset, Scraped(labels=labels, before=lines(before), after=grown(before, rises)))
    arms = plan_of(preset).arms
    assert block.errors(arms) == Tally(x_canary=5, n_canary=15, x_stable=0, n_stable=10)
    for arm in (arms.stable, arms.candidate) if gateway.bucket is not None else ():
        assert slower_than(block.buckets("latency", arm, None), gateway.edge) == (2, 10)


def test_requests_in_flight_at_envoy_are_those_of_its_cluster() -> None:
    preset = presets()["envoy-gateway"]
    ours, other = (
        f'envoy_cluster_upstream_rq_active{{envoy_cluster_name="service/shop/{name}/80/http"}}'
        for name in ("sentiment-new", "other-new")
    )
    rows = {ours: 4.0, other: 9.0, "envoy_server_uptime": 1.0}
    block = block_of(preset, Scraped(labels={"instance": "a", "job": "b"}, before=lines(rows), after=lines(rows)))
    assert block.in_flight(plan_of(preset).arms.candidate, None) == 4.0


def test_what_a_sidecar_reports_of_the_same_request_is_not_counted_again() -> None:
    preset = presets()["istio"]
    labels = {"instance": "10.0.0.9:15020", "job": "sidecars", "namespace": "shop", "pod": "sentiment-new-0"}
    row = f'istio_requests_total{{{_istio("shop", "sentiment-new", "destination")},response_code="200"}}'
    block = block_of(preset, Scraped(labels=labels, before=f"{row} 1", after=f"{row} 9"))
    assert block.errors(plan_of(preset).arms).n_canary == 0


def test_without_merged_backends_envoy_gateway_shows_neither_arm() -> None:
    preset = presets()["envoy-gateway"]
    labels = {"instance": "10.0.0.1:19001", "job": "gateway"}
    row = 'envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="httproute/shop/sentiment/rule/0"}'
    block = block_of(preset, Scraped(labels=labels, before=f"{row} 1", after=f"{row} 9"))
    assert block.errors(plan_of(preset).arms) == Tally()


def test_a_connection_that_the_upstream_refused_is_a_bad_request() -> None:
    preset = presets()["nginx-gateway-fabric-plus"]
    upstream = '{nginx_upstream_name="shop_sentiment-new_80",nginx_peer_address="10.0.0.7:8080"}'
    row = f"nginx_http_upstream_peer_fails_attempts_total{upstream}"
    block = block_of(preset, Scraped(labels={"instance": "a", "job": "b"}, before=f"{row} 1", after=f"{row} 4"))
    assert block.errors(plan_of(preset).arms) == Tally(x_canary=3, n_canary=3)


def test_a_cancelled_request_is_one_and_not_bad_at_triton() -> None:
    preset = presets()["triton"]
    labels = {"namespace": "shop", "pod": "sentiment-new-0"}
    row = 'nv_inference_request_failure{model="m",reason="CANCELED",version="1"}'
    block = block_of(preset, Scraped(labels=labels, before=f"{row} 1\nup 1", after=f"{row} 4\nup 1"))
    assert block.errors(plan_of(preset).arms) == Tally(x_canary=0, n_canary=3)


@pytest.mark.parametrize("name", [name for name, each in presets().items() if each.place.source is Source.SERVER])
def test_each_query_of_a_servers_series_is_kept_within_the_namespace_and_the_pods(name: str) -> None:
    for query in queries(plan_of(presets()[name])):
        assert 'namespace="shop",pod=~"sentiment-old-0|sentiment-new-0"' in query.text, query


@pytest.mark.parametrize("name", GATEWAYS)
def test_each_query_of_a_gateways_series_names_the_namespace(name: str) -> None:
    asked = [query for query in queries(plan_of(presets()[name])) if query.name != "targets"]
    assert asked and all("shop" in query.text for query in asked)


@pytest.mark.parametrize("name", [name for name, each in presets().items() if not each.impossible])
def test_each_query_is_promql_with_a_range(name: str) -> None:
    for query in queries(plan_of(presets()[name])):
        assert isinstance(promql_parser.parse(query.text), promql_parser.MatrixSelector), query.text


def test_an_answer_of_another_namespace_is_not_believed() -> None:
    plan = plan_of(presets()["mlserver"])
    query = queries(plan)[0]
    one = (Sample(100, 1),)
    ours, other = ({"pod": "sentiment-new-0", "namespace": name, "status_code": "500"} for name in ("shop", "other"))
    assert [series.revision for series in read_series(query, [Row(ours, one), Row(other, one)], plan)] == ["new"]
