"""One request to a provider: sent as a form, read until a deadline, believed only where it is a whole answer.

It stands below prometheus-api-client (0.7.2), whose traps are met here: it mounts an adapter of its own with three
retries; its timeout starts afresh with every retry and every byte; `method="POST"` leaves the query in the URL, which
proxies cut; it drops `resultType` and `warnings` and reads `data.result` unchecked. All of that goes through its public
arguments. Redirects are not followed.
"""

import io
import json
import ssl
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from modelrollout.domain.polls import FaultKind
from modelrollout.measure.credentials import Credentials
from modelrollout.measure.faults import Unusable, too_late, unusable
from modelrollout.measure.provider_settings import ProviderSettings

CHUNK = 64 * 1024
SKEW = 5.0
"""Seconds by which two clocks that are kept right never differ."""

_NOT_PROMETHEUS = "gave an answer that is not Prometheus'; check the operator's address of it"
_EXPIRED, _OTHER_NAME = 10, (62, 64)
"""Of OpenSSL: X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH."""


class CheckedSession(requests.Session):
    """Sends what the library puts into the URL as a form, and lets only sound answers through; else Unusable."""

    def __init__(self, settings: ProviderSettings, credentials: Credentials, now: Callable[[], float]) -> None:
        """`now`: unix seconds, as the grid times are."""
        super().__init__()
        self._settings, self._credentials, self._now = settings, credentials, now
        self.trust_env = False  # no .netrc, no proxy that happens to be in the environment
        if settings.ca_file is not None:
            self.verify = settings.ca_file
        self.cert = settings.certificate

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        give_up = time.monotonic() + self._settings.deadline_seconds
        self._credentials.check_certificates()
        if method == "POST":
            kwargs["data"] = kwargs.pop("params", None)
        kwargs.update(stream=True, allow_redirects=False)
        sent = self._now()
        response = super().request(method, url, *args, **kwargs)
        received = self._now()
        try:
            body = self._read(response, give_up)
        finally:
            response.close()
        refuse_unsound(self._settings.name, response.status_code, body)
        self._refuse_other_clock(response, sent, received)
        response.raw = io.BytesIO(body)  # what the library reads now
        response.headers.pop("Content-Encoding", None)
        return response

    def _read(self, response: requests.Response, give_up: float) -> bytes:
        """`read1` returns what has come, so that a server that drips bytes does not outlive the deadline."""
        body = bytearray()
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._settings.most_bytes:
                told = f"answered with more than {self._settings.most_bytes} bytes; scrape less often, or fewer series"
                raise unusable(self._settings.name, FaultKind.TOO_LARGE, told)
            if time.monotonic() > give_up:
                raise Unusable(too_late(self._settings.name))
        return bytes(body)

    def _refuse_other_clock(self, response: requests.Response, sent: float, received: float) -> None:
        """An answer is dated when it is written; one out of a cache says nothing."""
        try:
            dated = parsedate_to_datetime(response.headers["Date"]).timestamp()
        except (KeyError, ValueError, OverflowError):
            return
        if "Age" in response.headers or sent - SKEW <= dated <= received + SKEW:
            return
        told = f"has a clock that differs from the operator's by more than {SKEW:g} s; correct both (NTP)"
        raise unusable(self._settings.name, FaultKind.CLOCK, told)


def refuse_unsound(provider: str, status: int, body: bytes) -> None:
    """Raise Unusable for everything that is not a whole answer to an instant query."""
    if status != 200:
        raise _status(provider, status)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise unusable(provider, FaultKind.NOT_PROMETHEUS, _NOT_PROMETHEUS, permanent=True) from error
    found = document.get("data") if isinstance(document, dict) else None
    if not isinstance(found, dict) or document.get("status") != "success":
        raise unusable(provider, FaultKind.NOT_PROMETHEUS, _NOT_PROMETHEUS, permanent=True)
    if document.get("warnings"):
        told = "answered in part only (warnings); look at its stores"
        raise unusable(provider, FaultKind.PARTIAL, told)
    if found.get("resultType") != "matrix" or not isinstance(found.get("result"), list):
        raise unusable(provider, FaultKind.WRONG_TYPE, "answered with no matrix; report this", permanent=True)


def not_prometheus(provider: str) -> Unusable:
    return unusable(provider, FaultKind.NOT_PROMETHEUS, _NOT_PROMETHEUS, permanent=True)


def _status(provider: str, status: int) -> Unusable:
    if status >= 500:
        return unusable(provider, FaultKind.SERVER_ERROR, f"answered {status}; look at its log")
    if status in (408, 429):
        return unusable(provider, FaultKind.SERVER_ERROR, f"answered {status}: too busy; look at its load and limits")
    if status in (400, 413, 422):
        told = f"refused the query ({status}); look at its limits, else report this"
        return unusable(provider, FaultKind.REFUSED, told, permanent=True)
    if status in (401, 403):
        told = f"answered {status}; check the operator's credentials and headers for it"
        return unusable(provider, FaultKind.DENIED, told, permanent=True)
    told = f"answered {status}, which is no answer of Prometheus; check the operator's address of it"
    return unusable(provider, FaultKind.NOT_PROMETHEUS, told, permanent=True)


def no_connection(provider: str, error: Exception) -> Unusable:
    """What a request without an answer is told as: too late, not trusted, or not there."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return Unusable(too_late(provider))
    refused = next((each for each in _causes(error) if isinstance(each, ssl.SSLError)), None)
    if refused is not None or isinstance(error, requests.exceptions.SSLError):
        return unusable(provider, FaultKind.DENIED, _untrusted(refused))
    told = "cannot be reached; check its address and network policies"
    return unusable(provider, FaultKind.UNREACHABLE, told)


def _untrusted(error: ssl.SSLError | None) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "makes no TLS connection; check caFile, certFile and keyFile"
    code = getattr(error, "verify_code", None)
    if code == _EXPIRED:
        return "has a certificate that has expired; renew it"
    if code in _OTHER_NAME:
        return "has a certificate for another name; use a name in the url that it is for"
    return "has a certificate that is not trusted; check caFile"


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it was made of: requests and urllib3 keep the cause in `args` and in `reason`."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(found) < 20:
        each = waiting.pop()
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            waiting += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
    return found
