"""Native histograms, read as Prometheus sends them: what is counted is what was observed, whatever the resolution."""

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, exp2, floor, inf, log2
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.decide.blocks import OpenBlock, read_block
from modelrollout.decide.histogram import slower_than
from modelrollout.domain.metrics import LATENCY
from modelrollout.domain.polls import FaultKind, Poll, ProviderFault, Sample, Series
from modelrollout.measure.native import as_buckets, bounds
from modelrollout.measure.prometheus import Prometheus
from modelrollout.measure.queries import MeasurePlan, Query, read_series
from modelrollout.measure.rows import Row, Unreadable, row_of
from modelrollout.measure.sharing import split
from tests.measure.arms import SERVER, mlserver, query
from tests.measure.http_server import Script, patient, serving

NAME = "rest_server_request_duration_seconds"
START, END = 40.0, 100.0
SCRAPES = (25.0, 40.0, 55.0, 70.0, 85.0, 100.0)


def exponential(seconds: Sequence[float], schema: int, threshold: float = 0.0) -> dict[str, Any]:
    """The histogram as Prometheus writes it: buckets (2^(i-1)/2^schema, 2^i/2^schema] and one around zero."""
    counts: dict[tuple[int, float, float], int] = {}
    for each in seconds:
        if abs(each) <= threshold:
            key = (3, -threshold, threshold)
        else:
            i = ceil(log2(abs(each)) * exp2(schema))
            low, high = exp2((i - 1) / exp2(schema)), exp2(i / exp2(schema))
            key = (0, low, high) if each > 0 else (1, -high, -low)
        counts[key] = counts.get(key, 0) + 1
    return written(len(seconds), [(rule, low, high, n) for (rule, low, high), n in counts.items()])


def custom(seconds: Sequence[float], layout: Sequence[float]) -> dict[str, Any]:
    """With bounds of somebody's own."""
    ends = (-inf, *layout, inf)
    counts = [0] * (len(layout) + 1)
    for each in seconds:
        counts[bisect_left(layout, each)] += 1
    return written(len(seconds), [(0, ends[i], ends[i + 1], n) for i, n in enumerate(counts)])


def written(count: float, buckets: Sequence[tuple[int, float, float, float]]) -> dict[str, Any]:
    """Numbers are text, and empty buckets are left out."""
    full = [[rule, text(low), text(high), text(n)] for rule, low, high, n in sorted(buckets) if n]
    return {"count": text(count), "sum": "1"} | ({"buckets": full} if full else {})


def text(number: float) -> str:
    return {inf: "+Inf", -inf: "-Inf"}.get(number) or repr(float(number))


def row(pod: str, histograms: Sequence[tuple[float, dict[str, Any]]]) -> Row:
    metric = {"__name__": NAME, "namespace": "shop", "pod": pod, "path": "/v2/models/m/infer"}
    return row_of(json.loads(json.dumps({"metric": metric, "histograms": histograms})))


def classic(pod: str, le: str, *samples: Sample) -> Row:
    return Row({"__name__": f"{NAME}_bucket", "namespace": "shop", "pod": pod, "le": le}, samples)


def planned(*edges: float) -> MeasurePlan:
    plan = mlserver()
    metrics = tuple(replace(each, edges=edges or None) if each.name == LATENCY else each for each in plan.metrics)
    return replace(plan, metrics=metrics, polls=(END,), since=20.0)


def read(plan: MeasurePlan, *rows: Row) -> tuple[Series, ...]:
    return read_series(query(LATENCY, plan), rows, plan)


def block(plan: MeasurePlan, *rows: Row) -> OpenBlock:
    poll = Poll(at=END, answers={LATENCY: read(plan, *rows)})
    return read_block(poll, plan.arms, start=START, scrape_interval=15, warmup=0)


def stable(plan: MeasurePlan, *rows: Row) -> dict[float, float]:
    """What stable's buckets counted."""
    return block(plan, *rows).buckets(LATENCY, plan.arms.stable, None)


