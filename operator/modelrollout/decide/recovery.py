"""Evidence whose ConfigMap was lost in the middle of a rollout: gathered again, or gone on with.

Status keeps when each step began (`recovery_document.py`), so the rollout is asked for again from its first step, at
the polls of the live run. It is complete once it has counted what status says had been counted; until then nothing is
decided and nothing saved, so the loss by itself neither advances nor takes back anything.

Where the samples are no longer there, what status kept goes on: each sum of log factors becomes its mixture's one
number, and later blocks are added to it. A product of successive e-processes is an e-process, so alpha is not spent
twice. Pure.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelrollout.decide import mixture
from modelrollout.decide.evidence import (
    absorb,
    enter_step,
    has_polls_left,
    noted_only,
    period,
)
from modelrollout.decide.recovery_document import with_recovered
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.conditions import Reason
from modelrollout.domain.evidence import Evidence, MetricEvidence, Replay, StepEntered, TestEvidence
from modelrollout.domain.metrics import Kind
from modelrollout.domain.polls import BAD, REQUESTS, Arms, FaultKind, Poll, ProviderFault
from modelrollout.domain.tally import Tally

MOST_POLLS = 5000
"""Of a replay: a day at one poll each 15 s takes the operator about half a minute."""
MOST_BLIND = 60
"""Polls of the first step without a single sample, after which there are none."""
OUTAGE = frozenset({FaultKind.UNREACHABLE, FaultKind.DENIED, FaultKind.SERVER_ERROR})
"""Faults of the provider as a whole, most likely."""
LEAST_SHARE = 0.99
"""Of what status says was counted, for a replay to count as complete."""


def recovered(
    fresh: Evidence, settings: AnalysisSettings, status: Mapping[str, Any], current: StepEntered, now: float
) -> Evidence:
    """What to go on with in the step `current`, of which nothing is known but `.status`; `fresh` has no step.

    In the first step nothing is lost: what was missed is asked for anyway.
    """
    analysis: Mapping[str, Any] = status.get("analysis", {})
    known = analysis.get("attempt") == fresh.attempt
    saved = _saved(fresh, settings, analysis) if known else None
    if saved is not None:
        return _replayed(fresh, saved, settings, current, now)
    if not _has_advanced(status) or not 0 < current.weight < 100:
        return fresh
    log_evidence = analysis.get("logEvidence") if known else None
    if isinstance(log_evidence, int | float):
        return _multiplied(fresh, settings, current, float(log_evidence), now)
    return replace(fresh, restarted_at=current.at)


def _has_advanced(status: Mapping[str, Any]) -> bool:
    """Whether the present rollout has left a step behind."""
    reasons = [each.get("reason") for each in status.get("decisions", [])]
    started = max((i for i, reason in enumerate(reasons) if reason == Reason.ROLLOUT_STARTED), default=-1)
    return Reason.ADVANCED in reasons[started + 1 :]


def _saved(fresh: Evidence, settings: AnalysisSettings, analysis: Mapping[str, Any]) -> Evidence | None:
    document = analysis.get("recovery")
    try:
        return with_recovered(fresh, settings, document) if isinstance(document, Mapping) else None
    except ValueError:
        return None


def _replayed(
    fresh: Evidence, saved: Evidence, settings: AnalysisSettings, current: StepEntered, now: float
) -> Evidence:
    """From the first step on; not where that was tried before or takes too many polls."""
    steps = saved.entered if saved.entered[-1].is_same(current) else (*saved.entered, current)
    polls = (now - steps[0].at) / period(saved, settings)
    if saved.restarted_at is not None or polls > MOST_POLLS:
        return _continued(saved, settings, current, now)
    first, *ahead = steps
    begun = enter_step(_blank(fresh, saved), settings, step=first.step, weight=first.weight, at=first.at)
    return replace(begun, replay=Replay(ahead=tuple(ahead), until=_until(first, ahead), saved=saved))


def _blank(fresh: Evidence, saved: Evidence) -> Evidence:
    """As it was before the first block: what was fixed by then is not asked for again."""

    def blank(test: TestEvidence) -> TestEvidence:
        nothing = mixture.nothing_yet(mixture.NON_INFERIORITY)
        return TestEvidence(edge=test.edge, parts=(), proof=nothing, scatter=test.scatter, ratio=test.ratio)

    def metric(bare: MetricEvidence, known: MetricEvidence) -> MetricEvidence:
        if bare.kind is Kind.HISTOGRAM and bare.edges is None and not known.edges_from_past:
            return bare  # its edges came from the rollout's own first requests, and will again
        past = known.edges_from_past
        return replace(bare, edges=known.edges, tests=tuple(map(blank, known.tests)), edges_from_past=past)

    return replace(
        fresh,
        steps=saved.steps,
        planned_parts=saved.planned_parts,
        before=saved.before,
        limits=tuple(
            replace(bare, scatter=known.scatter) for bare, known in zip(fresh.limits, saved.limits, strict=True)
        ),
        metrics=tuple(map(metric, fresh.metrics, saved.metrics)),
    )


def _continued(saved: Evidence, settings: AnalysisSettings, current: StepEntered, now: float) -> Evidence:
    """What status kept, and fresh blocks from the end of its last one."""
    since = max(saved.block_start, saved.step_at)
    kept = replace(
        saved,
        restarted_at=since,
        last_eval=since if since > saved.step_at else None,
        block_start=since,
        last_data_at=now,
    )
    if saved.entered[-1].is_same(current):
        return kept
    entered = enter_step(kept, settings, step=current.step, weight=current.weight, at=current.at)
    return replace(entered, restarted_at=current.at, last_data_at=max(now, current.at))


def _multiplied(
    fresh: Evidence, settings: AnalysisSettings, current: StepEntered, log_evidence: float, now: float
) -> Evidence:
    """Where status tells no steps: its evidence times that of one plain process which begins now.

    Without knowing which metric it came from it is taken for that of each.
    """
    lone = replace(fresh, planned_parts=1)
    entered = enter_step(lone, settings, step=current.step, weight=current.weight, at=current.at)
    since = round(max(now, current.at), 3)
    part = (log_evidence,) * len(mixture.REGRESSION.multiples)
    metrics = tuple(replace(m, tests=tuple(replace(t, parts=(part,)) for t in m.tests)) for m in entered.metrics)
    return replace(
        entered,
        metrics=metrics,
        restarted_at=since,
        last_eval=since,
        block_start=since,
        part_at=since,
        last_data_at=since,
    )


def resumed(evidence: Evidence, settings: AnalysisSettings, current: StepEntered) -> Evidence:
    """The evidence in the step whose polls are due next; `current` is the one that is in effect."""
    if evidence.replay is None:
        return evidence
    last = evidence.replay.ahead[-1] if evidence.replay.ahead else evidence.entered[-1]
    if not last.is_same(current):
        evidence = _with_one_more(evidence, evidence.replay, current)
    while (replay := evidence.replay) is not None and replay.ahead:
        if has_polls_left(evidence, settings, replay.until):
            break
        following, *ahead = replay.ahead
        evidence = enter_step(evidence, settings, step=following.step, weight=following.weight, at=following.at)
        moved = replace(replay, ahead=tuple(ahead), until=_until(following, ahead))
        evidence = checked(replace(evidence, replay=moved), settings)
    return evidence


def _with_one_more(evidence: Evidence, replay: Replay, current: StepEntered) -> Evidence:
    until = current.at if replay.until is None and not replay.ahead else replay.until
    return replace(evidence, replay=replace(replay, ahead=(*replay.ahead, current), until=until))


def _until(step: StepEntered, ahead: list[StepEntered]) -> float | None:
    """The step's last poll; of one that status does not know, the beginning of the next."""
    if not ahead:
        return None
    return ahead[0].at if step.until is None else step.until


