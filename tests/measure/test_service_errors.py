"""The whole service's requests: whom the one query asks for, and what is made of its answer."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

import promql_parser
import pytest

from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import Key
from modelrollout.domain.polls import FaultKind, ProviderFault, Sample
from modelrollout.domain.service_errors import ServiceWindows, WindowCount
from modelrollout.measure import service_errors
from modelrollout.measure.queries import Query
from modelrollout.measure.rows import Row, Rows
from modelrollout.measure.series import presets
from modelrollout.measure.service_errors import PART, WholeService, read_windows, service_query
from tests.builders import GOOD, OTHER, STABLE
from tests.measure.arms import preset

KEY = Key(namespace="shop", name="my--model")
COUNTING = [each for each in presets().values() if each.counts_errors and not each.impossible]
ANSWERED = Sample(1000.0, 5.0)


def service(name: str = "traefik") -> WholeService:
    return WholeService(key=KEY, preset=presets()[name])


def selectors(query: Query) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []
    tree = promql_parser.parse(query.text)
    promql_parser.walk(
        tree, lambda node: found.append(node) if isinstance(node, promql_parser.VectorSelector) else None
    )
    return found


@pytest.mark.parametrize("name", [each.name for each in COUNTING])
def test_each_preset_makes_one_query_of_sums_that_is_promql(name: str) -> None:
    query = service_query(service(name), 1000.0)
    assert isinstance(promql_parser.parse(query.text), promql_parser.SubqueryExpr)
    assert re.findall(r"\[(\d+)s\]\)\)", query.text)[:4] == ["21600", "3600", "1800", "300"]
    place = presets()[name].place
    for selector in selectors(query):
        named = {str(matcher) for matcher in selector.matchers.matchers}
        assert any(matcher.startswith(f"{place.arm}=~") for matcher in named), "only this ModelDeployment's"
        assert place.namespace is None or f'{place.namespace}="shop"' in named


@pytest.mark.parametrize("name", [each.name for each in COUNTING])
def test_a_presets_labels_do_not_meet_the_one_that_is_added(name: str) -> None:
    assert PART not in {label for alternative in presets()[name].bad for label, _ in alternative}


def test_at_the_gateway_every_revision_of_this_route_is_counted_and_nobody_elses() -> None:
    pattern = service().pattern()
    for revision in (STABLE.revision, GOOD.revision, OTHER.revision):
        seen = f"httproute-shop-my-model-gw-infra-public-ep-web-0-8ff6-svc-shop-my-model-{revision}-0@kubernetesgateway"
        assert re.fullmatch(pattern, seen)
    for other in (f"my-model-large-{GOOD.revision}", "my-model", "my-model-frontend"):
        assert not re.fullmatch(pattern, f"httproute-shop-my-model-gw-x-svc-shop-{other}-0@kubernetesgateway")
    assert not re.fullmatch(
        pattern, f"httproute-blog-my-model-gw-x-svc-blog-my-model-{GOOD.revision}-0@kubernetesgateway"
    )


def test_at_the_servers_every_revisions_pods_are_counted_and_nobody_elses() -> None:
    pattern = service("mlserver").pattern()
    assert re.fullmatch(pattern, f"my--model-{GOOD.revision}-5d9f8c6b5-x2x4z")
    for other in ("my--model-frontend-5d9f8c6b5-x2x4z", f"my--model-b-{GOOD.revision}-5d9f8c6b5-x2x4z", "my--model-0"):
        assert not re.fullmatch(pattern, other)


def row(part: str, value: float, **labels: str) -> Row:
    return Row({PART: part, **labels}, (Sample(999.0, 1.0), Sample(1000.0, value)))


def test_bad_ones_are_told_by_the_presets_own_patterns() -> None:
    rows = (
        row("traefik_service_requests_total/300", 90.0, code="200"),
        row("traefik_service_requests_total/300", 8.0, code="503"),
        row("traefik_service_requests_total/300", 2.0, code="404"),
        row("traefik_service_requests_total/21600", 700.0, code="200"),
    )
    windows = read_windows(service(), rows)
    assert windows.five_minutes == WindowCount(bad=8.0, total=100.0)
    assert windows.six_hours == WindowCount(bad=0.0, total=700.0)
    assert windows.one_hour == windows.thirty_minutes == WindowCount(bad=0.0, total=0.0)


def test_series_with_names_of_their_own_are_told_apart_though_increase_drops_names() -> None:
    rows = (
        row("nv_inference_request_success/3600", 95.0),
        row("nv_inference_request_failure/3600", 4.0, reason="BACKEND"),
        row("nv_inference_request_failure/3600", 1.0, reason="CANCELED"),
    )
    assert read_windows(service("triton"), rows).one_hour == WindowCount(bad=4.0, total=100.0)
    apart = (row("tgi_request_count/3600", 100.0), row("bad tgi_request_failure/3600", 3.0))
    assert read_windows(service("tgi"), apart).one_hour == WindowCount(bad=3.0, total=100.0)


def test_rows_that_nobody_asked_for_and_values_that_are_no_numbers_count_nothing() -> None:
    rows = (
        row("other/300", 9.0),
        row("traefik_service_requests_total/60", 9.0, code="500"),
        row("traefik_service_requests_total/300", float("nan"), code="500"),
        Row({"code": "500"}, (ANSWERED,)),
        Row({PART: "traefik_service_requests_total/300"}, ()),
    )
    assert read_windows(service(), rows) == read_windows(service(), ())


class Provider:
    def __init__(self, answer: Callable[[], Rows | ProviderFault], *, hangs: bool = False) -> None:
        self.asked: list[Query] = []
        self._answer, self._hangs = answer, hangs

    async def rows(self, query: Query) -> Rows | ProviderFault:
        self.asked.append(query)
        if self._hangs:
            await asyncio.Event().wait()
        return self._answer()


async def ask(provider: Provider, asked: WholeService | None = None) -> ServiceWindows | ProviderFault:
    return await service_errors.service_errors(provider, asked or service(), 1000.0)


async def test_one_query_is_asked_at_the_time_that_is_meant() -> None:
    provider = Provider(lambda: (row("traefik_service_requests_total/300", 9.0, code="500"),))
    answer = await ask(provider)
    assert isinstance(answer, ServiceWindows) and answer.five_minutes.bad == 9.0
    assert [query.at for query in provider.asked] == [1000.0]


async def test_a_fault_is_an_answer_and_one_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = ProviderFault(kind=FaultKind.REFUSED, message="Refused.")
    assert await ask(Provider(lambda: fault)) == fault
    monkeypatch.setattr(service_errors, "LONGEST", 0.01)
    late = await ask(Provider(lambda: (), hangs=True))
    assert isinstance(late, ProviderFault) and late.kind is FaultKind.TIMEOUT


async def test_series_that_count_no_errors_are_not_asked_for() -> None:
    provider = Provider(lambda: ())
    blind = WholeService(key=KEY, preset=replace(preset(Source.SERVER, "mlserver"), bad=(), errors=None))
    answer = await ask(provider, blind)
    assert isinstance(answer, ProviderFault) and provider.asked == []
