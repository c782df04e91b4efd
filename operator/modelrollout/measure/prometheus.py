"""One provider, asked through prometheus-api-client in threads of its own, and believed in nothing.

Every answer is classified: a matrix without warnings is rows, anything else is a `ProviderFault`, permanent where
asking again cannot help. The address comes from the operator's settings only. Nothing of an answer is logged or put
into a message.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import requests
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.measure.breaker import Breaker, State
from modelrollout.measure.credentials import Credentials
from modelrollout.measure.faults import OF_ONE_THAT_ANSWERS, Unusable, fault, too_late, unusable
from modelrollout.measure.provider_settings import ProviderSettings
from modelrollout.measure.queries import Query
from modelrollout.measure.rows import Rows, Unreadable, row_of
from modelrollout.measure.transport import CheckedSession, no_connection, not_prometheus

ANSWERED, NOT_ASKED, CROWDED = "ok", "breaker", "busy"
"""Outcomes that are no kind of fault: answered; not asked since the breaker is open; no place became free in time."""

_NO_MATRIX = (PrometheusApiClientException, KeyError, TypeError, ValueError, AttributeError, ArithmeticError)

OnQuery = Callable[[str, str, float], None]
"""Is told of each query: the provider, the outcome or kind of fault, and the seconds it took."""


class Prometheus:
    """Answers queries; never raises for what the provider does. Spared by a breaker while it fails again and again."""

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        on_query: OnQuery = lambda _provider, _outcome, _seconds: None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._on_query, self._monotonic = on_query, monotonic
        self._breaker = Breaker(monotonic=monotonic, now=now)
        self._executor = ThreadPoolExecutor(max_workers=settings.concurrency, thread_name_prefix="prometheus")
        self._places = asyncio.Semaphore(settings.concurrency)
        credentials = Credentials(settings)
        session = CheckedSession(settings, credentials, now)
        self._connect = PrometheusConnect(
            url=settings.url,
            session=session,
            auth=credentials,
            timeout=(settings.connect_seconds, settings.read_seconds),
            method="POST",
        )
        # After the library mounted its own: ours does not retry and holds a connection per thread.
        adapter = HTTPAdapter(
            pool_connections=1, pool_maxsize=settings.concurrency, max_retries=Retry(0, redirect=False)
        )
        session.mount(settings.url, adapter)

    @property
    def state(self) -> State:
        """Of the breaker."""
        return self._breaker.state

    def close(self) -> None:
        """Let go of threads and connections; what is under way ends at its own deadline."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._connect.close()

    async def rows(self, query: Query) -> Rows | ProviderFault:
        began = self._monotonic()
        refused = await self._breaker.enter()
        if refused is not None:
            self._on_query(self.settings.name, NOT_ASKED, self._monotonic() - began)
            return refused
        answer = None
        try:
            answer = await self._asked(query)
        finally:
            if answer is None:
                self._breaker.abandoned()
        self._on_query(self.settings.name, _outcome(answer), self._monotonic() - began)
        if answer is None:
            told = "was not asked: too many queries of this operator wait for it; raise its concurrency"
            return fault(self.settings.name, FaultKind.TIMEOUT, told)
        return self._judged(answer)

    def _judged(self, answer: Rows | ProviderFault) -> Rows | ProviderFault:
        """What the answer tells of the provider, not of the query."""
        if not isinstance(answer, ProviderFault) or answer.kind in OF_ONE_THAT_ANSWERS:
            self._breaker.succeeded()
            return answer
        return self._breaker.failed(answer)

    async def _asked(self, query: Query) -> Rows | ProviderFault | None:
        """One query in a thread; None where no place became free. A place is free again when its thread is."""
        sent = False
        try:
            async with asyncio.timeout(self.settings.deadline_seconds):
                await self._places.acquire()
                sent = True
                return await asyncio.wrap_future(self._begun(query))
        except Unusable as unusable:
            return unusable.fault
        except TimeoutError:
            return too_late(self.settings.name) if sent else None

    def _begun(self, query: Query) -> Future[Rows]:
        loop = asyncio.get_running_loop()

        def free(_: Future[Rows]) -> None:
            with suppress(RuntimeError):  # the loop may have ended before the thread
                loop.call_soon_threadsafe(self._places.release)

        begun = self._executor.submit(self._read, query)
        begun.add_done_callback(free)
        return begun

    def _read(self, query: Query) -> Rows:
        """In a thread; whatever goes wrong becomes Unusable."""
        params = {"time": f"{query.at:.3f}", "timeout": f"{self.settings.read_seconds:g}s"}
        try:
            result = self._connect.custom_query(query.text, params=params)
            return tuple(row_of(each) for each in result)
        except Unreadable as error:
            told = "answered with native histograms that are none; report this"
            raise unusable(self.settings.name, FaultKind.WRONG_TYPE, told, permanent=True) from error
        except (requests.RequestException, HTTPError, OSError) as error:
            raise no_connection(self.settings.name, error) from error
        except _NO_MATRIX as error:
            raise not_prometheus(self.settings.name) from error


def _outcome(answer: Rows | ProviderFault | None) -> str:
    if isinstance(answer, ProviderFault):
        return str(answer.kind)
    return CROWDED if answer is None else ANSWERED
