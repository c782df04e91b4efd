"""Events on a ModelDeployment: what a person would want to know of, said once. Pure.

Core v1 Events, because `kubectl describe` and `kubectl get events` show their count. The same words within
the same ten minutes are one Event: its name is made of them, so that no memory is needed to find it again,
by this process or by the next leader.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout import names
from modelrollout.cluster.kinds import EVENT, Live
from modelrollout.domain.model_deployment import Key

SAME_WITHIN = timedelta(minutes=10)
MESSAGE_LIMIT = 1024
"""The API server refuses a longer one."""


def new_event(key: Key, uid: str, *, reason: str, message: str, warning: bool, now: datetime) -> dict[str, Any]:
    said = message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"
    kind = "Warning" if warning else "Normal"
    window = int(now.timestamp() // SAME_WITHIN.total_seconds())
    digest = hashlib.sha256("\n".join((uid, kind, reason, said, str(window))).encode()).hexdigest()[:16]
    at = _seconds(now)
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {"name": f"{key.name}.{digest}", "namespace": key.namespace},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": key.name,
            "namespace": key.namespace,
            "uid": uid,
        },
        "type": kind,
        "reason": reason,
        "message": said,
        "count": 1,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": names.FIELD_MANAGER},
        "reportingComponent": names.FIELD_MANAGER,
    }


def once_more(known: Live, now: datetime) -> dict[str, Any]:
    """The merge patch that counts it again; a count lost between two writers does no harm."""
    return {"count": int(known.get("count") or 1) + 1, "lastTimestamp": _seconds(now)}


def _seconds(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
