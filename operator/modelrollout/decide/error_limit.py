"""Both arms' errors, each alone against `guardrails.errorRateMax`: what the comparison cannot see. Pure.

The candidate's test is a restart mixture like a regression's, with one part more for the time at 100 %: good
early steps must not hide that it fails now. Its error is `alphaSlo`, however often one looks.

Stable's test only decides whom to blame, and has to answer for the same moments: each of its sums begins
again at 0 where good requests took it below. Otherwise a fault that both share would be the candidate's:
at 25 and 50 % of the traffic it has had fewer good requests to outweigh, and crosses first. What was blamed
on both stays excused until the candidate's evidence is below the limit again, else the end of a shared fault
would take the candidate back.

Worked example: limit 1 %, both at 2 % of 300 and 1 200 requests a block: the comparison says nothing, the
candidate crosses after a few minutes, and stable, with four times the requests, has crossed before.
"""

from dataclasses import replace
from math import log

from modelrollout.decide import mixture
from modelrollout.decide.mixture import Grid
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence, GuardrailFired, LimitEvidence
from modelrollout.domain.tally import Tally

GUARDRAIL = "slo"
STABLE_UNHEALTHY = log(10)
"""Log evidence from which on stable counts as above the limit, too."""


def grown(known: LimitEvidence, settings: AnalysisSettings, errors: Tally, *, parts: int) -> LimitEvidence:
    """With one more block, for as many parts as were started. Counts that cannot be are left out."""
    if not errors.is_sound():
        return known
    limit = settings.guardrails.error_rate_max
    grid = _grid(settings)
    nothing = mixture.nothing_yet(grid)
    canary = mixture.slo_log_factors(grid, errors, limit, phi=known.phi)
    stable = mixture.slo_log_factors(grid, _only_stable(errors), limit, phi=known.phi)
    begun = (*known.parts, *(nothing,) * (parts - len(known.parts)))
    return replace(
        known,
        parts=tuple(mixture.added(part, canary) for part in begun),
        stable=tuple(max(0.0, s) for s in mixture.added(known.stable or nothing, stable)),
    )


def _only_stable(errors: Tally) -> Tally:
    return Tally(x_canary=errors.x_stable, n_canary=errors.n_stable)


def log_evidence(evidence: Evidence, settings: AnalysisSettings) -> float:
    """Against "the candidate's error rate is at most the limit"."""
    parts = evidence.limit.parts
    if not parts:
        return 0.0
    grid = _grid(settings)
    scores = [mixture.log_mixture(grid, part) for part in parts]
    return mixture.log_restart(scores, evidence.planned_parts + 1, len(parts))


def stable_is_above(evidence: Evidence, settings: AnalysisSettings) -> bool:
    sums = evidence.limit.stable
    return bool(sums) and mixture.log_mixture(_grid(settings), sums) >= STABLE_UNHEALTHY


def latched(evidence: Evidence, settings: AnalysisSettings, at: float) -> Evidence:
    """What a closed block settles: the guardrail for good, or an excuse for as long as the crossing lasts."""
    if evidence.regression is not None or evidence.guardrail is not None:
        return evidence
    score = log_evidence(evidence, settings)
    enough = evidence.requests.x_canary >= settings.min_bad
    if not enough or score < mixture.log_limit(settings.guardrails.alpha_slo):
        return replace(evidence, limit=replace(evidence.limit, excused_at=None))
    if evidence.limit.excused_at is not None:
        return evidence
    if stable_is_above(evidence, settings):
        return replace(evidence, limit=replace(evidence.limit, excused_at=at))
    return replace(evidence, guardrail=GuardrailFired(name=GUARDRAIL, at=at, value=score))


def _grid(settings: AnalysisSettings) -> Grid:
    return mixture.slo_grid(settings.guardrails.error_rate_max)
