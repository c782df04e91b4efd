"""How much more requests scatter than independent ones would: phi within an arm, tau between pods.

Both are estimated once before the rollout from pods of the stable revision and then fixed. Movements
common to both arms need neither. Section 3.3 of the analysis; heuristics, measured rather than proven. Pure.

*phi* is the variance over the mean of bad requests. Over blocks in which at least two pods had requests
and one was bad, with mu_p = X n_p / N: chi2 sums (x_p - mu_p)^2 / mu_p, df sums P - 1, and
phi = (chi2 + 30) / (df + 30), from 1 to `most`. The 30 are prior degrees of freedom at phi = 1. Bursts that
last are seen only in longer sums, so it is taken at sums of 1, 4 and 20 polls, and the largest counts.

*tau* is how much the pods' long-run rates differ, as the standard deviation of their logarithm:
v = sum((x_p - mu_p)^2 / mu_p^2) / (P - 1) - mean(1 / mu_p), tau = sqrt(log1p(max(0, v))). It does not average
out over time, only over pods, and widens the margin of regression.

Where pods cannot be told apart, phi is how the bad requests of all together scatter over time. That is too much
rather than too little: it also counts a rate that moves, which both arms share.

Worked examples: three pods with (1, 100), (0, 100), (7, 100) bad of all, then (2, 150), (1, 50), (1, 100), then
one pod alone: chi2 = 10.75 + 0.25, df = 4, phi = 41 / 34 = 1.205882. Totals (100, 10000), (150, 10000),
(60, 10000), (220, 20000) give tau = 0.327880, and with 1 canary and 4 stable pods a ratio of 1.25 becomes 2.6021.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log1p, sqrt
from typing import NamedTuple

from modelrollout.domain.metrics import Margin

SCALES = (1, 4, 20)
PRIOR_FREEDOM = 30.0
MOST = 10.0
FALLBACK = 2.0
LEAST_PODS = 5
LEAST_POLLS, LEAST_BAD = 30, 10.0
"""What one pod must show before its scatter over time says something."""
WIDEST_RATIO = 100.0
"""The largest ratio that a margin may have."""


class PodCount(NamedTuple):
    """Bad and all requests of one pod; a tuple because a look-back holds thousands."""

    bad: float
    total: float


PodCounts = Mapping[str, PodCount]
"""One block: the counts of each pod over the same span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispersion:
    phi: float
    known: bool
    """False: nothing could be compared, and `phi` is the fallback."""


def dispersion(polls: Sequence[PodCounts], *, most: float = MOST, fallback: float = FALLBACK) -> Dispersion:
    """Phi from the stable pods' counts, one block per poll in order of time.

    Several pods without a single bad request give 1: nothing scatters. One pod gives its scatter over time, at most
    the fallback; without enough to see that, the fallback itself.
    """
    if any(sum(count.total > 0 for count in block.values()) > 1 for block in polls):
        return Dispersion(phi=max(dispersion_at(_summed(polls, scale), most=most) for scale in SCALES), known=True)
    seen = [count for block in polls for count in block.values() if count.total > 0]
    if len(seen) < LEAST_POLLS or sum(count.bad for count in seen) < LEAST_BAD:
        return Dispersion(phi=fallback, known=False)
    return Dispersion(phi=max(_over_time(_summed(polls, scale), most=fallback) for scale in SCALES), known=True)


def _over_time(blocks: Sequence[PodCounts], *, most: float) -> float:
    """Phi of blocks of one pod, each held against the rate of all."""
    times = {str(i): count for i, block in enumerate(blocks) for count in block.values()}
    return dispersion_at([times], most=most)


def dispersion_at(blocks: Sequence[PodCounts], *, most: float = MOST) -> float:
    """Phi at one scale, from 1 to `most`."""
    chi2, freedom = 0.0, 0
    for block in blocks:
        served = [count for count in block.values() if count.total > 0]
        rate = _rate(served)
        if len(served) > 1 and rate > 0:
            chi2 += sum((x - rate * n) ** 2 / (rate * n) for x, n in served)
            freedom += len(served) - 1
    return min(most, max(1.0, (chi2 + PRIOR_FREEDOM) / (freedom + PRIOR_FREEDOM)))


def pod_spread(totals: Sequence[PodCount], *, least_pods: int = LEAST_PODS) -> float:
    """Tau from long-run totals per stable pod; 0 with fewer than `least_pods` pods, or fewer than 3."""
    served = [count for count in totals if count.total > 0]
    rate = _rate(served)
    if len(served) < max(3, least_pods) or rate <= 0:
        return 0.0
    expected = [rate * count.total for count in served]
    scatter = sum(((count.bad - mu) / mu) ** 2 for count, mu in zip(served, expected, strict=True))
    by_chance = sum(1 / mu for mu in expected) / len(expected)
    return sqrt(log1p(max(0.0, scatter / (len(served) - 1) - by_chance)))


def widened(
    margin: Margin, tau: float, *, canary_pods: int, stable_pods: int, z: float = 2.0, max_factor: float = 3.0
) -> Margin:
    """The regression margin that pods as different as `tau` do not cross by themselves; its ratio is rho_eff."""
    apart = tau * sqrt(1 / max(1, canary_pods) + 1 / max(1, stable_pods))
    factor = min(max_factor, exp(z * apart))
    return Margin(ratio=min(WIDEST_RATIO, margin.ratio * factor), absolute=margin.absolute)


def _summed(polls: Sequence[PodCounts], scale: int) -> list[PodCounts]:
    """Sums of `scale` polls in a row that do not overlap; what is left at the end is too short and falls out."""
    return [_together(polls[i : i + scale]) for i in range(0, len(polls) - scale + 1, scale)]


def _together(blocks: Sequence[PodCounts]) -> PodCounts:
    if len(blocks) == 1:
        return blocks[0]
    sums: dict[str, PodCount] = {}
    for block in blocks:
        for pod, (x, n) in block.items():
            before = sums.get(pod, PodCount(0.0, 0.0))
            sums[pod] = PodCount(before.bad + x, before.total + n)
    return sums


def _rate(counts: Sequence[PodCount]) -> float:
    total = sum(count.total for count in counts)
    return sum(count.bad for count in counts) / total if total > 0 else 0.0
