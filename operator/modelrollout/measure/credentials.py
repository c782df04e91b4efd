"""What a provider asks for before it answers: headers, a token or a password, certificates.

Files are read anew for each request, so that what Kubernetes rotates is in use with the next query; certificates with
the next connection. What cannot be read is a fault that names the field. No content is logged, shown or kept.
"""

import base64
from pathlib import Path

import requests

from modelrollout.domain.polls import FaultKind
from modelrollout.measure.faults import Unusable, unusable
from modelrollout.measure.provider_settings import ProviderSettings

_LONGEST = 64 * 1024


class Credentials(requests.auth.AuthBase):
    """Puts a provider's headers and credentials on a request."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        settings = self._settings
        for name, value in settings.headers:
            request.headers[name] = value
        for name, path in settings.header_files:
            request.headers[name] = self._for_a_header(path, f"headerFiles.{name}")
        if settings.token_file is not None:
            request.headers["Authorization"] = f"Bearer {self._for_a_header(settings.token_file, 'tokenFile')}"
        if settings.basic_auth is not None:
            user, path = settings.basic_auth
            both = f"{user}:".encode() + self._content(path, "basicAuth.passwordFile").rstrip(b"\r\n")
            request.headers["Authorization"] = f"Basic {base64.b64encode(both).decode()}"
        return request

    def check_certificates(self) -> None:
        """Raise Unusable where a file is missing; what is in it is seen when a connection is made."""
        settings = self._settings
        cert, key = settings.certificate or (None, None)
        for path, field in ((settings.ca_file, "caFile"), (cert, "certFile"), (key, "keyFile")):
            if path is not None and not Path(path).is_file():
                raise self._missing(field)

    def _for_a_header(self, path: str, field: str) -> str:
        text = self._content(path, field).strip().decode("ascii", errors="replace")
        if not text or not text.isascii() or not text.isprintable():
            told = f"gets no query: the content of {field} cannot be sent; check its Secret"
            raise unusable(self._settings.name, FaultKind.DENIED, told)
        return text

    def _content(self, path: str, field: str) -> bytes:
        try:
            with Path(path).open("rb") as file:
                return file.read(_LONGEST)
        except OSError:
            raise self._missing(field) from None

    def _missing(self, field: str) -> Unusable:
        told = f"gets no query: the file of {field} cannot be read; check that its Secret exists and has the key"
        return unusable(self._settings.name, FaultKind.DENIED, told)