@dataclass(kw_only=True)
class Life:
    """A process as it is scraped: what it has observed since it began, at each scrape."""

    times: list[list[float]] = field(default_factory=list)
    """Observed before each scrape and after the one before."""
    restarts: set[int] = field(default_factory=set)
    """Scrapes before which it began anew; what came before the restart was never scraped."""
    schemas: list[int] = field(default_factory=list)

    def scraped(self) -> Iterator[tuple[float, dict[str, Any]]]:
        since: list[float] = []
        for i, (at, new, schema) in enumerate(zip(SCRAPES, self.times, self.schemas, strict=True)):
            since = list(new) if i in self.restarts else since + new
            yield at, exponential(since, schema)

    def counted(self) -> list[float]:
        """What a span (START, END] has to count."""
        return [each for at, new in zip(SCRAPES, self.times, strict=True) if at > START for each in new]


SECONDS = st.one_of(st.floats(1e-3, 100.0), st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0]))
LIVES = st.builds(
    Life,
    times=st.lists(st.lists(SECONDS, max_size=15), min_size=len(SCRAPES), max_size=len(SCRAPES)),
    restarts=st.sets(st.integers(1, len(SCRAPES) - 1), max_size=2),
    schemas=st.lists(st.integers(0, 8), min_size=len(SCRAPES), max_size=len(SCRAPES)),
)


def _is_told_by(life: Life) -> bool:
    """Whether each restart shows: some power of two has fewer requests up to it, from the one before, than there were."""
    cells: dict[int, int] = {}
    for i, new in enumerate(life.times):
        fresh: dict[int, int] = {}
        for each in new:
            octave = min(13, max(-13, ceil(log2(each))))
            fresh[octave] = fresh.get(octave, 0) + 1
        if i in life.restarts:
            if cells and all(fresh.get(octave, 0) >= n for octave, n in cells.items()):
                return False
            cells = fresh
        else:
            cells = {octave: cells.get(octave, 0) + fresh.get(octave, 0) for octave in {*cells, *fresh}}
    return True


@given(LIVES)
def test_what_is_counted_is_what_was_observed_through_restarts_and_changes_of_resolution(life: Life) -> None:
    if not _is_told_by(life):
        return  # nobody could tell, not from a classic histogram either
    counted = stable(planned(), row("old-1", list(life.scraped())))
    seen = life.counted()
    assert counted[inf] == len(seen)
    for edge in (0.015625, 0.25, 0.5, 1.0, 2.0, 64.0):
        assert slower_than(counted, edge) == (sum(each > edge for each in seen), len(seen))


@given(LIVES)
def test_no_more_are_slower_than_there_are_whatever_restarts(life: Life) -> None:
    counted = stable(planned(), row("old-1", list(life.scraped())))
    rising = [counted[bound] for bound in sorted(counted)]
    assert rising == sorted(rising)
    assert rising[0] >= 0


def test_a_restart_that_only_one_bucket_shows_is_one_for_all() -> None:
    """Before: 9 fast and 1 slow. The new process saw 3 fast and 20 slow: alone, "all" has risen from 10 to 23."""
    before, after = exponential([0.3] * 9 + [3.0], 3), exponential([0.3] * 3 + [3.0] * 20, 3)
    counted = stable(planned(), row("old-1", [(40.0, before), (55.0, after)]))
    assert slower_than(counted, 1.0) == (20, 23)


def test_a_histogram_that_is_born_inside_of_the_span_counts_from_zero() -> None:
    plan = planned()
    scraped_before = classic("old-1", "+Inf", Sample(40.0, 0.0))
    one = row("old-1", [(55.0, exponential([0.3, 3.0], 3))])
    answers = {LATENCY: read(plan, one), "requests": read(plan, scraped_before)}
    born = read_block(Poll(at=END, answers=answers), plan.arms, start=START, scrape_interval=15, warmup=0)
    assert slower_than(born.buckets(LATENCY, plan.arms.stable, None), 1.0) == (1, 2)


def test_of_a_histogram_that_was_there_before_the_first_value_is_the_base() -> None:
    one = row("old-1", [(55.0, exponential([0.3, 3.0], 3)), (70.0, exponential([0.3, 3.0, 3.0], 3))])
    assert slower_than(stable(planned(), one), 1.0) == (1, 1)


def test_zero_and_less_are_faster_than_every_edge_above_the_threshold() -> None:
    told = exponential([0.0, 0.001, -2.0, 3.0], 3, threshold=0.01)
    counted = stable(planned(), row("old-1", [(40.0, exponential([], 3)), (55.0, told)]))
    assert slower_than(counted, 0.015625) == (1, 4)
    assert slower_than(counted, 0.0078125) is None  # inside of the zero bucket


