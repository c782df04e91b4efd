"""The story: which version comes when, what must become of it, and whether it did. Pure.

A chapter is judged by the ModelDeployment's own status and by what users saw, nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from demo.status import Status
from demo.users import Record


class Ending(StrEnum):
    PROMOTED = "promoted"
    TAKEN_BACK = "taken back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One version. `reasons` are those with which it may be taken back, `culprit` the metric that says so."""

    version: str
    told: str
    ending: Ending
    reasons: frozenset[str] = frozenset()
    culprit: str = ""
    unseen: bool = False
    """No request may have reached it."""
    patience: float = 120.0
    """Seconds after which the chapter has failed, whatever comes."""

    def is_over(self, status: Status) -> bool:
        """Whether the operator has made up its mind about this chapter's version."""
        if not status.is_current:
            return False
        if status.phase == "Stable":
            return status.stable_version == self.version
        return status.phase == "RolledBack" and status.aborted_version == self.version

    def surprises(self, status: Status, users: Sequence[Record]) -> tuple[str, ...]:
        """What did not come out as told; nothing, if all did."""
        return (*self._surprises_of_operator(status), *self._surprises_of_users(users))

    def _surprises_of_operator(self, status: Status) -> tuple[str, ...]:
        ending = Ending.TAKEN_BACK if status.aborted_version == self.version else Ending.PROMOTED
        if ending is not self.ending:
            return (f"version {self.version} was {ending}, but should have been {self.ending}",)
        if ending is Ending.PROMOTED:
            return () if status.ready else (f"version {self.version} serves, but Ready is not True",)
        found = []
        if status.aborted_reason not in self.reasons:
            wanted = " or ".join(sorted(self.reasons))
            found.append(f"version {self.version} was taken back as {status.aborted_reason}, not {wanted}")
        blamed = status.decisions[-1].metric if status.decisions else ""
        if self.culprit and blamed != self.culprit:
            found.append(f"version {self.version} was taken back for {blamed or 'nothing named'}, not {self.culprit}")
        if status.ready:
            found.append(f"Ready is True although version {self.version} was taken back")
        return tuple(found)

    def _surprises_of_users(self, users: Sequence[Record]) -> tuple[str, ...]:
        found = []
        failed = sum(record.failed for record in users)
        reached = sum(record.version == self.version for record in users)
        if failed and self.culprit != "errors":
            found.append(f"{failed} requests failed, though nothing but version 4 should fail any")
        if self.unseen and reached:
            found.append(f"{reached} requests reached version {self.version}, which should have got none")
        if not self.unseen and not reached and users:
            found.append(f"no user was answered by version {self.version}")
        return tuple(found)


def _good(version: str, told: str) -> Chapter:
    return Chapter(version=version, told=told, ending=Ending.PROMOTED)


def _bad(version: str, told: str, *reasons: str, culprit: str = "", unseen: bool = False) -> Chapter:
    return Chapter(
        version=version,
        told=told,
        ending=Ending.TAKEN_BACK,
        reasons=frozenset(reasons),
        culprit=culprit,
        unseen=unseen,
    )


FAILS_TOO_OFTEN = ("Regressed", "ErrorRateTooHigh")
"""Beside stable, or by the limit that holds whatever stable does: what is found first."""
NEVER_LOADED = ("ModelNotLoaded", "CrashLoop", "NotReadyInTime")
CHAPTERS = (
    _good("1", "the first deployment: nothing serves yet, so it gets everything once it is ready"),
    _good("2", "a good version: goes up step by step"),
    _bad("3", "ten times slower: comes back", "Regressed", culprit="latency"),
    _bad("4", "fails on half of what users write: comes back", *FAILS_TOO_OFTEN, culprit="errors"),
    _bad("5", "its file is broken: is given up before any user meets it", *NEVER_LOADED, unseen=True),
    _good("6", "a good version, straight after a failure: goes up"),
)

PACE: Mapping[str, Any] = MappingProxyType(
    {
        "scaling": {"mode": "fixed", "replicas": 1},
        "rollout": {
            "steps": [
                {"weight": weight, "minDuration": "6s", "deadline": deadline}
                for weight, deadline in ((10, "14s"), (30, "10s"), (60, "10s"))
            ],
            "bake": "5s",
        },
        "analysis": {
            "poll": "1s",
            "minDuration": "6s",
            "deadline": "14s",
            "minRequests": 40,
            "warmup": "3s",
            "metrics": [
                {"name": "errors", "nonInferiority": {"ratio": 1.5, "absolute": 0.05}},
                {
                    "name": "latency",
                    "edges": [0.025, 0.05],
                    "regression": {"ratio": 2, "absolute": 0.1},
                    "nonInferiority": {"ratio": 2, "absolute": 0.1},
                },
            ],
        },
    },
)
"""What the demo hurries: minutes become seconds.

Seconds see few requests, so "not worse" is proven with a wider margin; the edges of latency are given, not learnt
from 1000 requests; and a latency tail of one request in ten is let pass, because all versions share this machine's
few cores, and a pod with six requests a second is slower than one with fifty, however good its model.
"""


def manifest(quickstart: Mapping[str, Any], version: str, *, image: str) -> dict[str, Any]:
    """The quickstart's ModelDeployment for a version, at the demo's pace and size."""
    spec = quickstart["spec"]
    model = {**spec["model"], "version": version, "uri": f"pvc://models/sentiment/{version}"}
    runtime = {
        **spec["runtime"],
        "image": image,
        "resources": {"requests": {"cpu": "100m", "memory": "300Mi"}, "limits": {"cpu": "700m"}},
        "readyTimeout": "40s",
    }
    return {**quickstart, "spec": {**spec, "model": model, "runtime": runtime, **PACE}}
