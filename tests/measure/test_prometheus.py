"""The adapter against a server that misbehaves: every answer has a stated outcome."""

import asyncio
import gzip
import threading
import time
from collections.abc import Iterator

import pytest

from modelrollout.domain.metrics import LATENCY
from modelrollout.domain.polls import REQUESTS, TARGETS, FaultKind, ProviderFault, Sample
from modelrollout.measure.asking import Asking
from modelrollout.measure.prometheus import Prometheus
from modelrollout.measure.provider_settings import ProviderSettings
from tests.measure.arms import NEW_PATTERN, OLD, traefik
from tests.measure.http_server import QUICK, Script, matrix, patient, serving


@pytest.fixture
def server() -> Iterator[Script]:
    with serving(Script()) as script:
        yield script


def asking(provider: Prometheus) -> Asking:
    return Asking(provider, replica_label=provider.settings.replica_label)


async def answer(script: Script, **changes: object) -> object:
    prometheus = Prometheus(patient(script, **changes))
    try:
        polls = await asking(prometheus).ask(traefik(latency=False))
    finally:
        prometheus.close()
    return polls[0].answers[REQUESTS]


async def fault(script: Script, **changes: object) -> ProviderFault:
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
    command, path, form, headers = next(each for each in server.asked if "requests_total" in each.query)
    assert (command, path) == ("POST", "/api/v1/query")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert form["query"][0].startswith("traefik_service_requests_total{")
    assert form["time"] == ["115.000"]
    assert form["timeout"] == ["10s"]


async def test_missed_polls_are_read_from_one_answer_each_up_to_its_time(server: Script) -> None:
    server.body = matrix((ROW, [[100, "1"], [105, "2"], [110, "3"]]), ({**ROW, "code": "500"}, [[110, "1"]]))
    prometheus = Prometheus(patient(server))
    polls = await asking(prometheus).ask(traefik(101.0, 106.0, 111.0))
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
    assert len([asked for asked in server.asked if asked.path == "/api/v1/query"]) == 2  # one per query, no retry


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FaultKind.REFUSED),
        (422, FaultKind.REFUSED),
        (413, FaultKind.REFUSED),
        (401, FaultKind.DENIED),
        (403, FaultKind.DENIED),
        (404, FaultKind.NOT_PROMETHEUS),
        (204, FaultKind.NOT_PROMETHEUS),
    ],
)
async def test_a_refusal_is_permanent(server: Script, status: int, kind: FaultKind) -> None:
    server.status, server.body = status, b'{"status":"error","errorType":"bad_data","error":"parse error"}'
    found = await fault(server)
    assert (found.kind, found.permanent) == (kind, True)
    assert "parse error" not in found.message


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
    assert (await fault(server)).kind is FaultKind.NOT_PROMETHEUS
    assert all(asked.path == "/api/v1/query" for asked in server.asked)


async def test_a_server_that_is_not_there_is_unreachable(server: Script) -> None:
    prometheus = Prometheus(ProviderSettings(url="http://127.0.0.1:1", connect_seconds=0.3))
    polls = await asking(prometheus).ask(traefik())
    prometheus.close()
    found = polls[0].answers[REQUESTS]
    assert isinstance(found, ProviderFault)
    assert found.kind is FaultKind.UNREACHABLE


async def test_the_token_is_read_anew_for_each_request(
    server: Script, tmp_path_factory: pytest.TempPathFactory
) -> None:
    token = tmp_path_factory.mktemp("token") / "token"
    server.body = matrix()
    prometheus = Prometheus(ProviderSettings(url=server.url, token_file=str(token)))
    for text in ("first", "second"):
        token.write_text(f"{text}\n", encoding="utf-8")
        await asking(prometheus).ask(traefik(latency=False))
    prometheus.close()
    assert {asked.headers["Authorization"] for asked in server.asked} == {"Bearer first", "Bearer second"}


async def test_a_hanging_server_leaves_the_loop_free_and_threads_bounded(server: Script) -> None:
    server.hang = 30
    prometheus = Prometheus(patient(server, **QUICK, concurrency=2))
    before = {thread.ident for thread in threading.enumerate()}
    under_way = [asyncio.create_task(asking(prometheus).ask(traefik())) for _ in range(20)]
    began = time.monotonic()
    await asyncio.sleep(0.05)
    assert time.monotonic() - began < 0.7
    polls = await asyncio.gather(*under_way)
    prometheus.close()
    assert all(isinstance(poll.answers[REQUESTS], ProviderFault) for (poll,) in polls)
    ours = [each for each in threading.enumerate() if each.name.startswith("prometheus") and each.ident not in before]
    assert len(ours) == 2


async def test_whether_a_revision_has_any_series_can_be_asked(server: Script) -> None:
    server.body = matrix((ROW, [[100, "1"]]))
    prometheus = Prometheus(patient(server))
    assert await asking(prometheus).sees(traefik(), "old") is True
    assert await asking(prometheus).sees(traefik(), "new") is False
    server.status = 503
    assert isinstance(await asking(prometheus).sees(traefik(), "old"), ProviderFault)
    prometheus.close()
    assert NEW_PATTERN in server.asked[0].query  # asked one after the other


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_in_chunks_is_read_whole(server: Script, packed: bool) -> None:
    body = matrix((ROW, [[100 + i / 1000, str(i)] for i in range(5_000)]))
    server.body, server.chunked = gzip.compress(body) if packed else body, True
    server.headers = {"Content-Encoding": "gzip"} if packed else {}
    found = await answer(server)
    assert isinstance(found, tuple)
    assert [len(series.samples) for series in found] == [5_000]


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_that_breaks_off_is_no_answer(server: Script, chunked: bool) -> None:
    server.body, server.missing, server.chunked = matrix((ROW, [[100, "1"]])), 10, chunked
    found = await fault(server)
    assert found.kind in (FaultKind.UNREACHABLE, FaultKind.NOT_PROMETHEUS)