def test_a_threshold_that_grows_is_no_restart() -> None:
    times = [0.001, 0.004, 0.3]
    narrow, wide = exponential(times, 3, threshold=1e-9), exponential([*times, 3.0], 3, threshold=0.01)
    counted = stable(planned(), row("old-1", [(40.0, narrow), (55.0, wide)]))
    assert slower_than(counted, 1.0) == (1, 1)


def test_where_a_bucket_spans_several_powers_of_two_those_between_are_unknown_for_the_whole_arm() -> None:
    fine = row("old-1", [(40.0, exponential([], 3)), (55.0, exponential([1.5, 3.0], 3))])
    coarse = row("old-2", [(40.0, exponential([], -1)), (55.0, exponential([1.5, 3.0], -1))])
    counted = stable(planned(), fine, coarse)
    assert slower_than(counted, 2.0) is None  # (1, 4]
    assert slower_than(counted, 1.0) == (4, 4)


def test_of_custom_buckets_the_edges_that_the_user_names_are_counted() -> None:
    layout = (0.1, 0.25, 1.0, 2.5)
    one = row("old-1", [(40.0, custom([], layout)), (55.0, custom([0.05, 0.1, 0.2, 2.0, 9.0], layout))])
    counted = stable(planned(0.1, 0.3, 2.5), one)
    assert slower_than(counted, 0.1) == (3, 5)
    assert slower_than(counted, 2.5) == (1, 5)
    assert slower_than(counted, 2.0) is None  # inside of (1, 2.5]
    assert stable(planned(0.1), one)[0.25] == 3  # a power of two that is a bound


def test_an_edge_between_two_powers_of_two_is_no_bound_however_fine_the_resolution_is_now() -> None:
    one = row("old-1", [(40.0, exponential([], 3)), (55.0, exponential([0.27, 0.49], 3))])
    assert slower_than(stable(planned(exp2(-1.5)), one), exp2(-1.5)) is None


@pytest.mark.parametrize(("unit", "scale"), [(1.0, 1), (1e-3, 1000), (1e-6, 1_000_000)])
def test_powers_of_two_are_those_of_the_series_own_unit(unit: float, scale: int) -> None:
    plan = planned()
    asked = replace(query(LATENCY, plan), unit=unit)
    read = read_series(asked, [row("old-1", [(55.0, exponential([0.3 * scale, 0.9 * scale], 3))])], plan)
    known = sorted(each.le for each in read if each.le not in (None, inf))
    assert len(known) in (26, 27)
    assert 1e-4 <= known[0] < 2e-4
    assert 5e3 < known[-1] <= 1e4
    assert all(log2(le / unit) == pytest.approx(round(log2(le / unit))) for le in known)


def test_a_named_edge_in_milliseconds_is_the_bound_that_people_mean() -> None:
    assert 300.0 in bounds(1e-3, (0.3,))
    assert floor(log2(bounds(1.0, ())[0])) == -13


LE = "0.25", "+Inf"


def both(*, classic_since: int = 0, native_since: int = 0) -> list[Row]:
    told = [(at, exponential([0.3] * (i + 1), 3)) for i, at in enumerate(SCRAPES)]
    counted = [Sample(at, 100.0 * i) for i, at in enumerate(SCRAPES)]
    return [row("old-1", told[native_since:]), *(classic("old-1", le, *counted[classic_since:]) for le in LE)]


def test_where_both_kinds_are_scraped_requests_count_once_by_the_classic_one() -> None:
    assert stable(planned(), *both()) == {0.25: 400.0, inf: 400.0}


@pytest.mark.parametrize(("since", "counted"), [({"native_since": 3}, 400.0), ({"classic_since": 3}, 4.0)])
def test_a_kind_that_begins_in_the_middle_waits_until_the_other_is_gone(since: dict[str, int], counted: float) -> None:
    """Else all that a running server ever counted would fall into one span."""
    assert stable(planned(), *both(**since))[inf] == counted


def test_the_arms_are_read_each_by_itself() -> None:
    plan = planned()
    counted = block(plan, *both(), row("new-1", [(40.0, exponential([], 2)), (55.0, exponential([3.0], 2))]))
    assert counted.buckets(LATENCY, plan.arms.stable, None)[inf] == 400.0
    assert slower_than(counted.buckets(LATENCY, plan.arms.candidate, None), 1.0) == (1, 1)
    assert {each.revision for each in (SERVER.stable, SERVER.candidate)} == {"old", "new"}


