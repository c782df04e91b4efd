"""The policy: ordered rules, each a question with its answer. The first that answers wins. Pure.

What takes traffic back stands above what waits, what waits above what raises. Every "outranks" has a test.
"""

from collections.abc import Callable
from datetime import datetime

from modelrollout.decide.answers import adopted, commit
from modelrollout.decide.commands import obey
from modelrollout.decide.moving_on import advance, promote_baked, raise_weight, start_rollout, take_first
from modelrollout.decide.taking_back import (
    abort_on_regression,
    fail_over,
    finish_leaving,
    leave_superseded_candidate,
    take_back_failed,
)
from modelrollout.decide.upkeep import (
    adopt_what_serves,
    change_router,
    drop_idle_route,
    forget_aborted,
    keep_pause_clock,
    let_go_when_deleting,
    obey_command,
    point_service,
    prune,
    raise_floor,
    refuse_impossible,
    rest,
    shift_traffic,
    snapshot_revision,
)
from modelrollout.decide.view import View
from modelrollout.domain.conditions import Reason
from modelrollout.domain.model_deployment import InvalidSpec
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Checkpoint, Plan, ShiftTraffic

RULES: tuple[Callable[[View], Plan | None], ...] = (
    let_go_when_deleting,
    adopt_what_serves,
    obey_command,
    take_back_failed,
    abort_on_regression,
    fail_over,
    shift_traffic,
    leave_superseded_candidate,
    finish_leaving,
    keep_pause_clock,
    point_service,
    refuse_impossible,
    forget_aborted,
    snapshot_revision,
    prune,
    start_rollout,
    take_first,
    change_router,
    drop_idle_route,
    raise_floor,
    raise_weight,
    advance,
    promote_baked,
    rest,
)


BRAKES = (
    let_go_when_deleting,
    adopt_what_serves,
    obey_command,
    take_back_failed,
    abort_on_regression,
    shift_traffic,
    finish_leaving,
)
"""What still answers when the spec does not parse: judging and the way back, nothing forward."""


def with_brakes_only(view: View, invalid: InvalidSpec) -> Plan:
    """A candidate under way is judged and can be taken back; nothing else of the spec is applied."""
    told = next((answer for rule in BRAKES if (answer := rule(view)) is not None), None)
    if told is not None and (told.intent is not None or view.observed.deleting):
        return told
    kept = tuple(action for action in told.actions if isinstance(action, ShiftTraffic | Checkpoint)) if told else ()
    wake = told.wake_after if told else None
    return Plan(reason=Reason.INVALID_SPEC, message=invalid.message, actions=kept, wake_after=wake)


def without_a_valid_spec(observed: Observed, invalid: InvalidSpec, now: datetime) -> Plan:
    """Not even its traffic can be read: what serves stays as it is; a command is still answered."""
    if observed.deleting:
        return Plan(reason=Reason.DELETING, message=Reason.DELETING.meaning)
    healed = adopted(observed)
    if healed is not None:
        return healed
    answered = obey(observed, now)
    if answered is not None:
        return commit(Reason.COMMANDED, "", answered)
    return Plan(reason=Reason.INVALID_SPEC, message=invalid.message)
