"""What a version did to its users, from what they wrote down. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from benchmarks.load import Request

FEW = 0.05
"""Share of the answers that count as slow where nothing is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Of one version, from a moment on. Times are seconds since 1970; bad is failed or slow."""

    begun: float
    """Its first answer."""
    first_bad: float
    last: float
    """Its last answer: nobody met it any more."""
    reached: int
    """Requests that it answered."""
    failed: int
    slow: int

    @classmethod
    def of(
        cls, requests: Sequence[Request], version: str, *, since: float = 0.0, slow_above: float = inf
    ) -> "Exposure":
        """ValueError where no user was given a bad answer by this version."""
        mine = [each for each in requests if each.version == version and each.answered >= since]
        failed = [each.answered for each in mine if each.failed]
        slow = [each.answered for each in mine if each.latency > slow_above]
        if not failed and not slow:
            raise ValueError(f"no user was given a bad answer by version {version}")
        return cls(
            begun=min(each.answered for each in mine),
            first_bad=min(failed + slow),
            last=max(each.answered for each in mine),
            reached=len(mine),
            failed=len(failed),
            slow=len(slow),
        )

    @property
    def seconds(self) -> float:
        """How long users met it after the first bad answer."""
        return self.last - self.first_bad


def usual_limit(requests: Sequence[Request], version: str, *, since: float = 0.0) -> float:
    """Seconds that 19 of 20 answers of a version stay below: what is slow for its users."""
    mine = sorted(each.latency for each in requests if each.version == version and each.answered >= since)
    if not mine:
        raise ValueError(f"version {version} answered nobody")
    return mine[int((1 - FEW) * (len(mine) - 1))]
