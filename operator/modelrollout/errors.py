"""What can go wrong, and who must act.

    RolloutError
    ├── UserMustFix          waits for a change of the object
    │   └── ConflictError        a foreign object has our name
    └── WorldMustHeal        is tried again
        ├── ClusterUnavailable   the API server does not answer, or 429/5xx
        ├── StaleView            a write was refused because the object moved on: look again
        ├── RouterUnavailable    the router's API is missing or refuses
        └── Refused              the API server said no (422, 403)
            └── NamespaceEnding      nothing new is made in a namespace that is being deleted

A spec that does not parse is no error but a value: domain.parse.InvalidSpec.
"""

from datetime import timedelta

from modelrollout.domain.conditions import Reason


class RolloutError(Exception):
    reason: Reason = Reason.REFUSED
    retry_after = timedelta(seconds=5)

    def __init__(self, message: str, *, reason: Reason | None = None, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.message = message
        if reason is not None:
            self.reason = reason
        if retry_after is not None:
            self.retry_after = retry_after


class UserMustFix(RolloutError):  # noqa: N818 -- a category, named for who acts
    retry_after = timedelta(minutes=5)


class ConflictError(UserMustFix):
    """No watch of ours sees the foreign object go, so it is looked for again soon."""

    reason = Reason.CONFLICT
    retry_after = timedelta(seconds=10)


class WorldMustHeal(RolloutError):  # noqa: N818 -- a category, named for who acts
    pass


class ClusterUnavailable(WorldMustHeal):
    pass


class StaleView(WorldMustHeal):
    retry_after = timedelta(0)


class RouterUnavailable(WorldMustHeal):
    reason = Reason.ROUTER_UNAVAILABLE


class Refused(WorldMustHeal):
    reason = Reason.REFUSED
    retry_after = timedelta(seconds=30)


class NamespaceEnding(Refused):
    """Nothing to mend and nobody to tell: the ModelDeployment goes with its namespace."""

    reason = Reason.NAMESPACE_ENDING
