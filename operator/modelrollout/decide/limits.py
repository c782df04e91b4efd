"""Both arms, each alone, against rates that no candidate may have: what the comparison cannot see. Pure.

There is one limit of errors, `guardrails.errorRateMax`, and one of slow requests for each histogram with an `slo`:
share 0.99 within 0.5 s leaves a rate of 1 % slower than that.

The candidate's test of one limit is a restart mixture like a regression's, with one part more for the time at 100 %:
good early steps must not hide that it fails now. What is held against 1/alphaSlo is the mean over all limits: while
the candidate is within each of them, no test's evidence is expected above 1, so neither is their mean, however they
depend on each other, and alphaSlo holds for all together. The price of k limits is k times the evidence of one; equal
shares of alphaSlo would cost at least that. The candidate is taken back for the limit that speaks loudest.

Stable's test only decides whom to blame, and has to answer for the same moments: each of its sums begins
again at 0 where good requests took it below. Otherwise a fault that both share would be the candidate's:
at 25 and 50 % of the traffic it has had fewer good requests to outweigh, and crosses first. What was blamed
on both stays excused for as long as stable is above the limit; its sums go no higher than is needed to see that, so a
fault that has ended is soon seen to have. What was held against the candidate until then is forgiven, else the end of
a shared fault would take it back. At 100 % stable answers for nothing any more. What is excused, and what has not
shown `minBad` bad requests, has no part in the mean: all of that only makes evidence smaller.

Worked example: limit 1 %, both at 2 % of 300 and 1 200 requests a block: the comparison says nothing, the
candidate crosses after a few minutes, and stable, with four times the requests, has crossed before.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log

from modelrollout.decide import mixture
from modelrollout.decide.counted import Counted
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence, GuardrailFired, LimitEvidence, Scatter
from modelrollout.domain.safeguards import Limit
from modelrollout.domain.tally import NO_REQUESTS, Tally

GUARDRAIL = "slo"
"""Of errors."""
LATENCY_GUARDRAIL = "latencySlo"
STABLE_UNHEALTHY = log(10)
"""Log evidence from which on stable counts as above the limit, too."""
MOST_OF_STABLE = STABLE_UNHEALTHY + 2
"""So that a fault that is over is soon over for stable as well."""


def untested(settings: AnalysisSettings) -> tuple[LimitEvidence, ...]:
    scatter = Scatter(phi=settings.overdispersion.unseen)
    return tuple(LimitEvidence(metric=each.metric, edge=each.edge, scatter=scatter) for each in settings.limits())


def grown(
    known: Sequence[LimitEvidence], settings: AnalysisSettings, block: Counted, *, parts: int
) -> tuple[LimitEvidence, ...]:
    """With one more block, for as many parts as were started. Counts that cannot be are left out."""
    return tuple(
        _grown(each, limit, _tally(limit, block), parts) for each, limit in zip(known, settings.limits(), strict=True)
    )


def _tally(limit: Limit, block: Counted) -> Tally:
    return block.errors if limit.edge is None else block.slower(limit.metric, limit.edge)


def _grown(known: LimitEvidence, limit: Limit, counts: Tally, parts: int) -> LimitEvidence:
    if not counts.is_sound():
        return known
    grid, phi = mixture.slo_grid(limit.rate), known.scatter.phi
    nothing = mixture.nothing_yet(grid)
    canary = mixture.slo_log_factors(grid, counts, limit.rate, phi=phi)
    only_stable = Tally(x_canary=counts.x_stable, n_canary=counts.n_stable)
    stable = mixture.slo_log_factors(grid, only_stable, limit.rate, phi=phi)
    begun = (*known.parts, *(nothing,) * (parts - len(known.parts)))
    return replace(
        known,
        parts=tuple(mixture.added(part, canary) for part in begun),
        stable=tuple(min(MOST_OF_STABLE, max(0.0, s)) for s in mixture.added(known.stable or nothing, stable)),
        rollout=known.rollout + counts,
        step=known.step + counts,
    )


def log_evidence(evidence: Evidence, settings: AnalysisSettings) -> float:
    """Against "the candidate is within every limit"."""
    scores = _scores(evidence, settings)
    return mixture.log_average(scores, [1.0] * len(scores))[0]


def _scores(evidence: Evidence, settings: AnalysisSettings) -> list[float]:
    """Log evidence per limit."""
    planned = evidence.planned_parts + 1
    found = []
    for each, limit in zip(evidence.limits, settings.limits(), strict=True):
        parts = [mixture.log_mixture(mixture.slo_grid(limit.rate), part) for part in each.parts]
        found.append(mixture.log_restart(parts, planned, len(parts)) if parts else 0.0)
    return found


def in_new_step(
    known: Sequence[LimitEvidence], settings: AnalysisSettings, *, alone: bool
) -> tuple[LimitEvidence, ...]:
    """As a step begins. `alone`: stable gets no requests any more, so it cannot answer for what comes."""
    fresh = [replace(each, step=NO_REQUESTS) for each in known]
    if not alone:
        return tuple(fresh)
    limits = settings.limits()
    return tuple(
        replace(_forgiven(each) if _stable_is_above(each, limit) else each, stable=(), excused_at=None)
        for each, limit in zip(fresh, limits, strict=True)
    )


def _forgiven(each: LimitEvidence) -> LimitEvidence:
    """Without what was held against the candidate for a fault that stable shared. It only lowers evidence."""
    return replace(each, parts=tuple(tuple(min(0.0, s) for s in part) for part in each.parts), excused_at=None)


def latched(evidence: Evidence, settings: AnalysisSettings, at: float) -> Evidence:
    """What a closed block settles: the guardrail for good, or an excuse for as long as the crossing lasts."""
    if evidence.regression is not None or evidence.guardrail is not None:
        return evidence
    needed = mixture.log_limit(settings.guardrails.alpha_slo)
    limits = settings.limits()
    ended = [
        _forgiven(each) if each.excused_at is not None and not _stable_is_above(each, limit) else each
        for each, limit in zip(evidence.limits, limits, strict=True)
    ]
    scores = _scores(replace(evidence, limits=tuple(ended)), settings)
    known = [
        replace(each, excused_at=None) if score < needed else each for each, score in zip(ended, scores, strict=True)
    ]
    for index in sorted(range(len(known)), key=scores.__getitem__, reverse=True):
        left = [s for each, s in zip(known, scores, strict=True) if _speaks(each, settings)]
        together = mixture.logsumexp(left) - log(len(known))
        loudest = known[index]
        if together < needed:
            break
        if not _speaks(loudest, settings):
            continue
        if not _stable_is_above(loudest, limits[index]):
            name = GUARDRAIL if loudest.edge is None else LATENCY_GUARDRAIL
            fired = GuardrailFired(name=name, at=at, value=together, metric=loudest.metric, edge=loudest.edge)
            return replace(evidence, limits=tuple(known), guardrail=fired)
        known[index] = replace(loudest, excused_at=at)
    return replace(evidence, limits=tuple(known))


def _speaks(each: LimitEvidence, settings: AnalysisSettings) -> bool:
    return each.excused_at is None and each.rollout.x_canary >= settings.min_bad


def _stable_is_above(each: LimitEvidence, limit: Limit) -> bool:
    return bool(each.stable) and mixture.log_mixture(mixture.slo_grid(limit.rate), each.stable) >= STABLE_UNHEALTHY


def excused(evidence: Evidence) -> LimitEvidence | None:
    """The limit that stable is above, too, and longest so; None: there is none."""
    found = [(each.excused_at, each) for each in evidence.limits if each.excused_at is not None]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def broken(evidence: Evidence) -> LimitEvidence | None:
    """The limit that took the candidate back; None: none did."""
    fired = evidence.guardrail
    if fired is None or fired.name not in (GUARDRAIL, LATENCY_GUARDRAIL):
        return None
    return next((each for each in evidence.limits if (each.metric, each.edge) == (fired.metric, fired.edge)), None)
