"""What is simulated: users, and how both versions answer them. Pure values that check themselves."""

from dataclasses import dataclass, replace
from math import erf, inf, log, sqrt
from typing import Self

TRAEFIK = "traefik"
MOST_REQUESTS = 10_000_000
_RPS = f"a number above 0, at most {MOST_REQUESTS}"
_ENVOY_BOUNDS = (0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
GATEWAY_BOUNDS = {TRAEFIK: (0.1, 0.3, 1.2, 5.0), "istio": _ENVOY_BOUNDS, "envoy-gateway": _ENVOY_BOUNDS}
"""Of the latency buckets in seconds, as each gateway has them unless it is told otherwise."""
SERVER_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Those of Prometheus' client library for Python, which MLServer has."""


def _require(ok: bool, field: str, value: object, wish: str) -> None:
    if not ok:
        raise ValueError(f"{field}: {value} is not possible; write {wish}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lognormal:
    """How long answers take: half of them less than `median` seconds; `sigma` is the spread of their logarithm.

    >>> round(Lognormal(median=0.1, sigma=0.6).below(0.404), 2)
    0.99
    """

    median: float = 0.1
    sigma: float = 0.6

    def __post_init__(self) -> None:
        _require(0 < self.median < inf, "latency median", self.median, "seconds above 0")
        _require(0 < self.sigma <= 5, "latency sigma", self.sigma, "a number above 0, at most 5")

    def below(self, seconds: float) -> float:
        """The share of answers within so many seconds."""
        return 1.0 if seconds == inf else 0.5 * (1 + erf(log(seconds / self.median) / (self.sigma * sqrt(2))))

    def slower(self, factor: float) -> Self:
        return replace(self, median=self.median * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The share of bad ones among what a ratio counts, and the share of requests that it counts at all.

    Of a score it is the mean loss: 0 where all are `high`, 1 where all are `low`.
    """

    bad: float
    counted: float = 1.0

    def __post_init__(self) -> None:
        _require(0 <= self.bad <= 1, "rate", self.bad, "a share from 0 to 1")
        _require(0 < self.counted <= 1, "counted share", self.counted, "a share above 0, at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """How one version answers. `latency` None: its latency is exported by no series."""

    error_rate: float = 0.005
    latency: Lognormal | None = Lognormal()
    own: tuple[tuple[str, Rate | Lognormal], ...] = ()
    """What metrics of the user's own show, by name."""

    def __post_init__(self) -> None:
        _require(0 <= self.error_rate <= 1, "error rate", self.error_rate, "a share from 0 to 1")

    def of(self, metric: str) -> Rate | Lognormal | None:
        """None: not said."""
        return dict(self.own).get(metric)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Users who come at `requests_per_second`, by chance and independently, and two versions that answer them."""

    requests_per_second: float
    stable: Version = Version()
    candidate: Version | None = None
    """None: exactly like stable."""
    good_for: float = 0.0
    """Seconds from its first weight on for which the candidate is like stable; then it turns."""
    scrape: float = 15.0
    """Seconds between two scrapes."""
    pods: int | None = None
    """Stable's; None: as many as the spec asks for without load."""
    ready_after: float = 30.0
    """Seconds from a pod's creation until it is ready."""
    approve_after: float = 0.0
    """Seconds that a person takes to let a step pass that waits for one."""
    bounds: tuple[float, ...] | None = None
    """Upper bounds of the latency buckets in seconds, without +Inf; None: those of the series that are read."""
    gateway: str = TRAEFIK
    """Whose series `analysis.source: gateway` reads."""

    def __post_init__(self) -> None:
        _require(0 < self.requests_per_second <= MOST_REQUESTS, "requests per second", self.requests_per_second, _RPS)
        _require(0.1 <= self.scrape <= 60, "scrape", self.scrape, "0.1 to 60 seconds")
        _require(self.pods is None or 1 <= self.pods <= 1000, "pods", self.pods, "1 to 1000")
        told = (self.stable.latency is None) == (self.tested.latency is None)
        _require(told, "latency", "of one version only", "that of both, or of neither")
        kinds = [{name: type(value) for name, value in version.own} for version in (self.stable, self.tested)]
        _require(kinds[0] == kinds[1], "metrics", "of one version only", "the same metrics of both")
        for name in ("good_for", "ready_after", "approve_after"):
            _require(0 <= getattr(self, name) <= 86_400, name, getattr(self, name), "0 to 86400 seconds")
        rising = self.bounds is None or all(a < b for a, b in zip((0.0, *self.bounds), self.bounds, strict=False))
        _require(rising and self.bounds != (), "bounds", self.bounds, "rising numbers of seconds")

    @property
    def tested(self) -> Version:
        """What the candidate is in the end."""
        return self.stable if self.candidate is None else self.candidate

    def with_candidate(self, candidate: Version | None) -> Self:
        return replace(self, candidate=candidate)
