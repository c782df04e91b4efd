"""Prometheus, asked through prometheus-api-client in threads of our own, and believed in nothing.

Every answer is classified: a matrix without warnings is data, anything else is a `ProviderFault`,
permanent where asking again cannot help. The address comes from the operator's settings only, and
redirects are not followed. Nothing of a query's answer is logged or put into a message.

The library's traps, met here (0.7.2): it mounts its own adapter with three retries; its timeout
starts afresh with every retry and every byte; `method="POST"` leaves the query in the URL, which
proxies cut; it drops `resultType` and `warnings` and reads `data.result` unchecked. So it gets a
session that sends a form, reads at most so many bytes until a deadline and checks the envelope,
and a transport that never retries. All of that goes through its public arguments.
"""

import asyncio
import io
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import requests
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from modelrollout.domain.analysis import FaultKind, Poll, ProviderFault, Sample, Series
from modelrollout.measure.queries import MeasurePlan, Query, queries, read_series

CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSettings:
    url: str
    """Base address, without /api/v1; from the operator's settings only."""
    token_file: str | None = None
    """File with a bearer token, read anew for each request, so that rotation works."""
    ca_file: str | None = None
    """Certificate authority to trust instead of the system's."""
    connect_seconds: float = 2.0
    read_seconds: float = 8.0
    """Longest silence of a connection; also the `timeout` that Prometheus is told."""
    deadline_seconds: float = 10.0
    """Longest time for one query altogether."""
    threads: int = 16
    """Queries under way at once. A query given up on keeps its thread until the deadline."""
    most_bytes: int = 16 * 1024 * 1024


