"""How much traffic a step needs to find a doubling of errors, told before it is waited for. Section 8.2. Pure.

What stable does is taken from the rollout so far, and before that from its past.
"""

from bisect import bisect_left
from dataclasses import dataclass
from math import exp

from modelrollout.decide import mixture
from modelrollout.decide.growth import margin_of
from modelrollout.domain.analysis import AnalysisSettings, StepTiming
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.metrics import ERRORS, Margin

DOUBLED = 2.0
FROM_NOTHING = 0.01
"""The rate that is looked for where stable failed nothing."""
ALTERNATIVES = 400
ENOUGH = 1000
"""Requests of stable from which on the rollout itself says how busy it is."""


def requests_to_detect(
    *, stable_rate: float, canary_rate: float, weight: float, margin: Margin, alpha: float, phi: float = 1.0
) -> float | None:
    """Candidate requests until a regression to `canary_rate` is found, at a weight of 0 to 1; None: never.

    The evidence grows fastest for one alternative of a grid; up to it growth rises, beyond it falls.
    Example: 1 % to 2 % at weight 0.2 with the default margins and alpha 0.01 needs 5 045.
    """
    if not 0 < weight < 1:
        return None
    k, rho = weight / (1 - weight), margin.ratio

    def bet(r: float) -> float:
        return (r - rho) / (rho * (1 + r * k))

    def rises(i: int) -> bool:
        r = _alternative(rho, i)
        return canary_rate > stable_rate * r + margin.absolute * (1 + bet(r))

    top = bisect_left(range(ALTERNATIVES), True, key=lambda i: not rises(i))
    beside = {max(0, top - 1), min(top, ALTERNATIVES - 1)}
    best = max(mixture.log_growth(canary_rate, stable_rate, r=_alternative(rho, i), k=k, margin=margin) for i in beside)
    return phi * (mixture.log_limit(alpha) + 2) / best if best > 0 else None


def _alternative(rho: float, i: int) -> float:
    return rho * exp(0.01 + 0.02 * i)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What it takes to find that errors rose from `stable_rate` to `canary_rate` at this weight."""

    stable_rate: float
    canary_rate: float
    requests: float | None
    """Of the candidate; None: such a rise is within the margin."""
    seconds: float | None
    """At the traffic seen; None: there is none."""
    deadline: float

    @property
    def fits(self) -> bool:
        """Whether the step can deliver them by its deadline."""
        return self.requests is None or (self.seconds is not None and self.seconds <= self.deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    requests: float
    bad: float
    per_second: float


def preview(evidence: Evidence, settings: AnalysisSettings, timing: StepTiming) -> Preview | None:
    """None where nothing is known of stable yet, or errors are not compared."""
    found = next(
        (pair for pair in zip(evidence.metrics, settings.metrics, strict=True) if pair[0].name == ERRORS), None
    )
    seen = _seen(evidence)
    if found is None or seen is None:
        return None
    (metric, wanted), weight = found, evidence.weight / 100
    (test,) = metric.tests
    stable_rate = seen.bad / seen.requests
    canary_rate = min(1.0, DOUBLED * stable_rate) or FROM_NOTHING
    needed = requests_to_detect(
        stable_rate=stable_rate,
        canary_rate=canary_rate,
        weight=weight,
        margin=margin_of(test, wanted),
        alpha=settings.alpha,
        phi=test.scatter.phi,
    )
    arriving = seen.per_second * weight
    return Preview(
        stable_rate=stable_rate,
        canary_rate=canary_rate,
        requests=needed,
        seconds=None if needed is None or arriving <= 0 else needed / arriving,
        deadline=timing.deadline.total_seconds(),
    )


def _seen(evidence: Evidence) -> _Seen | None:
    """Stable in the rollout so far; while that is little, in its past, where that was seen."""
    counts, before = evidence.requests, evidence.before
    seconds = evidence.recent[-1].end - evidence.started_at if evidence.recent else 0.0
    if before is not None and min(before.requests, before.seconds) > 0 and counts.n_stable < ENOUGH:
        return _Seen(requests=before.requests, bad=before.bad, per_second=before.requests / before.seconds)
    if counts.n_stable <= 0 or seconds <= 0:
        return None
    every = counts.n_stable + counts.n_canary
    return _Seen(requests=counts.n_stable, bad=counts.x_stable, per_second=every / seconds)
