"""One walk: observe, decide, carry out, report. Level-triggered: what rang does not matter, only what is."""

import logging
from datetime import datetime, timedelta

from modelrollout.controller.carry_out import carry_out
from modelrollout.controller.evidence_store import LONGEST_MEASUREMENT
from modelrollout.controller.ports import Ports
from modelrollout.decide.plan import plan
from modelrollout.decide.report import changes, status_of
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.model_deployment import Key
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Measure, Outcome, Plan

AT_ONCE = timedelta(0)

_logger = logging.getLogger(__name__)


async def reconcile(key: Key, ports: Ports, now: datetime) -> timedelta | None:
    """Returns when to walk again; None: with the next ring."""
    observed, live = ports.observe(key), ports.children(key)  # one instant: nothing is awaited between the two
    if observed is None:
        ports.forget(key)
        return None  # gone; garbage collection does the rest
    decided = plan(observed, now)
    outcomes = await carry_out(decided.actions, observed, live, ports)
    status = status_of(observed, decided, outcomes, now)
    if status != observed.status:
        await ports.api.patch_status(observed, status)  # refused if the object moved on
    ports.telemetry.saw_status(key, status)
    ports.telemetry.judged(key, decided.judgement, observed.evidence)
    await _announce(observed, status, ports)
    return wake_after(decided, outcomes)


def wake_after(decided: Plan, outcomes: tuple[Outcome, ...]) -> timedelta | None:
    """At once after a commit or a write: its answer counts as read back. Else as the plan wishes."""
    if decided.intent is not None or any(outcome.changed for outcome in outcomes):
        return AT_ONCE
    refused = next((outcome for outcome in outcomes if outcome.refused is not None), None)
    if refused is not None:
        return refused.retry_after  # not sooner, whatever the plan wished: it was made for the action done
    if any(isinstance(outcome.action, Measure) for outcome in outcomes):
        return LONGEST_MEASUREMENT  # its end rings sooner
    return decided.wake_after


async def _announce(observed: Observed, after: Fragment, ports: Ports) -> None:
    for told in changes(observed.status, after) if after != observed.status else ():
        ports.telemetry.announced(observed.key, told.reason, told.action)
        level = logging.WARNING if told.warning else logging.INFO
        names = {"namespace": observed.key.namespace, "deployment": observed.key.name, "reason": told.reason}
        _logger.log(level, told.message, extra=names)
        await ports.api.event(observed, reason=told.reason, message=told.message, warning=told.warning)
