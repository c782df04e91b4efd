"""The operator's own metrics. Names and labels are controller-runtime's where it has such a metric.

No module-level state: everything hangs on the registry that is passed in. What is told of a ModelDeployment is kept
per object and leaves with it, so that nothing is exported of what is gone. Never a label out of a request or answer.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelrollout.domain.conditions import GIVEN_UP, Phase
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import Key

_CONTROLLER = "modeldeployment"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(slots=True)
class _Told:
    """What we export of one ModelDeployment."""

    status: Fragment
    phase: str = ""
    weight: int = 0
    conditions: dict[str, str] = field(default_factory=dict)
    rollbacks: Tally[str] = field(default_factory=Tally)


class Telemetry:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._fleet = _Fleet()
        registry.register(self._fleet)
        self._walks = Counter(
            "controller_runtime_reconcile", "Walks, by how they ended.", ["controller", "result"], registry=registry
        )
        self._walk_errors = Counter(
            "controller_runtime_reconcile_errors", "Walks that failed.", ["controller"], registry=registry
        )
        self._walk_seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Duration of walks.",
            ["controller"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._active_workers = Gauge(
            "controller_runtime_active_workers", "Workers in a walk.", ["controller"], registry=registry
        )
        self._queue_depth = Gauge("workqueue_depth", "Keys that wait for a worker.", ["name"], registry=registry)
        self._queue_seconds = Histogram(
            "workqueue_queue_duration_seconds",
            "How long a key waited for its worker.",
            ["name"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._requests = Counter(
            "rest_client_requests", "Requests to the API server.", ["method", "code"], registry=registry
        )
        self._leading = Gauge(
            "leader_election_master_status", "1 while this replica holds the Lease.", ["name"], registry=registry
        )
        self._query_seconds = Histogram(
            "modelrollout_prometheus_query_seconds",
            "Duration of measurements, all queries of one poll together.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._query_errors = Counter(
            "modelrollout_prometheus_query_errors",
            "Measurements in which a query had no usable answer.",
            registry=registry,
        )
        self._provider_queries = Counter(
            "modelrollout_prometheus_queries",
            "Queries of each provider: ok, a kind of fault, breaker (not asked: it failed before) or busy (no place).",
            ["provider", "outcome"],
            registry=registry,
        )
        self._provider_seconds = Histogram(
            "modelrollout_prometheus_answer_seconds",
            "How long a provider took to answer one query, or to be given up.",
            ["provider"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._loop_lag = Gauge(
            "modelrollout_event_loop_lag_seconds", "How late the event loop woke a sleeper last.", registry=registry
        )

    def walked(self, result: str, seconds: float) -> None:
        """`result` is one of success, requeue, requeue_after, error."""
        self._walks.labels(_CONTROLLER, result).inc()
        self._walk_seconds.labels(_CONTROLLER).observe(seconds)
        if result == "error":
            self._walk_errors.labels(_CONTROLLER).inc()

    def watch_queue(self, depth: Callable[[], int], walking: Callable[[], int]) -> None:
        self._queue_depth.labels(_CONTROLLER).set_function(depth)
        self._active_workers.labels(_CONTROLLER).set_function(walking)

    def taken(self, waited: float) -> None:
        self._queue_seconds.labels(_CONTROLLER).observe(waited)

    def requested(self, method: str, code: int) -> None:
        """`code` is the HTTP status, 0 where no answer came."""
        self._requests.labels(method, str(code) if code else "<error>").inc()

    def queried(self, seconds: float, failed: bool) -> None:
        self._query_seconds.observe(seconds)
        if failed:
            self._query_errors.inc()

    def asked_provider(self, provider: str, outcome: str, seconds: float) -> None:
        """`outcome`: ok, a kind of fault, breaker or busy; the last two were never sent."""
        self._provider_queries.labels(provider, outcome).inc()
        if outcome not in ("breaker", "busy"):
            self._provider_seconds.labels(provider).observe(seconds)

    def watch_breakers(self, states: Callable[[], Mapping[str, str]]) -> None:
        """`states`: of the breaker of each provider."""
        self.registry.register(_Breakers(states))

    def watch_lease(self, name: str, held: Callable[[], bool]) -> None:
        self._leading.labels(name).set_function(lambda: float(held()))

    def watch_ages(self, ages: Callable[[], Mapping[str, timedelta]]) -> None:
        """`ages`: by kind, how long ago its watch was last heard (bookmarks included)."""
        self.registry.register(_WatchAges(ages))

    def lagged(self, seconds: float) -> None:
        self._loop_lag.set(seconds)

    def saw_status(self, key: Key, status: Fragment) -> None:
        self._fleet.saw(key, status)

    def announced(self, key: Key, reason: str) -> None:
        self._fleet.announced(key, reason)

    def forget(self, key: Key) -> None:
        self._fleet.told.pop(key, None)


class _Fleet(Collector):
    """Gauges per ModelDeployment, made when scraped: 5 000 objects cost nothing until then."""

    def __init__(self) -> None:
        self.told: dict[Key, _Told] = {}

    def saw(self, key: Key, status: Fragment) -> None:
        told = self.told.get(key)
        if told is not None and told.status == status:
            return
        match status.value:
            case {"phase": str(phase), **rest}:
                pass
            case _:
                return
        told = told or self.told.setdefault(key, _Told(status=status))
        told.status, told.phase = status, phase
        match rest:
            case {"rollout": {"weight": int(weight)}}:
                told.weight = weight
            case _:
                told.weight = 0
        match rest:
            case {"conditions": list(conditions)}:
                told.conditions = {each["type"]: each["status"] for each in conditions}
            case _:
                told.conditions = {}

    def announced(self, key: Key, reason: str) -> None:
        if key in self.told and reason in GIVEN_UP:
            self.told[key].rollbacks[reason] += 1

    def describe(self) -> Iterator[Metric]:
        """Empty: the registry need not scrape us to learn our names."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        names = ["namespace", "name"]
        phase = GaugeMetricFamily("modelrollout_phase", "1 for the present phase.", labels=[*names, "phase"])
        weight = GaugeMetricFamily("modelrollout_candidate_weight", "Per cent decided for the candidate.", labels=names)
        condition = GaugeMetricFamily(
            "modelrollout_condition", "1 for the present status of each condition.", labels=[*names, "type", "status"]
        )
        rollbacks = CounterMetricFamily(
            "modelrollout_rollbacks", "Revisions taken back since this process leads.", labels=[*names, "reason"]
        )
        for key, told in sorted(self.told.items(), key=lambda item: (item[0].namespace, item[0].name)):
            labels = [key.namespace, key.name]
            for each in Phase:
                phase.add_metric([*labels, each.value], float(each.value == told.phase))
            weight.add_metric(labels, told.weight)
            for kind, status in told.conditions.items():
                condition.add_metric([*labels, kind, status], 1.0)
            for reason, count in told.rollbacks.items():
                rollbacks.add_metric([*labels, reason], count)
        yield from (phase, weight, condition, rollbacks)


class _WatchAges(Collector):
    def __init__(self, ages: Callable[[], Mapping[str, timedelta]]) -> None:
        self._ages = ages

    def describe(self) -> Iterator[Metric]:
        yield from ()

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "modelrollout_watch_age_seconds", "Time since a kind's watch was last heard.", labels=["kind"]
        )
        for kind, age in sorted(self._ages().items()):
            family.add_metric([kind], age.total_seconds())
        yield family


class _Breakers(Collector):
    def __init__(self, states: Callable[[], Mapping[str, str]]) -> None:
        self._states = states

    def describe(self) -> Iterator[Metric]:
        yield from ()

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "modelrollout_prometheus_breaker",
            "1 for the present state of each provider's breaker: closed (asked), open (not asked) or halfOpen (tried).",
            labels=["provider", "state"],
        )
        for provider, state in sorted(self._states().items()):
            for each in ("closed", "open", "halfOpen"):
                family.add_metric([provider, each], float(each == state))
        yield family
