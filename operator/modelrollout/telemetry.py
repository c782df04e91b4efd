"""The operator's own metrics. Names and labels are controller-runtime's where it has such a metric.

No module-level state: everything hangs on the registry that is passed in. What is told of each ModelDeployment is in
`fleet.py`. Never a label out of a request or answer.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.judgement import Judgement
from modelrollout.domain.model_deployment import Key
from modelrollout.fleet import Fleet

_CONTROLLER = "modeldeployment"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Telemetry:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._fleet = Fleet()
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

    def judged(self, key: Key, judgement: Judgement | None, evidence: Evidence | None) -> None:
        """What is thought of a rollout at this walk, told until the rollout is over. None: nothing new is."""
        if judgement is not None and evidence is not None:
            self._fleet.judged(key, judgement, evidence)

    def announced(self, key: Key, reason: str, action: str = "") -> None:
        """`action`: of a decision; empty where nothing was decided."""
        self._fleet.announced(key, reason, action)

    def forget(self, key: Key) -> None:
        self._fleet.forget(key)


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
