"""How many requests a fleet makes, and that each member gets what it would have got alone."""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.metrics import Source
from modelrollout.domain.polls import REQUESTS, TARGETS, Arm, ArmPod, Arms, FaultKind, ProviderFault, Sample
from modelrollout.measure.asking import Asking
from modelrollout.measure.queries import MeasurePlan, Query, queries
from modelrollout.measure.rows import Row, Rows
from modelrollout.measure.series import SeriesPreset
from modelrollout.measure.sharing import ALONE, MOST_MEMBERS, WINDOW, SharedQueries, joined, split
from tests.controller.virtual_time import run
from tests.measure.arms import preset

TRAEFIK, MLSERVER = preset(Source.GATEWAY, "traefik"), preset(Source.SERVER, "mlserver")
NOW = 10_000.0


def service(namespace: str, name: str, revision: str, number: str = "[0-9]+", gateway: str = ".+") -> str:
    return f"httproute-{namespace}-{name}-gw-{gateway}-svc-{namespace}-{name}-{revision}-{number}@kubernetesgateway"


def a_plan(
    number: int = 0,
    series: SeriesPreset = TRAEFIK,
    *,
    namespace: str = "",
    at: float = NOW,
    span: float = 75.0,
    latency: bool = True,
) -> MeasurePlan:
    """What the ModelDeployment `model-<number>` asks; by default each has a namespace of its own."""
    namespace, name = namespace or f"team-{number}", f"model-{number}"
    pods = {revision: (ArmPod(name=f"{name}-{revision}-0", created_at=0.0),) for revision in ("old", "new")}
    stable, candidate = (
        Arm(
            revision=f"{name}-{revision}",
            service=service(namespace, name, revision) if series is TRAEFIK else "",
            pods=pods[revision],
        )
        for revision in ("old", "new")
    )
    return MeasurePlan(
        namespace=namespace,
        preset=series,
        arms=Arms(stable=stable, candidate=candidate),
        polls=(at,),
        since=at - span,
        metrics=AnalysisSettings().metrics[: 2 if latency else 1],
    )


class Fleet:
    """A provider that holds series of many ModelDeployments and answers as Prometheus would."""

    def __init__(self, numbers: int = 30, namespace: str = "") -> None:
        self.asked: list[str] = []
        self.fault: Callable[[Query], ProviderFault | None] = lambda _: None
        self._rows = [row for number in range(numbers) for row in _series(number, namespace)]

    async def rows(self, query: Query) -> Rows | ProviderFault:
        self.asked.append(query.text)
        await asyncio.sleep(0)
        return self.fault(query) or tuple(self._matching(query))

    def _matching(self, query: Query) -> Iterator[Row]:
        """Reads the text, as Prometheus does."""
        name, rest = re.fullmatch(r"([a-z_]*)(.*)\[\d+s\]", query.text).groups()  # type: ignore[union-attr]
        matchers = re.findall(r'(\w+)(=~|=|!~|!=)"((?:[^"\\]|\\.)*)"', rest)
        since = query.at - int(query.text.rsplit("[", 1)[1][:-2])
        for labels, samples in self._rows:
            if name in ("", labels["__name__"]) and all(_fits(labels, *matcher) for matcher in matchers):
                cut = tuple(sample for sample in samples if since < sample.t <= query.at)
                if cut:
                    yield Row(labels, cut)


def _fits(labels: dict[str, str], label: str, sign: str, text: str) -> bool:
    value, wanted = labels.get(label, ""), text.replace("\\\\", "\\").replace('\\"', '"')
    hit = value == wanted if sign in ("=", "!=") else re.fullmatch(wanted, value) is not None
    return hit is not sign.startswith("!")


def _series(number: int, namespace: str) -> Iterator[tuple[dict[str, str], tuple[Sample, ...]]]:
    namespace, name = namespace or f"team-{number}", f"model-{number}"
    samples = tuple(Sample(NOW - 300.0 + 15.0 * i + number % 15, float(i)) for i in range(22))
    if number == 0:
        yield {"__name__": "traefik_config_last_reload_success", "instance": "gw"}, samples
    for revision in ("old", "new"):
        told = service(namespace, name, revision, "0", "infra-public")
        yield {"__name__": "traefik_service_requests_total", "service": told, "code": "200"}, samples
        yield {"__name__": "traefik_service_request_duration_seconds_bucket", "service": told, "le": "0.5"}, samples
        pod = {"namespace": namespace, "pod": f"{name}-{revision}-0"}
        yield {"__name__": "rest_server_requests_total", **pod, "path": "/v2/models/m/infer"}, samples
        yield {"__name__": "rest_server_request_duration_seconds_bucket", **pod, "le": "0.5"}, samples
        yield {"__name__": "rest_server_requests_in_progress", **pod, "method": "POST"}, samples
        yield {"__name__": "up", **pod}, samples