def absorbed(evidence: Evidence, settings: AnalysisSettings, poll: Poll, arms: Arms) -> Evidence:
    """`absorb`; a replay asks again for what was not answered, and is held against what status says.

    What is not answered for `noDataTimeout`, in an outage for `holdTimeout`, is gone: status' evidence is gone on with.
    """
    replay = evidence.replay
    if replay is None:
        return absorb(evidence, settings, poll, arms)
    if _is_worth_asking_again(poll):
        since = replay.asked_at if replay.failing_since is None else replay.failing_since
        if replay.asked_at - since < _patience(poll, settings):
            noted = noted_only(evidence, poll)
            failing = replace(replay, failing_since=since)
            return replace(noted, last_eval=evidence.last_eval, polls=evidence.polls, replay=failing)
        if replay.saved is not None:
            return _continued(replay.saved, settings, _current(evidence, replay), replay.asked_at)
    answered = replace(evidence, replay=replace(replay, failing_since=None))
    return checked(absorb(answered, settings, poll, arms), settings)


def _patience(poll: Poll, settings: AnalysisSettings) -> float:
    """Seconds: an outage may be waited out, but what is refused of the past alone would be refused for ever."""
    kinds = {answer.kind for answer in poll.answers.values() if isinstance(answer, ProviderFault)}
    return (settings.hold_timeout if kinds & OUTAGE else settings.no_data_timeout).total_seconds()


def _current(evidence: Evidence, replay: Replay) -> StepEntered:
    return replay.ahead[-1] if replay.ahead else evidence.entered[-1]


def _is_worth_asking_again(poll: Poll) -> bool:
    faults = [(name, answer) for name, answer in poll.answers.items() if isinstance(answer, ProviderFault)]
    return any(name in (REQUESTS, BAD) or not fault.permanent for name, fault in faults)


def checked(evidence: Evidence, settings: AnalysisSettings) -> Evidence:
    """Once the replay has come as far as status knew: complete, or else status' evidence is gone on with."""
    replay = evidence.replay
    if replay is None:
        return evidence
    saved = replay.saved
    blind = evidence.polls > MOST_BLIND and evidence.scrape_interval is None
    if saved is not None and (blind or evidence.block_start >= saved.block_start):
        if not _has_all(evidence, saved):
            at = max(replay.asked_at, evidence.block_start)
            return _continued(saved, settings, _current(evidence, replay), at)
        replay, saved = replace(replay, saved=None), None
    done = saved is None and not replay.ahead
    return replace(evidence, replay=None if done else replay)


def _has_all(evidence: Evidence, saved: Evidence) -> bool:
    counted = {(m.name, t.edge): t.rollout for m in evidence.metrics for t in m.tests}
    wanted = {(m.name, t.edge): t.rollout for m in saved.metrics for t in m.tests}
    pairs = [(counted.get(key), tally) for key, tally in wanted.items()]
    return all(_reaches(found, tally) for found, tally in [(evidence.requests, saved.requests), *pairs])


def _reaches(found: Tally | None, wanted: Tally) -> bool:
    if found is None:
        return False
    pairs = (
        (found.x_canary, wanted.x_canary),
        (found.n_canary, wanted.n_canary),
        (found.x_stable, wanted.x_stable),
        (found.n_stable, wanted.n_stable),
    )
    return all(here >= LEAST_SHARE * there for here, there in pairs)
