"""The evidence of one rollout: everything that has to survive a restart to go on judging.

Pure nouns. How evidence grows is in `decide/evidence.py`, how it is stored in
`decide/evidence_document.py`. One value per attempt: a retry begins afresh.
"""

from dataclasses import dataclass

from modelrollout.domain.metrics import ERRORS, Kind
from modelrollout.domain.polls import ProviderFault
from modelrollout.domain.preflight import Preflight
from modelrollout.domain.service_errors import ServiceErrors
from modelrollout.domain.tally import NO_REQUESTS, Block, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """How far from independent the bad requests of one test are; fixed before the rollout's first block."""

    phi: float = 1.0
    """Variance over mean within an arm."""
    known: bool = False
    """Whether phi was seen; else it is assumed."""
    tau: float = 0.0
    """How much pods differ for good: the standard deviation of the logarithm of their rates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StableBefore:
    """What stable did before the rollout, as far as it could be seen; zeros where nothing could."""

    requests: float = 0.0
    bad: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TestEvidence:
    """One hypothesis: a ratio metric, or one edge of a histogram."""

    __test__ = False  # pytest: not a test class

    edge: float | None
    parts: tuple[tuple[float, ...], ...]
    """Sums of log factors against "no regression": one vector per started part, the first from rollout start."""
    proof: tuple[float, ...]
    """Sums of log factors against "inferior", afresh in each step."""
    proven: bool = False
    scatter: Scatter = Scatter()
    ratio: float | None = None
    """The regression margin's ratio, where it was widened for pods that differ (rho_eff)."""
    interval: tuple[float, ...] = ()
    """Sums of the interval of the rates' ratio, of the whole rollout; empty: no block yet."""
    rollout: Tally = NO_REQUESTS
    step: Tally = NO_REQUESTS


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeEvidence:
    """The sign test of one gauge, from the rollout's start."""

    products: tuple[float, ...]
    """Sums of log factors, one per bet."""
    window: int = -1
    """Number of the last window that was compared, counted from the rollout's start."""
    canary: float | None = None
    stable: float | None = None
    """The values of that window."""
    windows: int = 0
    """That were compared."""
    worse: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvidence:
    name: str
    kind: Kind
    edges: tuple[float, ...] | None
    """Of a histogram: None until chosen; empty when no edge is suitable."""
    tests: tuple[TestEvidence, ...]
    profile: tuple[tuple[float, float], ...] = ()
    """Stable's requests per bucket bound, from which the edges are chosen."""
    unsound_blocks: int = 0
    """Blocks dropped because they had more bad requests than requests."""
    gauge: GaugeEvidence | None = None
    """Of a gauge only."""
    edges_from_past: bool = False
    """Chosen from what stable did before the rollout, so that they hold from its first block on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionFound:
    """A rollback is final: what was found stays found, whatever comes later."""

    metric: str
    edge: float | None
    at: float
    log_evidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitEvidence:
    """Each arm's bad requests alone against a rate that no candidate may have. Empty vectors: no block yet."""

    metric: str = ERRORS
    edge: float | None = None
    """Of a histogram: its requests slower than that are the bad ones."""
    parts: tuple[tuple[float, ...], ...] = ()
    """The candidate's sums of log factors, one vector per started part, the first from rollout start."""
    stable: tuple[float, ...] = ()
    """Stable's sums, none below 0."""
    excused_at: float | None = None
    """Since when the candidate is above the limit while stable was so, too, when that was found."""
    scatter: Scatter = Scatter()
    rollout: Tally = NO_REQUESTS
    step: Tally = NO_REQUESTS


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailFired:
    """Final like a regression."""

    name: str
    at: float
    value: float
    """Of a limit the log evidence, of `burn` how many times faster than allowed."""
    metric: str = ERRORS
    edge: float | None = None
    """Whose limit it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Requests and errors of a few blocks in a row."""

    start: float
    end: float
    errors: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEntered:
    """A weight as it took effect, in unix seconds."""

    step: int
    weight: int
    at: float
    until: float | None = None
    """Its last poll, where it was left; `at`: there was none."""

    def is_same(self, other: "StepEntered") -> bool:
        """Its number may have changed since, when steps were edited in flight."""
        return (self.weight, self.at) == (other.weight, other.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What is still to be done where evidence was lost and is gathered again from the rollout's start."""

    ahead: tuple[StepEntered, ...]
    """The steps that follow the present one."""
    until: float | None
    """The present step's last poll; None: it goes on."""
    saved: "Evidence | None"
    """What status says of the evidence that was lost, to be reached; None: it was."""
    asked_at: float = 0.0
    failing_since: float | None = None
    """From when on no look has brought an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    stable: str
    candidate: str
    attempt: str
    started_at: float
    steps: int
    planned_parts: int
    """J: the parts of the restart mixture, fixed at the start."""
    parts_started: int = 0
    part_at: float = 0.0
    step: int = -1
    """-1: no step has begun."""
    step_at: float = 0.0
    weight: int = 0
    polls: int = 0
    """Polls absorbed in this step."""
    last_eval: float | None = None
    """Time of the last absorbed poll of this step."""
    scrape_interval: float | None = None
    """Seen from the data, fixed for the step."""
    preflight: Preflight | None = None
    """None: nobody has looked yet. It is of no use once the first weight is written, and not stored."""
    before: StableBefore | None = None
    """None: nobody has looked back yet."""
    block_seq: int = 0
    block_start: float = 0.0
    carried: tuple[tuple[str, str, float], ...] = ()
    """Requests per (revision, target) of the last block: whose samples are waited for."""
    metrics: tuple[MetricEvidence, ...] = ()
    requests: Tally = NO_REQUESTS
    """All requests of the rollout, errors as bad."""
    step_requests: Tally = NO_REQUESTS
    recent: tuple[Block, ...] = ()
    last_data_at: float = 0.0
    data_ok: bool = False
    faults: tuple[tuple[str, ProviderFault], ...] = ()
    """What failed at the last poll, per query."""
    fault_since: float | None = None
    fault_seconds: float = 0.0
    """Time without a provider in this step, up to the last answer."""
    missing_scrapes: int = 0
    """Scrapes of ready targets that export none of the series."""
    pod_load: tuple[float, float] = (0.0, 0.0)
    """Requests per ready pod in this step, of the candidate and of stable; zeros where pods are not known."""
    in_flight: Tally = NO_REQUESTS
    """Requests not answered yet at the ends of this step's last blocks, as bad ones, of those answered in them."""
    off_split: int = 0
    """Blocks in a row whose measured share is off the weight."""
    regression: RegressionFound | None = None
    limits: tuple[LimitEvidence, ...] = ()
    """In the order of the settings' limits."""
    guardrail: GuardrailFired | None = None
    spans: tuple[Span, ...] = ()
    """The last minutes of this step, where there is an SLO to hold them against."""
    budget_spent: float = 0.0
    """Share of a month's error budget that the candidate has spent."""
    service: ServiceErrors | None = None
    """All revisions together, where there is an SLO; None: nobody has looked yet."""
    queries: tuple[tuple[str, str], ...] = ()
    entered: tuple[StepEntered, ...] = ()
    """Every step so far."""
    replay: Replay | None = None
    """None: nothing was lost, or it is complete again. Not stored: nothing is saved before it is."""
    restarted_at: float | None = None
    """From when on blocks were counted anew, on top of what status had kept; None: they are complete."""
