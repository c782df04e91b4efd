"""What the API server's answers mean in our terms. Pure.

- 2xx: the object.
- 404: NotFound.
- 409, 422 about the uid: StaleView: moved on, is there already, or is another one.
- 401, 429, 5xx and no JSON: ClusterUnavailable, after the Retry-After it names.
- 403 because the namespace is being deleted: NamespaceEnding.
- any other 4xx: Refused, with the server's own sentence.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from modelrollout.cluster.kinds import Live
from modelrollout.errors import ClusterUnavailable, NamespaceEnding, Refused, RolloutError, StaleView

MESSAGE_LIMIT = 500
_TYPED_PATCH = "failed to create typed patch object"
"""Said with a 500, though it is the manifest that does not fit the schema."""
_OTHER_UID = "metadata.uid"
"""Said with a 422 where the uid we applied to is no longer the one under this name."""

_NAMESPACE_ENDS = "NamespaceTerminating"
"""A cause in the details of a 403."""


class NotFound(Refused):
    """There is no such object, namespace or kind."""


class LeaseLost(ClusterUnavailable):
    """Another process may lead by now: this one writes nothing any more."""


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Live:
    """The object, or the error that the answer stands for."""
    document = _document(body)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        if document is None:
            raise ClusterUnavailable("The API server's answer is no JSON object; is something else listening there?")
        return document
    if status == HTTPStatus.FORBIDDEN and _NAMESPACE_ENDS in _causes(document):
        raise NamespaceEnding(NamespaceEnding.reason.meaning)
    raise _error(status, headers, _sentence(document))


def _document(body: bytes) -> Live | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _causes(document: Live | None) -> set[str]:
    details = (document or {}).get("details") or {}
    return {cause.get("reason", "") for cause in details.get("causes") or ()}


def _sentence(document: Live | None) -> str:
    message = str(document.get("message", "")) if document else ""
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"


def _error(status: int, headers: Mapping[str, str], sentence: str) -> RolloutError:
    said = sentence or f"The API server answered {status}."
    match status:
        case HTTPStatus.NOT_FOUND:
            return NotFound(sentence or "The API server does not serve this kind; is its CRD installed?")
        case HTTPStatus.CONFLICT:
            return StaleView(said)
        case HTTPStatus.UNPROCESSABLE_ENTITY if _OTHER_UID in sentence:
            return StaleView(said)
        case HTTPStatus.UNAUTHORIZED:
            return ClusterUnavailable("The API server does not accept our credentials; renew them.")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return ClusterUnavailable(said, retry_after=_retry_after(headers))
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR and _TYPED_PATCH not in sentence:
            return ClusterUnavailable(said, retry_after=_retry_after(headers))
        case _:
            return Refused(said)


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    text = headers.get("Retry-After", "")
    return timedelta(seconds=int(text)) if text.isdecimal() else None