class Unusable(Exception):  # noqa: N818 -- it carries a fault, it is none
    """An answer that is no data; `fault` says which kind."""

    def __init__(self, fault: ProviderFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def _unusable(kind: FaultKind, message: str, *, permanent: bool = False) -> Unusable:
    return Unusable(ProviderFault(kind=kind, message=message, permanent=permanent))


class _TokenFromFile(requests.auth.AuthBase):
    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        with open(self._path, encoding="utf-8") as file:  # noqa: PTH123 -- one line, in a thread
            request.headers["Authorization"] = f"Bearer {file.read().strip()}"
        return request


class _CheckedSession(requests.Session):
    """Sends what the library puts into the URL as a form, and lets only sound answers through."""

    def __init__(self, settings: PrometheusSettings) -> None:
        super().__init__()
        self._settings = settings
        self.trust_env = False  # no .netrc, no proxy that happens to be in the environment
        if settings.ca_file is not None:
            self.verify = settings.ca_file

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        give_up = time.monotonic() + self._settings.deadline_seconds
        if method == "POST":
            kwargs["data"] = kwargs.pop("params", None)
        kwargs.update(stream=True, allow_redirects=False)
        response = super().request(method, url, *args, **kwargs)
        try:
            body = self._read(response, give_up)
        finally:
            response.close()
        _refuse_unsound(response.status_code, body)
        response.raw = io.BytesIO(body)  # what the library reads now
        response.headers.pop("Content-Encoding", None)
        return response

    def _read(self, response: requests.Response, give_up: float) -> bytes:
        body = bytearray()
        for chunk in response.raw.stream(CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._settings.most_bytes:
                told = f"Prometheus answered with more than {self._settings.most_bytes} bytes; narrow the scrape"
                raise _unusable(FaultKind.TOO_LARGE, told)
            if time.monotonic() > give_up:
                raise _unusable(FaultKind.TIMEOUT, "Prometheus answers too slowly; look at its load")
        return bytes(body)


def _refuse_unsound(status: int, body: bytes) -> None:
    """Raise for everything that is not a whole answer to an instant query."""
    if status >= 500:
        raise _unusable(FaultKind.SERVER_ERROR, f"Prometheus answered {status}; look at its log")
    if status in (408, 429):
        raise _unusable(FaultKind.SERVER_ERROR, f"Prometheus answered {status}: too busy; look at its load")
    if status in (400, 422):
        raise _unusable(FaultKind.REFUSED, f"Prometheus refused the query ({status}); report this", permanent=True)
    if status in (401, 403):
        told = f"Prometheus answered {status}; check the operator's token"
        raise _unusable(FaultKind.REFUSED, told, permanent=True)
    if status != 200:
        told = f"{status} is no answer of Prometheus; check the operator's Prometheus address"
        raise _unusable(FaultKind.REFUSED, told, permanent=True)
    not_prometheus = "the answer is not Prometheus'; check the operator's Prometheus address"
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _unusable(FaultKind.NOT_PROMETHEUS, not_prometheus, permanent=True) from error
    found = document.get("data") if isinstance(document, dict) else None
    if not isinstance(found, dict) or document.get("status") != "success":
        raise _unusable(FaultKind.NOT_PROMETHEUS, not_prometheus, permanent=True)
    if document.get("warnings"):
        raise _unusable(FaultKind.PARTIAL, "Prometheus answered in part only (warnings); look at its stores")
    if found.get("resultType") != "matrix" or not isinstance(found.get("result"), list):
        raise _unusable(FaultKind.WRONG_TYPE, "Prometheus answered with no matrix; report this", permanent=True)


class Prometheus:
    """One Prometheus. `ask` never raises for what Prometheus does; it says so in the polls."""

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings
        self._executor = ThreadPoolExecutor(max_workers=settings.threads, thread_name_prefix="prometheus")
        self._slots = asyncio.Semaphore(settings.threads)
        session = _CheckedSession(settings)
        url = settings.url.rstrip("/")
        self._connect = PrometheusConnect(
            url=url,
            session=session,
            auth=None if settings.token_file is None else _TokenFromFile(settings.token_file),
            timeout=(settings.connect_seconds, settings.read_seconds),
            method="POST",
        )
        # After the library mounted its own: ours does not retry and holds a connection per thread.
        session.mount(
            url, HTTPAdapter(pool_connections=1, pool_maxsize=settings.threads, max_retries=Retry(0, redirect=False))
        )

    def close(self) -> None:
        """Let go of threads and connections; what is under way ends at its own deadline."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._connect.close()

    async def ask(self, plan: MeasurePlan) -> tuple[Poll, ...]:
        """One poll per time of the plan, from one look: raw samples are the same whenever one looks."""
        asked = queries(plan)
        answers = await asyncio.gather(*(self._answer(query, plan) for query in asked))
        named = dict(zip((query.name for query in asked), answers, strict=True))
        texts = {query.name: query.text for query in asked}
        if not named:
            named = {"requests": ()}
        return tuple(
            Poll(at=at, answers={name: _until(at, answer) for name, answer in named.items()}, queries=texts)
            for at in plan.polls
        )

    async def sees(self, plan: MeasurePlan, revision: str) -> bool | ProviderFault:
        """Whether the revision's requests are counted by any series at all, or why that is not known."""
        for query in queries(plan):
            if query.name == "requests":
                answer = await self._answer(query, plan)
                if isinstance(answer, ProviderFault):
                    return answer
                return any(series.revision == revision for series in answer)
        return False

    async def _answer(self, query: Query, plan: MeasurePlan) -> tuple[Series, ...] | ProviderFault:
        try:
            async with asyncio.timeout(self._settings.deadline_seconds), self._slots:
                result = await asyncio.get_running_loop().run_in_executor(self._executor, self._samples, query)
        except Unusable as unusable:
            return unusable.fault
        except TimeoutError:
            told = f"Prometheus has not answered within {self._settings.deadline_seconds:g} s; look at its load"
            return ProviderFault(kind=FaultKind.TIMEOUT, message=told)
        return read_series(query.name, result, plan)

    def _samples(self, query: Query) -> list[tuple[Mapping[str, str], tuple[Sample, ...]]]:
        """One query, in a thread; whatever goes wrong becomes Unusable."""
        params = {"time": f"{query.at:.3f}", "timeout": f"{self._settings.read_seconds:g}s"}
        try:
            result = self._connect.custom_query(query.text, params=params)
            return [(dict(row["metric"]), _values(row["values"])) for row in result]
        except (requests.Timeout, requests.exceptions.ReadTimeout) as error:
            raise _unusable(FaultKind.TIMEOUT, "Prometheus does not answer in time; look at its load") from error
        except (requests.RequestException, HTTPError, OSError) as error:
            timed_out = "timed out" in str(error).lower()
            kind = FaultKind.TIMEOUT if timed_out else FaultKind.UNREACHABLE
            raise _unusable(kind, "Prometheus cannot be reached; check its address and network policies") from error
        except (PrometheusApiClientException, KeyError, TypeError, ValueError, AttributeError) as error:
            told = "the answer is not Prometheus'; check the operator's Prometheus address"
            raise _unusable(FaultKind.NOT_PROMETHEUS, told, permanent=True) from error


def _values(rows: Any) -> tuple[Sample, ...]:
    """Samples of one series; "NaN" and "+Inf" arrive as text and are dropped later, as no finite numbers."""
    return tuple(Sample(float(t), float(v)) for t, v in rows)


def _until(at: float, answer: tuple[Series, ...] | ProviderFault) -> tuple[Series, ...] | ProviderFault:
    """What a poll at that time would have seen."""
    if isinstance(answer, ProviderFault):
        return answer
    cut = (replace(s, samples=tuple(x for x in s.samples if x.t <= at)) for s in answer)
    return tuple(series for series in cut if series.samples)
