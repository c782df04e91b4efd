"""Evidence since the last checkpoint, and the queries that are adding to it.

Memory only, lost at a restart by design: the blocks since the checkpoint are asked for again and give the same numbers.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from modelrollout.controller.ports import Prober
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.model_deployment import Key
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Measure
from modelrollout.errors import RolloutError

LONGEST_MEASUREMENT = timedelta(seconds=30)
"""The adapter gives up on a query after ten seconds; this is for an adapter that does not."""
AFTER_A_FAULT = timedelta(seconds=5)

_logger = logging.getLogger(__name__)


class EvidenceStore:
    """Evidence by uid: a deleted and re-created object starts with none."""

    def __init__(self) -> None:
        self._evidence: dict[str, Evidence] = {}
        self._uids: dict[Key, str] = {}

    def of(self, uid: str) -> Evidence | None:
        return self._evidence.get(uid)

    def put(self, key: Key, uid: str, evidence: Evidence) -> None:
        before = self._uids.get(key)
        if before is not None and before != uid:
            self._evidence.pop(before, None)
        self._uids[key] = uid
        self._evidence[uid] = evidence

    def forget(self, key: Key) -> None:
        uid = self._uids.pop(key, None)
        if uid is not None:
            self._evidence.pop(uid, None)


class BackgroundMeasurements:
    """One measurement at a time for each object, beside the walks; its end rings the key."""

    def __init__(
        self,
        prober: Prober,
        store: EvidenceStore,
        *,
        ring: Callable[[Key], None],
        ring_after: Callable[[Key, float], None],
        on_measured: Callable[[float, bool], None],
        monotonic: Callable[[], float],
    ) -> None:
        """`on_measured` is told the seconds it took, and whether any query went without a usable answer."""
        self._prober = prober
        self._store = store
        self._ring = ring
        self._ring_after = ring_after
        self._on_measured = on_measured
        self._monotonic = monotonic
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def start(self, action: Measure, observed: Observed) -> None:
        if observed.uid in self._under_way:
            return
        task = asyncio.create_task(self._measure(action, observed), name=f"measure {observed.key.name}")
        self._under_way[observed.uid] = task
        task.add_done_callback(lambda _: self._under_way.pop(observed.uid, None))

    async def stop(self) -> None:
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _measure(self, action: Measure, observed: Observed) -> None:
        key, began = observed.key, self._monotonic()
        try:
            async with asyncio.timeout(LONGEST_MEASUREMENT.total_seconds()):
                evidence = await self._prober.measure(action, observed)
        except (RolloutError, TimeoutError) as error:
            _logger.warning("measurement failed", extra=_names(key) | {"error": str(error) or type(error).__name__})
        except Exception:
            _logger.exception("measurement failed; this is a bug, please report it", extra=_names(key))
        else:
            self._on_measured(self._monotonic() - began, bool(evidence.faults))
            self._store.put(key, observed.uid, evidence)
            self._under_way.pop(observed.uid, None)
            self._ring(key)
            return
        self._on_measured(self._monotonic() - began, True)
        self._ring_after(key, AFTER_A_FAULT.total_seconds())


def _names(key: Key) -> dict[str, str]:
    return {"namespace": key.namespace, "deployment": key.name}
