"""What two scrapes bring of one exporter is a fault: every request would count double."""

from dataclasses import replace

from modelrollout.domain.polls import REQUESTS, TARGETS, FaultKind, ProviderFault, Sample, Series
from modelrollout.measure.ambiguity import told_apart

PODS = {REQUESTS: "pod"}
TWICE = (Sample(100, 1), Sample(115, 2))


def series(job: str, instance: str = "10.0.0.7:8080", samples: tuple[Sample, ...] = TWICE, **more: str) -> Series:
    labels = {"__name__": "requests_total", "job": job, "instance": instance, "pod": "new-0", **more}
    return Series(revision="new", target="new-0", labels=tuple(sorted(labels.items())), samples=samples)


def found(*answer: Series, arms: dict[str, str] | None = None) -> ProviderFault | None:
    answered = told_apart({REQUESTS: answer}, PODS if arms is None else arms)[REQUESTS]
    return answered if isinstance(answered, ProviderFault) else None


def test_one_exporter_under_two_jobs_is_named_with_the_jobs() -> None:
    fault = found(series("annotations"), series("podmonitor", container="server", endpoint="http"))
    assert fault is not None and fault.kind is FaultKind.AMBIGUOUS and fault.permanent
    assert fault.message.startswith("new-0 is scraped twice by the jobs annotations and podmonitor:")


def test_two_containers_of_a_pod_are_two_exporters() -> None:
    assert found(series("a", instance="10.0.0.7:8080"), series("a", instance="10.0.0.7:9090")) is None


def test_series_that_differ_in_a_label_of_their_own_are_two() -> None:
    assert found(series("a", code="200"), series("a", code="500")) is None


def test_a_job_that_was_renamed_follows_its_old_name() -> None:
    assert found(series("old"), series("new", samples=(Sample(130, 3), Sample(145, 4)))) is None


def test_a_label_that_tells_the_arms_apart_is_never_one_that_a_scrape_adds() -> None:
    one, other = series("gw", service="shop-old"), series("gw", service="shop-new")
    assert found(one, other, arms={REQUESTS: "service"}) is None
    assert found(one, other) is not None


def test_targets_faults_and_series_without_an_address_are_left_as_they_are() -> None:
    up = (replace(series("a"), revision=""), replace(series("b"), revision=""))
    fault = ProviderFault(kind=FaultKind.TIMEOUT, message="late")
    assert told_apart({TARGETS: up, REQUESTS: fault}, PODS) == {TARGETS: up, REQUESTS: fault}
    bare = Series(revision="new", target="new-0", labels=(("job", "a"),), samples=TWICE)
    assert found(bare, replace(bare, labels=(("job", "b"),))) is None