def shared(fleet: Fleet) -> SharedQueries:
    return SharedQueries(fleet, monotonic=asyncio.get_running_loop().time)


async def ask(provider: SharedQueries, plan: MeasurePlan, after: float = 0.0) -> dict[str, Rows | ProviderFault]:
    await asyncio.sleep(after)
    asked = queries(plan)
    answers = await asyncio.gather(*map(provider.rows, asked))
    return {query.name: answer for query, answer in zip(asked, answers, strict=True)}


def requests(members: int, *, over: float = 0.0) -> int:
    """Made when so many ModelDeployments ask once, spread evenly over some seconds."""
    fleet = Fleet(0)

    async def work() -> None:
        provider = shared(fleet)
        await asyncio.gather(*(ask(provider, a_plan(i), over * i / members) for i in range(members)))

    run(work())
    return len(fleet.asked)


@pytest.mark.parametrize(("members", "made"), [(1, 3), (10, 3), (100, 6), (1000, 60)])
def test_those_who_ask_at_once_ask_together(members: int, made: int) -> None:
    """After a restart of the operator, or a commit that rolls out many."""
    assert requests(members) == made
    assert MOST_MEMBERS == 50


@pytest.mark.parametrize(("members", "made"), [(1, 3), (10, 30), (100, 300), (1000, 750)])
def test_those_who_ask_at_different_times_do_so_in_large_fleets_only(members: int, made: int) -> None:
    """Each grid begins with its step: spread over a poll of 15 s, a window of 50 ms has company from 300 on."""
    assert requests(members, over=15.0) == made


def test_what_is_asked_of_another_time_is_asked_apart() -> None:
    """Together they would be asked for all that lies between, for all members."""

    async def work() -> list[str]:
        fleet = Fleet()
        queries = shared(fleet)
        await asyncio.gather(ask(queries, a_plan(1)), ask(queries, a_plan(2, at=NOW - 7200.0)))
        return fleet.asked

    asked = run(work())
    assert len(asked) == 6
    assert all(int(text.rsplit("[", 1)[1][:-2]) < 200 for text in asked)


def test_a_query_waits_for_others_for_a_moment_only() -> None:
    async def work() -> float:
        await ask(shared(Fleet()), a_plan())
        return asyncio.get_running_loop().time()

    assert run(work()) == pytest.approx(WINDOW)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.floats(NOW - 20, NOW), st.floats(64, 120)), min_size=2, max_size=8),
    st.sampled_from([TRAEFIK, MLSERVER]),
)
@settings(max_examples=30, deadline=None)
def test_each_member_gets_the_rows_of_its_own_query(
    members: list[tuple[int, float, float]], series: SeriesPreset
) -> None:
    fleet = Fleet(21, namespace="shop")
    plans = [a_plan(i, series, namespace="shop", at=round(at, 3), span=round(span, 3)) for i, at, span in members]

    async def work() -> None:
        for name in (REQUESTS, TARGETS):
            asked = [query for plan in plans for query in queries(plan) if query.name == name]
            together = await fleet.rows(joined(asked))
            assert not isinstance(together, ProviderFault)
            alone = [await fleet.rows(query) for query in asked]
            assert list(split(together, asked)) == alone

    run(work())


def test_what_is_read_is_the_same_with_company_and_without() -> None:
    async def polls(company: int) -> object:
        provider = shared(Fleet())
        asking = Asking(provider, replica_label="prometheus_replica")
        mine, *_ = await asyncio.gather(asking.ask(a_plan(3)), *(ask(provider, a_plan(10 + i)) for i in range(company)))
        return mine

    assert run(polls(0)) == run(polls(20))


