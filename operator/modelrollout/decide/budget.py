"""The error budget of an SLO: what the candidate burns of it. Only where `guardrails.slo` is given. Pure.

The rule for the candidate has no bound on its errors, so it is never on by itself: without an SLO of one's own,
0.999 would be assumed, and a service that always fails 1 % would see half of its good candidates taken back.
Where stable burns as fast over the same time it is not the candidate's doing, and nothing is taken back for it.

Worked example: a candidate at 10 % of the traffic that fails 1.5 % for 8 hours has spent
0.1 * 15 * 8 / 720 = 1.67 % of a month's budget at 0.999.
"""

from collections.abc import Sequence
from dataclasses import replace

from modelrollout.decide.burn import (
    CANARY_LONG,
    CANARY_SHORT,
    CanaryWindows,
    budget_share,
    burn_rate,
    canary_burning,
    window_start,
)
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.evidence import Evidence, GuardrailFired, Span
from modelrollout.domain.service_errors import WindowCount
from modelrollout.domain.tally import NO_REQUESTS, Block, Tally

GUARDRAIL = "burn"
SPAN = 15.0
"""Blocks are kept for the windows in spans of about this many seconds."""


def grown(evidence: Evidence, settings: AnalysisSettings, block: Block) -> Evidence:
    """With one more block, and the guardrail for good where both windows of the candidate burn too fast."""
    guardrails = settings.guardrails
    if guardrails.slo is None or not block.errors.is_sound():
        return evidence
    canary = WindowCount(bad=block.errors.x_canary, total=block.errors.n_canary)
    share = budget_share(
        weight=block.weight / 100, burn=burn_rate(canary, guardrails.slo), seconds=block.end - block.start
    )
    spent = replace(evidence, spans=_with(evidence.spans, block), budget_spent=evidence.budget_spent + share)
    if evidence.regression is not None or evidence.guardrail is not None:
        return spent
    windows = [_window(spent, seconds) for seconds in (CANARY_LONG, CANARY_SHORT)]
    mine = canary_burning(_canary(windows), guardrails.slo, limit=guardrails.burn)
    if mine is None or canary_burning(_stable(windows), guardrails.slo, limit=guardrails.burn) is not None:
        return spent
    return replace(spent, guardrail=GuardrailFired(name=GUARDRAIL, at=block.end, value=mine.burn))


def is_overspent(evidence: Evidence, settings: AnalysisSettings) -> bool:
    return settings.guardrails.slo is not None and evidence.budget_spent > settings.guardrails.max_budget_share


def _with(spans: Sequence[Span], block: Block) -> tuple[Span, ...]:
    new = Span(start=block.start, end=block.end, errors=block.errors)
    if spans and new.end - spans[-1].start <= SPAN:
        last = spans[-1]
        new = Span(start=last.start, end=new.end, errors=last.errors + new.errors)
        spans = spans[:-1]
    return tuple(span for span in (*spans, new) if span.end > new.end - CANARY_LONG)


def _window(evidence: Evidence, seconds: float) -> Tally:
    end = evidence.spans[-1].end
    start = window_start(end, seconds, evidence.step_at)
    return sum((span.errors for span in evidence.spans if span.end > start), NO_REQUESTS)


def _canary(windows: Sequence[Tally]) -> CanaryWindows:
    long, short = (WindowCount(bad=tally.x_canary, total=tally.n_canary) for tally in windows)
    return CanaryWindows(five_minutes=long, one_minute=short)


def _stable(windows: Sequence[Tally]) -> CanaryWindows:
    """Stable over the same windows, by the same rule."""
    long, short = (WindowCount(bad=tally.x_stable, total=tally.n_stable) for tally in windows)
    return CanaryWindows(five_minutes=long, one_minute=short)