async def test_the_thread_of_a_dripping_answer_ends_with_its_deadline(server: Script) -> None:
    server.body, server.drip = matrix((ROW, [[100, "1"]] * 2000)), 0.02
    before = {thread.ident for thread in threading.enumerate()}
    await fault(server, **QUICK)
    ours = [each for each in threading.enumerate() if each.name.startswith("prometheus") and each.ident not in before]
    for thread in ours:
        thread.join(5)
    assert not any(thread.is_alive() for thread in ours)


@pytest.mark.parametrize(("seconds", "off"), [(-90, True), (90, True), (2, False), (-2, False)])
async def test_a_clock_that_is_not_ours_makes_an_answer_no_data(server: Script, seconds: float, off: bool) -> None:
    server.body = matrix((ROW, [[100, "1"]]))
    prometheus = Prometheus(patient(server), now=lambda: time.time() + seconds)
    (poll,) = await asking(prometheus).ask(traefik(latency=False))
    prometheus.close()
    found = poll.answers[REQUESTS]
    assert isinstance(found, ProviderFault) is off
    if isinstance(found, ProviderFault):
        assert (found.kind, found.permanent) == (FaultKind.CLOCK, False)
        assert "NTP" in found.message and "90" not in found.message


@pytest.mark.parametrize("headers", [{"Date": "yesterday"}, {"Date": "Thu, 01 Jan 1970 00:00:00 GMT", "Age": "9"}])
async def test_a_date_that_says_nothing_is_left_alone(server: Script, headers: dict[str, str]) -> None:
    server.body, server.headers = matrix((ROW, [[100, "1"]])), headers
    assert isinstance(await answer(server), tuple)


async def test_where_no_place_becomes_free_it_is_said_that_we_are_too_many(server: Script) -> None:
    server.hang = 30
    outcomes: list[str] = []
    settings = patient(server, read_seconds=30.0, deadline_seconds=0.3, concurrency=1)
    prometheus = Prometheus(settings, on_query=lambda _name, outcome, _seconds: outcomes.append(outcome))
    (poll,) = await asking(prometheus).ask(traefik(latency=False))
    prometheus.close()
    told = [answer for answer in poll.answers.values() if isinstance(answer, ProviderFault)]
    assert sorted(outcomes) == ["busy", "timeout"]
    assert [fault.kind for fault in told] == [FaultKind.TIMEOUT] * 2
    assert sum("raise its concurrency" in fault.message for fault in told) == 1
    assert prometheus.state == "closed"


async def test_each_query_is_told_with_its_outcome(server: Script) -> None:
    told: list[tuple[str, str]] = []
    server.body = matrix()
    prometheus = Prometheus(
        patient(server, name="mimir"), on_query=lambda name, outcome, seconds: told.append((name, outcome))
    )
    await asking(prometheus).ask(traefik(latency=False))
    server.status = 503
    await asking(prometheus).ask(traefik(latency=False))
    prometheus.close()
    assert told == [("mimir", "ok")] * 2 + [("mimir", "serverError")] * 2


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_316_400.0

    def __call__(self) -> float:
        return self.now


async def test_a_provider_that_fails_again_and_again_is_left_alone_and_asked_by_one_query_first(server: Script) -> None:
    clock = Clock()
    server.status = 503
    server.headers = {"Date": "-"}
    prometheus = Prometheus(patient(server, name="mimir"), monotonic=clock, now=clock)
    for _ in range(2):
        await asking(prometheus).ask(traefik())
    assert (prometheus.state, len(server.asked)) == ("open", 6)
    (poll,) = await asking(prometheus).ask(traefik())
    told = poll.answers[REQUESTS]
    assert isinstance(told, ProviderFault)
    assert len(server.asked) == 6
    assert told.kind is FaultKind.SERVER_ERROR
    assert told.message == (
        "Failing since 2026-11-22T03:00:00Z, asked again every 10 s: Prometheus `mimir` answered 503; look at its log."
    )
    clock.now += 10
    assert prometheus.state == "halfOpen"
    await asking(prometheus).ask(traefik())
    assert len(server.asked) == 7, "one query tried, the two beside it waited for what it found"
    clock.now += 10
    server.status, server.body = 200, matrix()
    (poll,) = await asking(prometheus).ask(traefik())
    prometheus.close()
    assert (prometheus.state, len(server.asked)) == ("closed", 10)
    assert set(poll.answers.values()) == {()}, "those that waited were asked once it answered"


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_query_says_nothing_about_the_provider(server: Script, status: int) -> None:
    server.status = status
    prometheus = Prometheus(patient(server))
    for _ in range(5):
        await asking(prometheus).ask(traefik())
    prometheus.close()
    assert (prometheus.state, len(server.asked)) == ("closed", 15)
