"""The adapter against a server that misbehaves: every answer has a stated outcome."""

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from modelrollout.domain.analysis import LATENCY, REQUESTS, TARGETS, FaultKind, ProviderFault, Sample
from modelrollout.measure.prometheus import Prometheus, PrometheusSettings
from tests.measure.arms import NEW_PATTERN, OLD, traefik


@dataclass(kw_only=True)
class Script:
    """What the server answers, and what it was asked."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0.0
    drip: float = 0.0
    asked: list[tuple[str, str, dict[str, list[str]], dict[str, str]]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Script]:
    script = Script()
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            script.asked.append((self.command, self.path, parse_qs(body), dict(self.headers)))
            stop.wait(script.hang)
            self.send_response(script.status)
            self.send_header("Content-Length", str(len(script.body)))
            for name, value in script.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for i in range(0, len(script.body), 1 if script.drip else len(script.body) or 1):
                self.wfile.write(script.body[i : i + 1] if script.drip else script.body)
                self.wfile.flush()
                if script.drip and stop.wait(script.drip):
                    return

        do_GET = do_POST  # noqa: N815 -- http.server's spelling

        def log_message(self, *args: object) -> None: ...

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{http.server_port}"
    yield script
    stop.set()
    http.shutdown()
    http.server_close()


def matrix(*rows: tuple[dict[str, str], list[list[object]]], **more: object) -> bytes:
    result = [{"metric": labels, "values": values} for labels, values in rows]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}, **more}).encode()


QUICK = {"read_seconds": 0.3, "deadline_seconds": 0.8}


def settings(script: Script, **changes: float) -> PrometheusSettings:
    patient = {"connect_seconds": 5.0, "read_seconds": 10.0, "deadline_seconds": 15.0, **changes}
    return PrometheusSettings(url=script.url, **patient)  # type: ignore[arg-type]


async def answer(script: Script, **changes: float) -> object:
    prometheus = Prometheus(settings(script, **changes))
    try:
        polls = await prometheus.ask(traefik(latency=False))
    finally:
        prometheus.close()
    return polls[0].answers[REQUESTS]


async def fault(script: Script, **changes: float) -> ProviderFault:
    found = await answer(script, **changes)
    assert isinstance(found, ProviderFault)
    return found


ROW = {"service": OLD, "code": "200", "job": "traefik", "instance": "gw"}


async def test_samples_arrive_with_their_arm_and_what_is_no_number_is_dropped(server: Script) -> None:
    server.body = matrix((ROW, [[100.5, "7"], [105.5, "NaN"], [110.5, "9"]]))
    found = await answer(server)
    assert isinstance(found, tuple)
    assert [(s.revision, s.samples) for s in found] == [("old", (Sample(100.5, 7), Sample(110.5, 9)))]


async def test_the_query_is_sent_as_a_form_with_explicit_time_and_timeout(server: Script) -> None:
    server.body = matrix()
    await answer(server)
    command, path, form, headers = next(each for each in server.asked if "requests_total" in each[2]["query"][0])
    assert (command, path) == ("POST", "/api/v1/query")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert form["query"][0].startswith("traefik_service_requests_total{")
    assert form["time"] == ["115.000"]
    assert form["timeout"] == ["10s"]


async def test_missed_polls_are_read_from_one_answer_each_up_to_its_time(server: Script) -> None:
    server.body = matrix((ROW, [[100, "1"], [105, "2"], [110, "3"]]), ({**ROW, "code": "500"}, [[110, "1"]]))
    prometheus = Prometheus(settings(server))
    polls = await prometheus.ask(traefik(101.0, 106.0, 111.0))
    prometheus.close()
    assert len(server.asked) == 3
    lengths = [[len(s.samples) for s in poll.answers[REQUESTS]] for poll in polls]  # type: ignore[union-attr]
    assert lengths == [[1], [2], [3, 1]]
    assert set(polls[0].answers) == {REQUESTS, LATENCY, TARGETS}
    assert polls[0].queries[REQUESTS].startswith("traefik_service_requests_total{")


async def test_an_empty_answer_is_data_that_says_nothing(server: Script) -> None:
    server.body = matrix()
    assert await answer(server) == ()


async def test_a_hanging_server_is_given_up_on_in_time(server: Script) -> None:
    server.hang = 30
    began = time.monotonic()
    found = await fault(server, **QUICK)
    assert (found.kind, found.permanent) == (FaultKind.TIMEOUT, False)
    assert time.monotonic() - began < 5


async def test_a_server_that_drips_bytes_is_given_up_on_in_time(server: Script) -> None:
    server.body, server.drip = matrix((ROW, [[100, "1"]] * 200)), 0.05
    began = time.monotonic()
    assert (await fault(server, **QUICK)).kind is FaultKind.TIMEOUT
    assert time.monotonic() - began < 5


async def test_a_server_error_is_transient_and_asked_for_once(server: Script) -> None:
    server.status, server.body = 503, b"down"
    found = await fault(server)
    assert (found.kind, found.permanent) == (FaultKind.SERVER_ERROR, False)
    assert len([path for _, path, _, _ in server.asked if path == "/api/v1/query"]) == 2  # one per query, no retry


@pytest.mark.parametrize("status", [400, 422, 401, 404])
async def test_a_refusal_is_permanent(server: Script, status: int) -> None:
    server.status, server.body = status, b'{"status":"error","errorType":"bad_data","error":"parse error"}'
    found = await fault(server)
    assert (found.kind, found.permanent) == (FaultKind.REFUSED, True)


async def test_too_many_requests_is_transient(server: Script) -> None:
    server.status = 429
    assert not (await fault(server)).permanent


@pytest.mark.parametrize(
    "body",
    [b"<html>login</html>", b"", b"[]", b'{"status":"success"}', b'{"status":"error","data":{}}', b"[" * 100_000],
)
async def test_an_answer_that_is_not_prometheus_is_said_to_be_none(server: Script, body: bytes) -> None:
    server.body = body
    assert (await fault(server)).kind is FaultKind.NOT_PROMETHEUS


@pytest.mark.parametrize(
    "body", [b'"metric"', b'{"metric":{}}', b'{"metric":{},"values":[[1]]}', b'{"metric":{},"values":3}']
)
async def test_a_broken_row_is_no_answer(server: Script, body: bytes) -> None:
    server.body = b'{"status":"success","data":{"resultType":"matrix","result":[' + body + b"]}}"
    assert (await fault(server)).kind is FaultKind.NOT_PROMETHEUS


@pytest.mark.parametrize("result", [b'"scalar","result":[1,"2"]', b'"vector","result":[]', b'"matrix","result":{}'])
async def test_a_wrong_result_type_is_no_data(server: Script, result: bytes) -> None:
    server.body = b'{"status":"success","data":{"resultType":' + result + b"}}"
    assert (await fault(server)).kind is FaultKind.WRONG_TYPE


async def test_a_partial_answer_is_no_data(server: Script) -> None:
    server.body = matrix((ROW, [[100, "1"]]), warnings=["store gateway 3 is down"])
    found = await fault(server)
    assert (found.kind, found.permanent) == (FaultKind.PARTIAL, False)
    assert "gateway 3" not in found.message


@pytest.mark.parametrize("packed", [False, True])
async def test_a_huge_answer_is_not_read_to_its_end(server: Script, packed: bool) -> None:
    body = matrix((ROW, [[i, "1"] for i in range(20_000)]))
    server.body = gzip.compress(body) if packed else body
    server.headers = {"Content-Encoding": "gzip"} if packed else {}
    assert (await fault(server, most_bytes=100_000)).kind is FaultKind.TOO_LARGE
    assert isinstance(await answer(server), tuple)


async def test_a_redirect_is_not_followed(server: Script) -> None:
    server.status, server.headers = 302, {"Location": f"{server.url}/elsewhere"}
    assert (await fault(server)).kind is FaultKind.REFUSED
    assert all(path == "/api/v1/query" for _, path, _, _ in server.asked)


async def test_a_server_that_is_not_there_is_unreachable(server: Script) -> None:
    prometheus = Prometheus(PrometheusSettings(url="http://127.0.0.1:1", connect_seconds=0.3))
    polls = await prometheus.ask(traefik())
    prometheus.close()
    found = polls[0].answers[REQUESTS]
    assert isinstance(found, ProviderFault)
    assert found.kind is FaultKind.UNREACHABLE


async def test_the_token_is_read_anew_for_each_request(
    server: Script, tmp_path_factory: pytest.TempPathFactory
) -> None:
    token = tmp_path_factory.mktemp("token") / "token"
    server.body = matrix()
    prometheus = Prometheus(PrometheusSettings(url=server.url, token_file=str(token)))
    for text in ("first", "second"):
        token.write_text(f"{text}\n", encoding="utf-8")
        await prometheus.ask(traefik(latency=False))
    prometheus.close()
    assert {headers["Authorization"] for _, _, _, headers in server.asked} == {"Bearer first", "Bearer second"}


async def test_a_hanging_server_leaves_the_loop_free_and_threads_bounded(server: Script) -> None:
    server.hang = 30
    prometheus = Prometheus(settings(server, **QUICK, threads=2))
    before = {thread.ident for thread in threading.enumerate()}
    asking = [asyncio.create_task(prometheus.ask(traefik())) for _ in range(20)]
    began = time.monotonic()
    await asyncio.sleep(0.05)
    assert time.monotonic() - began < 0.7
    polls = await asyncio.gather(*asking)
    prometheus.close()
    assert all(isinstance(poll.answers[REQUESTS], ProviderFault) for (poll,) in polls)
    ours = [each for each in threading.enumerate() if each.name.startswith("prometheus") and each.ident not in before]
    assert len(ours) == 2


async def test_whether_a_revision_has_any_series_can_be_asked(server: Script) -> None:
    server.body = matrix((ROW, [[100, "1"]]))
    prometheus = Prometheus(settings(server))
    assert await prometheus.sees(traefik(), "old") is True
    assert await prometheus.sees(traefik(), "new") is False
    server.status = 503
    assert isinstance(await prometheus.sees(traefik(), "old"), ProviderFault)
    prometheus.close()
    assert NEW_PATTERN in server.asked[0][2]["query"][0]  # asked one after the other
