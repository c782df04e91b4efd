"""The Lease as a record, over the one door to the API server. No retries of its own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp

from modelrollout.cluster.answers import NotFound
from modelrollout.cluster.kinds import LEASE, Live
from modelrollout.controller.elector import LeaseRecord
from modelrollout.errors import Refused, StaleView

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Door(Protocol):
    """cluster.api's raw request: asks for no Lease, and its errors are RolloutErrors."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        timeout: aiohttp.ClientTimeout = ...,  # noqa: ASYNC109 -- of the request, told to the client
    ) -> Live: ...


class ApiLeaseLock:
    def __init__(self, door: Door, *, namespace: str, name: str, timeout_s: float) -> None:
        self._door = door
        self._namespace = namespace
        self._name = name
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def read(self) -> LeaseRecord | None:
        try:
            return _record(await self._door.request("GET", self._path(self._name), timeout=self._timeout))
        except NotFound:
            return None

    async def create(self, record: LeaseRecord) -> LeaseRecord:
        try:
            answer = await self._door.request(
                "POST", self._path(None), body=self._document(record), timeout=self._timeout
            )
        except NotFound as error:
            raise Refused(
                f"Namespace {self._namespace} is not there; create it, or set MODELROLLOUT_LEASE_NAMESPACE."
            ) from error
        return _record(answer)

    async def update(self, record: LeaseRecord) -> LeaseRecord:
        try:
            answer = await self._door.request(
                "PUT", self._path(self._name), body=self._document(record), timeout=self._timeout
            )
        except NotFound as error:
            raise StaleView("The Lease was deleted.") from error
        return _record(answer)

    def _path(self, name: str | None) -> str:
        return LEASE.path(self._namespace, name)

    def _document(self, record: LeaseRecord) -> dict[str, Any]:
        metadata = {"name": self._name, "namespace": self._namespace}
        if record.resource_version:
            metadata["resourceVersion"] = record.resource_version
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": metadata,
            "spec": {
                "holderIdentity": record.holder,
                "leaseDurationSeconds": record.duration,
                "acquireTime": _stamp(record.acquired),
                "renewTime": _stamp(record.renewed),
                "leaseTransitions": record.transitions,
            },
        }


def _record(live: Live) -> LeaseRecord:
    spec = live.get("spec") or {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        duration=spec.get("leaseDurationSeconds") or 0,
        acquired=_time(spec.get("acquireTime")),
        renewed=_time(spec.get("renewTime")),
        transitions=spec.get("leaseTransitions") or 0,
        resource_version=live["metadata"]["resourceVersion"],
    )


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _time(text: str | None) -> datetime:
    return _EPOCH if text is None else datetime.fromisoformat(text)
