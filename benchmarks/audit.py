"""The API server's audit log: who asked what, when. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

OPERATOR = "system:serviceaccount:modelrollout-system:modelrollout"
GATEWAY = "traefik"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. `ended`: seconds since 1970 at which it was answered."""

    user: str
    verb: str
    resource: str
    """With its subresource: `modeldeployments/status`."""
    namespace: str
    name: str
    began: float
    ended: float
    code: int

    @classmethod
    def of(cls, event: dict[str, Any]) -> Self:
        about = event.get("objectRef") or {}
        resource = about.get("resource") or event.get("requestURI", "").partition("?")[0]
        subresource = about.get("subresource")
        return cls(
            user=event["user"]["username"],
            verb=event["verb"],
            resource=f"{resource}/{subresource}" if subresource else resource,
            namespace=about.get("namespace", ""),
            name=about.get("name", ""),
            began=_seconds(event["requestReceivedTimestamp"]),
            ended=_seconds(event["stageTimestamp"]),
            code=(event.get("responseStatus") or {}).get("code", 0),
        )

    @property
    def is_standing(self) -> bool:
        """A watch, or the Lease: what an operator does all the time, whatever there is to do."""
        return self.verb == "watch" or self.resource == "leases"


def read(lines: Iterable[str], *, user: str | None = None) -> Iterator[Asked]:
    """Every request that was answered, each once: a watch is told when it begins and again when it ends."""
    for line in lines:
        if not line.endswith("\n") or (user is not None and user not in line):
            continue
        event = json.loads(line)
        if event["stage"] == "ResponseComplete" or (event["verb"] == "watch" and event["stage"] == "ResponseStarted"):
            asked = Asked.of(event)
            if user is None or asked.user == user:
                yield asked


def per_minute(asked: Iterable[Asked], seconds: float) -> dict[str, float]:
    """`verb resource` → requests a minute, most frequent first."""
    counts = Counter(f"{each.verb} {each.resource}" for each in asked)
    return {what: count * 60 / seconds for what, count in counts.most_common()}


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
