"""Native histograms as a real Prometheus keeps them of itself: they count what its classic ones count."""

from collections.abc import Iterator
from math import inf

import pytest

from modelrollout.decide.blocks import OpenBlock, read_block
from modelrollout.decide.histogram import slower_than
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.metrics import MetricSettings
from modelrollout.domain.metrics import Source as Whose
from modelrollout.domain.polls import Arm, ArmPod, Arms, ProviderFault
from modelrollout.domain.signals import Buckets, SeriesSelector
from modelrollout.measure.asking import Asking
from modelrollout.measure.native import as_buckets, bounds
from modelrollout.measure.prometheus import Prometheus
from modelrollout.measure.provider_settings import ProviderSettings
from modelrollout.measure.queries import MeasurePlan, Query
from modelrollout.measure.rows import Rows
from tests.conformance.prometheus import NAMESPACE, OwnPrometheus, own_prometheus
from tests.measure.arms import preset

__all__ = ["own_prometheus"]

NAME = "prometheus_http_request_duration_seconds"
PAGE = "/-/healthy"
SHARED = (1.0, 8.0)
"""Bounds of its classic histogram that are powers of two."""


@pytest.fixture
def provider(own_prometheus: OwnPrometheus) -> Iterator[Prometheus]:
    provider = Prometheus(ProviderSettings(url=own_prometheus.url))
    yield provider
    provider.close()


async def rows(provider: Prometheus, pod: str, at: float) -> Rows:
    text = f'{{__name__=~"{NAME}_bucket|{NAME}",namespace="{NAMESPACE}",pod="{pod}"}}[120s]'
    found = await provider.rows(Query(name="wait", text=text, at=at))
    assert not isinstance(found, ProviderFault)
    return found


def counted(found: Rows) -> dict[tuple[str, float], dict[float, float]]:
    """Per page and bound the counter at each scrape."""
    told = {(row.labels["handler"], float(row.labels["le"])): row.samples for row in found}
    return {key: {sample.t: sample.v for sample in samples} for key, samples in told.items()}


async def test_each_scrape_counts_the_same_natively_as_in_classic_buckets(
    own_prometheus: OwnPrometheus, provider: Prometheus
) -> None:
    own_prometheus.visit(PAGE, 7)
    found = await rows(provider, "both", own_prometheus.scraped())
    classic = counted(tuple(row for row in found if row.samples))
    natives = tuple(row for row in found if row.histograms)
    native = counted(tuple(as_buckets(natives, bounds(1.0, ()))))
    pages = {page for page, _ in native}
    assert PAGE in pages
    assert pages == {page for page, _ in classic}
    for page in pages:
        for bound in (*SHARED, inf):
            assert native[page, bound] == classic[page, bound]
    assert max(native[PAGE, inf].values()) >= 7


async def test_powers_of_two_count_the_same_at_the_coarsest_resolution_that_has_them(
    own_prometheus: OwnPrometheus, provider: Prometheus
) -> None:
    own_prometheus.visit(PAGE, 40)
    at = own_prometheus.scraped()
    fine, coarse = await rows(provider, "native", at), await rows(provider, "coarse", at)
    edges = tuple(2.0**power for power in range(-24, 4))  # a page of one line takes microseconds
    native, wide = counted(tuple(as_buckets(fine, edges))), counted(tuple(as_buckets(coarse, edges)))
    told = [[max(kind[PAGE, edge].values()) for edge in (*edges, inf)] for kind in (native, wide)]
    assert told[0] == told[1]
    assert len(set(told[0])) > 1
    assert told[0][-1] >= 40


async def test_classic_buckets_that_are_kept_as_custom_ones_count_the_same_at_their_own_bounds(
    own_prometheus: OwnPrometheus, provider: Prometheus
) -> None:
    own_prometheus.visit(PAGE, 3)
    at = own_prometheus.scraped()
    classic = counted(await rows(provider, "classic", at))
    layout = sorted({bound for _, bound in classic if bound != inf})
    custom = counted(tuple(as_buckets(await rows(provider, "custom", at), bounds(1.0, layout))))
    for bound in (*layout, inf):
        assert max(custom[PAGE, bound].values()) == max(classic[PAGE, bound].values()) >= 3


def planned(at: float, start: float) -> MeasurePlan:
    """Stable is scraped natively, the candidate in both ways."""
    wait = MetricSettings.of(
        "wait",
        signal=Buckets(
            buckets=SeriesSelector(series=(f"{NAME}_bucket",), matchers=(("handler", "=", PAGE),)), unit=1.0
        ),
    )
    return MeasurePlan(
        namespace=NAMESPACE,
        preset=preset(Whose.SERVER, "mlserver"),
        arms=Arms(
            stable=Arm(revision="old", pods=(ArmPod(name="native", created_at=0),)),
            candidate=Arm(revision="new", pods=(ArmPod(name="both", created_at=0),)),
        ),
        polls=(at,),
        since=start - 60.0,
        metrics=(*AnalysisSettings().metrics, wait),
    )


async def block(provider: Prometheus, start: float, at: float) -> tuple[OpenBlock, MeasurePlan]:
    plan = planned(at, start)
    (poll,) = await Asking(provider, replica_label="prometheus_replica").ask(plan)
    return read_block(poll, plan.arms, start=start, scrape_interval=0.5, warmup=0), plan


async def test_a_span_counts_each_request_once_through_a_restart(
    own_prometheus: OwnPrometheus, provider: Prometheus
) -> None:
    start = own_prometheus.scraped()
    own_prometheus.visit(PAGE, 25)
    first = own_prometheus.scraped()
    own_prometheus.real.restart()
    own_prometheus.visit(PAGE, 4)
    last = own_prometheus.scraped()
    for at, requests in ((first, 25), (last, 29)):
        counted, plan = await block(provider, start, at)
        for arm in (plan.arms.stable, plan.arms.candidate):
            buckets = counted.buckets("wait", arm, None)
            assert slower_than(buckets, 8.0) == (0, requests)
            assert buckets[inf] == requests
