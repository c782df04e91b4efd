"""What takes traffic from a candidate, and what then becomes of it. Pure rules; see rules.py for their order."""

from dataclasses import replace
from datetime import timedelta

from modelrollout.decide.answers import SOON, act, commit, start
from modelrollout.decide.guards import candidate_failure, stable_lost
from modelrollout.decide.view import View
from modelrollout.domain.conditions import Reason
from modelrollout.domain.intent import Aborted
from modelrollout.domain.judgement import Action as Advice
from modelrollout.domain.judgement import Verdict
from modelrollout.domain.plan import Action, Checkpoint, Plan

_GUARDRAILS = {
    "guardrail:slo": Reason.ERROR_RATE_TOO_HIGH,
    "guardrail:latencySlo": Reason.TOO_SLOW,
    "guardrail:burn": Reason.ERROR_BUDGET_BURNING,
}


def take_back_failed(view: View) -> Plan | None:
    """A candidate whose pods fail goes, whatever its metrics say. A first revision stays: nothing else serves."""
    intent = view.intent
    if intent.candidate is None or intent.leaving or intent.stable is None:
        return None
    failure = candidate_failure(view.observed, view.desired, view.now)
    return None if failure is None else _take_back(view, failure.reason, failure.message)


def abort_on_regression(view: View) -> Plan | None:
    judgement = view.judgement
    if judgement is None or judgement.observed or judgement.action is not Advice.ROLLBACK:
        return None
    worse = Reason.REGRESSED if judgement.verdict is Verdict.FAIL else Reason.INCONCLUSIVE
    reason = _GUARDRAILS.get(judgement.reason, worse)
    message = f"{judgement.sentence} Apply another spec, or use the retry command.".strip()
    return _take_back(view, reason, message)


def fail_over(view: View) -> Plan | None:
    """Stable is gone and the candidate is good: everything to the candidate, loudly."""
    intent, candidate = view.intent, view.candidate
    if intent.candidate is None or intent.leaving or intent.weight == 100 or intent.stable is None:
        return None
    if candidate is None or not candidate.endpoints or not candidate.ready or not stable_lost(view.observed, view.now):
        return None
    changed = replace(
        intent,
        step=len(view.desired.rollout.steps),
        weight=100,
        target=100,
        promote=True,
        since=view.now,
        paused_for=timedelta(0),
    )
    message = "Stable has no ready pod: all traffic goes to the candidate. Look at why stable's pods are gone."
    return commit(Reason.FAILED_OVER, message, changed)


def leave_superseded_candidate(view: View) -> Plan | None:
    """The spec asks for something else: the candidate loses its traffic first. Nothing is marked bad."""
    intent = view.intent
    if intent.candidate is None or intent.leaving or intent.candidate == view.desired.revision:
        return None
    if intent.stable is None:
        return None if view.observed.snapshot(view.desired.revision) is None else start(view)
    return commit(Reason.SUPERSEDED, Reason.SUPERSEDED.meaning, intent.withdrawing(view.now, aborted=None))


def finish_leaving(view: View) -> Plan | None:
    """The route is seen without the candidate and its connections drained: it is one no longer."""
    intent = view.intent
    if not intent.leaving:
        return None
    if not view.drained:
        evidence = view.observed.evidence
        whole = evidence if evidence is not None and evidence.replay is None else None
        unsaved = whole is not None and whole.last_eval not in (None, view.observed.checkpoint_eval)
        final: tuple[Action, ...] = (Checkpoint(evidence=whole),) if whole is not None and unsaved else ()
        return act(view, Reason.RETIRING, "The candidate's connections drain.", *final, wake_after=SOON)
    changed = replace(intent, candidate=None, leaving=False, step=0, floor=0, started_at=None, preparing_since=None)
    return commit(Reason.WITHDRAWN, Reason.WITHDRAWN.meaning, changed)


def _take_back(view: View, reason: Reason, message: str) -> Plan:
    candidate = view.intent.candidate
    assert candidate is not None
    snapshot = view.observed.snapshot(candidate)
    version = snapshot.version if snapshot else ""
    aborted = Aborted(revision=candidate, version=version, reason=reason, message=message, at=view.now)
    changed = view.intent.withdrawing(view.now, aborted=aborted)
    return replace(commit(reason, message, changed), judgement=view.judgement)