def test_histograms_of_nobody_we_asked_for_say_nothing() -> None:
    coarse = row("somebody", [(55.0, exponential([3.0], -1))])
    fine = row("old-1", [(40.0, exponential([], 3)), (55.0, exponential([3.0], 3))])
    assert slower_than(stable(planned(), coarse, fine), 2.0) == (1, 1)


def test_of_a_shared_answer_each_gets_its_own_histograms_of_its_own_time() -> None:
    """What is asked together must be read as if it had been asked alone."""
    early, late = replace(planned(), polls=(70.0,)), replace(planned(), arms=replace(SERVER, stable=SERVER.candidate))
    members = [query(LATENCY, plan) for plan in (early, late)]
    told = [(at, exponential([0.3] * (i + 1), 3)) for i, at in enumerate(SCRAPES)]
    first, second = split((row("old-1", told), row("new-1", told)), members)
    assert [(each.labels["pod"], [sample.t for sample in each.histograms]) for each in first] == [
        ("old-1", [25.0, 40.0, 55.0, 70.0]),
        ("new-1", [25.0, 40.0, 55.0, 70.0]),
    ]
    assert [(each.labels["pod"], len(each.histograms)) for each in second] == [("new-1", len(SCRAPES))]


def test_values_under_the_bare_name_are_no_buckets() -> None:
    assert read(planned(), Row({"pod": "old-1", "__name__": NAME}, (Sample(55.0, 7.0),))) == ()


@pytest.mark.parametrize(
    "told",
    [
        {"count": "NaN", "sum": "NaN"},
        {"count": "-1", "sum": "0"},
        {"count": "1", "sum": "1", "buckets": [[0, "1", "2", "NaN"]]},
        {"count": "1", "sum": "1", "buckets": [[0, "1", "2", "-3"]]},
    ],
)
def test_what_is_no_count_is_dropped_with_its_scrape(told: dict[str, Any]) -> None:
    good = exponential([3.0], 3)
    assert [each.t for each in row("old-1", [(40.0, good), (55.0, told)]).histograms] == [40.0]


def test_counts_may_be_fractions() -> None:
    told = written(2.5, [(0, 1.0, 2.0, 0.5), (0, 2.0, 4.0, 2.0)])
    counted = stable(planned(), row("old-1", [(40.0, written(0, [])), (55.0, told)]))
    assert slower_than(counted, 2.0) == (2.0, 2.5)


@pytest.mark.parametrize(
    "histograms",
    [
        3,
        ["x"],
        [[1]],
        [[1, "7"]],
        [[1, {"sum": "1"}]],
        [[1, {"count": "1", "buckets": 7}]],
        [[1, {"count": "1", "buckets": [[0, "1", "2"]]}]],
        [[1, {"count": "1", "buckets": [[0, "2", "1", "1"]]}]],
        [[1, {"count": "1", "buckets": [[0, "NaN", "1", "1"]]}]],
        [[1, {"count": "1", "buckets": [[0, ["1"], "2", "1"]]}]],
        [[1, {"count": 10**400}]],
    ],
)
async def test_what_is_no_native_histogram_is_a_fault(histograms: object) -> None:
    entry = {"metric": {"pod": "old-1"}, "histograms": histograms}
    with pytest.raises(Unreadable):
        row_of(entry)
    body = {"status": "success", "data": {"resultType": "matrix", "result": [entry]}}
    with serving(Script(body=json.dumps(body).encode())) as server:
        prometheus = Prometheus(patient(server))
        found = await prometheus.rows(Query(name=LATENCY, text="x[60s]", at=115.0))
        prometheus.close()
    assert isinstance(found, ProviderFault)
    assert (found.kind, found.permanent) == (FaultKind.WRONG_TYPE, True)
    assert "native histograms" in found.message


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["1", "NaN", "+Inf"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["count", "buckets", "x"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_no_answer_is_read_with_another_error(told: object) -> None:
    entry = json.loads(json.dumps({"metric": {}, "histograms": told}))
    try:
        rows = [row_of(entry)]
    except Unreadable:
        return
    except KeyError:
        assert told is None  # then it has to have values
        return
    list(as_buckets(rows, bounds(1.0, ())))
