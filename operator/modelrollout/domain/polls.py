"""What one look at the metrics provider asks and brings: series of samples, whose arm they are, or a fault. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

REQUESTS = "requests"
TARGETS = "targets"
"""Names of the queries of one poll: all requests, latency buckets, and the series that shows that a target was scraped
at all. Every other metric's query has the metric's name, and a part of it a name like `quality/bad`."""
BAD_PART, SUM_PART, VALUE_PART = "bad", "sum", "value"
"""Parts: bad ones that have a series of their own, the sum of scores, the value of a gauge."""
BAD = f"{REQUESTS}/{BAD_PART}"
IN_FLIGHT = "inFlight"
"""Query of a gauge: requests that are not answered yet. No metric can have its name, and it is missed by nobody."""


class Sample(NamedTuple):
    """One scraped value; a tuple and no dataclass because a poll holds thousands."""

    t: float
    v: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One counter as it was scraped, already told whose it is."""

    revision: str
    """The arm; empty for the series that only shows that `target` was scraped."""
    target: str
    """What was scraped: a pod, or an instance of the gateway."""
    labels: tuple[tuple[str, str], ...]
    samples: tuple[Sample, ...]
    bad: bool = False
    le: float | None = None


class FaultKind(StrEnum):
    UNREACHABLE = "unreachable"
    DENIED = "denied"
    """Credentials or certificates are missing, or not accepted."""
    TIMEOUT = "timeout"
    REFUSED = "refused"
    SERVER_ERROR = "serverError"
    NOT_PROMETHEUS = "notPrometheus"
    WRONG_TYPE = "wrongType"
    PARTIAL = "partial"
    TOO_LARGE = "tooLarge"
    CLOCK = "clock"
    """Its clock is not ours, so that its samples are not of the span that was asked for."""
    AMBIGUOUS = "ambiguous"
    """Two scrapes bring the same counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFault:
    """The metrics provider gave no answer that can be used. Never evidence, neither way."""

    kind: FaultKind
    message: str
    permanent: bool = False
    """Asking again will not help until somebody changes something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One look at the metrics provider, at a time of the grid."""

    at: float
    answers: Mapping[str, tuple[Series, ...] | ProviderFault]
    queries: Mapping[str, str] = field(default_factory=dict)
    """The text that was asked, per name, for the reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPod:
    name: str
    created_at: float
    ready_at: float | None = None
    gone: bool = False
    """Terminated: what it scraped counts, nothing more is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of the comparison, and how its series are recognised."""

    revision: str
    service: str = ""
    """Pattern of the gateway's service label, made of our names; empty where the servers' own series are read."""
    pods: tuple[ArmPod, ...] = ()
    ready_at: float | None = None
    """Since when it is Ready as a whole; latency counts from `warmup` after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    stable: Arm
    candidate: Arm
    share: float | None = None
    """The candidate's share that the router really gives, 0 to 1, where it cannot give the weight; None: the weight."""
