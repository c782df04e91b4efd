"""A stub of a Prometheus with a past: serves recorded raw samples to range selectors as the operator writes them.

It knows the four matchers and one range, no functions; a real one is asked elsewhere.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from modelrollout.domain.metrics import LATENCY
from modelrollout.domain.polls import REQUESTS, TARGETS, Sample
from modelrollout.simulate.scraped import Scraped
from tests.measure.http_server import Asked, matrix

Row = tuple[dict[str, str], tuple[Sample, ...]]

_SELECTOR = re.compile(r"(?P<name>\w*)(?:\{(?P<matchers>.*)\})?\[(?P<seconds>\d+)s\]")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')


def answering(rows: Iterable[Row]) -> Callable[[Asked], bytes]:
    """Bodies for tests.measure.http_server, out of these series."""
    stored = tuple(rows)

    def answer(asked: Asked) -> bytes:
        selector = _SELECTOR.fullmatch(asked.query)
        assert selector is not None, f"the stub does not know {asked.query}"
        since = asked.time - int(selector["seconds"])
        matchers = _MATCHER.findall(selector["matchers"] or "")
        if selector["name"]:
            matchers.append(("__name__", "=", selector["name"]))
        found: list[tuple[dict[str, str], list[list[object]]]] = []
        for labels, samples in stored:
            inside = [[sample.t, str(sample.v)] for sample in samples if since < sample.t <= asked.time]
            if inside and all(_fits(labels, *matcher) for matcher in matchers):
                found.append((labels, list(inside)))
        return matrix(*found)

    return answer


def _fits(labels: dict[str, str], label: str, sign: str, value: str) -> bool:
    value, here = value.replace("\\\\", "\\"), labels.get(label, "")
    equal = here == value if sign in ("=", "!=") else re.fullmatch(value, here) is not None
    return equal is not sign.startswith("!")


def as_traefik(scraped: Scraped, *, until: float, namespace: str, route: str) -> list[Row]:
    """What Traefik would have exported of the two revisions behind our route."""
    answers = scraped.poll(until).answers
    target = {"job": "traefik", "instance": "10.0.0.1:8080"}
    series = {
        REQUESTS: "traefik_service_requests_total",
        LATENCY: "traefik_service_request_duration_seconds_bucket",
        TARGETS: "traefik_config_last_reload_success",
    }
    rows: list[Row] = []
    for query, name in series.items():
        answer = answers.get(query, ())
        assert isinstance(answer, tuple)
        for each in answer:
            service = (
                f"httproute-{namespace}-{route}-gw-infra-public-ep-web-0-8ff6d896-svc-"
                f"{namespace}-{route}-{each.revision}-0@kubernetesgateway"
            )
            own = {"service": service} if each.revision else {}
            rows.append(({"__name__": name, **target, **own, **dict(each.labels)}, each.samples))
    return rows


def as_istio(scraped: Scraped, *, until: float, namespace: str, deployment: str) -> list[Row]:
    """What the proxies of an Istio gateway would have exported."""
    answer = scraped.poll(until).answers[REQUESTS]
    assert isinstance(answer, tuple)
    gateway = {"__name__": "istio_requests_total", "job": "istio", "instance": "10.0.0.1:15020", "reporter": "source"}
    return [
        (
            gateway
            | {"destination_service_namespace": namespace, "destination_service_name": f"{deployment}-{each.revision}"}
            | {"response_code": dict(each.labels)["code"]},
            each.samples,
        )
        for each in answer
    ]


def as_pods(scraped: Scraped, names: Mapping[str, str], *, until: float, namespace: str, deployment: str) -> list[Row]:
    """Counters by the query that reads them, and `up`, as one pod of each revision would have exported them."""
    answers = scraped.poll(until).answers
    rows: list[Row] = []
    for query, name in names.items():
        answer = answers[query]
        assert isinstance(answer, tuple)
        for each in answer:
            pod = {"namespace": namespace, "pod": f"{deployment}-{each.revision}-7c9f-x1"}
            rows.append(({"__name__": name, **pod}, each.samples))
            if "/" not in query:
                rows.append(({"__name__": "up", **pod}, tuple(Sample(sample.t, 1.0) for sample in each.samples)))
    return rows


def as_mlserver(scraped: Scraped, *, until: float, namespace: str, deployment: str) -> list[Row]:
    """What pods of MLServer would have exported; the targets are revision and number, as `simulate` names pods."""
    answers = scraped.poll(until).answers
    rows: list[Row] = []
    for query, name in ((REQUESTS, "rest_server_requests_total"), (TARGETS, "up")):
        answer = answers[query]
        assert isinstance(answer, tuple)
        for each in answer:
            revision, _, number = each.target.rpartition("-")
            pod = {"namespace": namespace, "pod": f"{deployment}-{revision}-7c9f-{number}"}
            codes = {"status_code" if label == "code" else label: value for label, value in each.labels}
            rows.append(({"__name__": name, "path": "/v2/models/m/infer", **pod, **codes}, each.samples))
    return rows