def test_the_namespace_stays_forced_in_what_is_asked_together() -> None:
    """A server's series are told by pod names, which are anybody's to choose in another namespace."""
    fleet = Fleet()

    async def work() -> None:
        provider = shared(fleet)
        plans = [a_plan(i, MLSERVER, namespace=f"team-{i % 2}") for i in range(10)]
        await asyncio.gather(*(ask(provider, plan) for plan in plans))

    run(work())
    assert len(fleet.asked) == 8, "four queries of each namespace"
    assert sum('namespace="team-0",pod=~"' in text for text in fleet.asked) == 4
    assert sum('namespace="team-1",pod=~"' in text for text in fleet.asked) == 4


def test_a_server_is_not_shown_the_targets_of_another() -> None:
    async def work() -> None:
        provider = shared(Fleet(4, namespace="shop"))
        plans = [a_plan(i, MLSERVER, namespace="shop") for i in range(4)]
        for number, answers in enumerate(await asyncio.gather(*(ask(provider, plan) for plan in plans))):
            for answer in answers.values():
                assert not isinstance(answer, ProviderFault)
                assert {row[0]["pod"] for row in answer} == {f"model-{number}-old-0", f"model-{number}-new-0"}

    run(work())


REFUSED = ProviderFault(kind=FaultKind.REFUSED, message="refused", permanent=True)
LATE = ProviderFault(kind=FaultKind.TIMEOUT, message="late")


def poisoned_by(member: str, fault: ProviderFault) -> Callable[[Query], ProviderFault | None]:
    return lambda query: fault if member in query.text else None


@pytest.mark.parametrize("kind", [FaultKind.REFUSED, FaultKind.TOO_LARGE, FaultKind.PARTIAL])
def test_where_a_shared_query_is_refused_its_members_are_asked_singly(kind: FaultKind) -> None:
    fleet = Fleet()
    fault = replace(REFUSED, kind=kind)
    fleet.fault = poisoned_by("model-7-", fault)

    async def each(provider: SharedQueries) -> None:
        answers = await asyncio.gather(*(ask(provider, a_plan(i)) for i in range(10)))
        for number, answer in enumerate(answers):
            assert (answer[REQUESTS] == fault) is (number == 7), "one member spoils nothing for the others"

    async def work() -> None:
        provider = shared(fleet)
        await each(provider)
        assert len(fleet.asked) == 3 + 2 * 10, "requests and latency singly; targets name nobody and stay shared"
        await each(provider)
        assert len(fleet.asked) == 23 + 1 + 2 * 10, "and not together again for a while"
        await asyncio.sleep(ALONE)
        fleet.fault = lambda _: None
        await asyncio.gather(*(ask(provider, a_plan(i)) for i in range(10)))
        assert len(fleet.asked) == 44 + 3

    run(work())


def test_after_a_timeout_nobody_is_asked_again_at_once_and_then_each_alone() -> None:
    """Else one heavy member would make the query of all too slow, for ever."""
    fleet = Fleet()
    fleet.fault = poisoned_by("model-7-", LATE)

    async def work() -> None:
        provider = shared(fleet)
        first = await asyncio.gather(*(ask(provider, a_plan(i, latency=False)) for i in range(10)))
        assert [answer[REQUESTS] for answer in first] == [LATE] * 10
        assert len(fleet.asked) == 2
        then = await asyncio.gather(*(ask(provider, a_plan(i, latency=False)) for i in range(10)))
        assert [i for i, answer in enumerate(then) if answer[REQUESTS] == LATE] == [7]

    run(work())


def test_whoever_gives_up_takes_the_answer_from_nobody() -> None:
    async def work() -> None:
        provider = shared(Fleet())
        first, second = (asyncio.create_task(ask(provider, a_plan(i))) for i in range(2))
        await asyncio.sleep(WINDOW / 2)
        first.cancel()
        assert not isinstance((await second)[REQUESTS], ProviderFault)

    run(work())


def test_a_query_that_is_no_selector_is_asked_alone() -> None:
    fleet = Fleet(0)
    fleet.rows = _nothing  # type: ignore[method-assign]

    async def work() -> float:
        query = Query(name="quality", text="sum(rate(errors[1m]))", at=NOW)
        assert await shared(fleet).rows(query) == ()
        return asyncio.get_running_loop().time()

    assert run(work()) == 0.0, "nor is it kept waiting"


async def _nothing(query: Query) -> Rows | ProviderFault:
    return ()
