"""The operator's metrics providers: a YAML text in, frozen values out. Pure: it opens none of the files it names.

Closed: what is not known is refused, with the field and what to write instead. Nothing that may be secret is repeated
in an error, and no credential is a value here, only the path of its file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import yaml

from modelrollout.domain.analysis import DEFAULT_PROVIDER, SCRAPE_LAG
from modelrollout.domain.durations import duration_text
from modelrollout.domain.parse_fields import Field, Wrong
from modelrollout.settings import base_url

_FIELDS = (
    *("name", "url", "caFile", "certFile", "keyFile", "tokenFile", "basicAuth", "headers", "headerFiles"),
    *("replicaLabel", "lag", "timeout", "concurrency"),
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_PATH = re.compile(r"/[^\x00-\x1f\x7f]{1,1023}")
_USER = re.compile(r"[^:\x00-\x1f\x7f]{1,256}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}", re.ASCII)
_HEADER_VALUE = re.compile(r"[!-~]([ -~]{0,4094}[!-~])?", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,255}", re.ASCII)
_OUR_HEADERS = frozenset(
    {"host", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "accept-encoding"}
)
_MOST_PROVIDERS = 32
_TLS = ("caFile", "certFile", "keyFile")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One Prometheus, or what answers like one. Paths are of files that are read anew, so that rotation works."""

    name: str = DEFAULT_PROVIDER
    url: str
    """Base address, without /api/v1; from the operator's settings only."""
    ca_file: str | None = None
    """Certificate authority to trust instead of the system's."""
    certificate: tuple[str, str] | None = None
    """Client certificate and its key, both PEM."""
    token_file: str | None = None
    """Bearer token."""
    basic_auth: tuple[str, str] | None = None
    """User, and the file of the password."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Sent with each query, such as a tenant's X-Scope-OrgID."""
    header_files: tuple[tuple[str, str], ...] = ()
    """Headers whose values are secret: name and file."""
    replica_label: str = "prometheus_replica"
    """Tells the twins of an HA pair apart where the provider does not merge them."""
    lag: float = SCRAPE_LAG
    """Seconds after a scrape until the provider can be asked for it."""
    connect_seconds: float = 2.0
    read_seconds: float = 8.0
    """Longest silence of a connection; also the `timeout` that Prometheus is told."""
    deadline_seconds: float = 10.0
    """Longest time for one query altogether."""
    concurrency: int = 16
    """Queries under way at once. One given up on keeps its place until its thread ends."""
    most_bytes: int = 16 * 1024 * 1024


def providers_of(url: str | None, text: str | None, origin: str) -> tuple[ProviderSettings, ...]:
    """All providers: `url` makes the one named default, `text` (YAML of the file `origin`) names the others.

    ValueError names the file, the field and what to write instead.
    """
    plain = () if url is None else (ProviderSettings(url=url),)
    if text is None:
        return plain
    try:
        return plain + _read(Field("", _document(text)), [each.name for each in plain])
    except Wrong as wrong:
        raise ValueError(f"{origin}: {wrong}") from None


def _document(text: str) -> object:
    try:
        return yaml.load(text, yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:  # its text would repeat the line
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise Wrong(f"line {line} is no YAML; correct it") from None
    except yaml.YAMLError:
        raise Wrong("is no YAML; correct it") from None


def _read(document: Field, taken: list[str]) -> tuple[ProviderSettings, ...]:
    _closed(document, ("providers",))
    providers = document["providers"].needed("write a list, with name and url of each")
    if not isinstance(providers.value, list):
        raise Wrong("providers: is not a list; write one, with name and url of each")
    listed = providers.elements()
    if len(listed) > _MOST_PROVIDERS:
        raise Wrong(f"providers: are {len(listed)}; write at most {_MOST_PROVIDERS}")
    read = []
    for each in listed:
        provider = _provider(each)
        if provider.name in taken:
            each["name"].wrong("is there twice (MODELROLLOUT_PROMETHEUS_URL makes the one named default); rename one")
        taken.append(provider.name)
        read.append(provider)
    return tuple(read)


def _provider(given: Field) -> ProviderSettings:
    _closed(given, _FIELDS)
    name = given["name"].needed("name it, such as default").matching(_NAME, "write lower-case letters, digits and -")
    url = _url(given["url"].needed("write its base address"))
    for each in given.has(*_TLS):
        if not url.startswith("https://"):
            given[each].wrong("is for TLS only; write an https:// url, or remove it")
    timeout = _time(given["timeout"], timedelta(seconds=10), timedelta(seconds=1), timedelta(seconds=12))
    label = given["replicaLabel"]
    return ProviderSettings(
        name=name,
        url=url,
        ca_file=_path(given["caFile"]) if given["caFile"].given else None,
        certificate=_certificate(given),
        token_file=_path(given["tokenFile"]) if given["tokenFile"].given else None,
        basic_auth=_basic_auth(given),
        headers=_headers(given["headers"], files=False),
        header_files=_headers(given["headerFiles"], files=True),
        replica_label=label.matching(_LABEL, "write the name of a label") if label.given else "prometheus_replica",
        lag=_time(given["lag"], timedelta(seconds=SCRAPE_LAG), timedelta(0), timedelta(minutes=10)),
        connect_seconds=min(2.0, timeout),
        read_seconds=0.8 * timeout,
        deadline_seconds=timeout,
        concurrency=given["concurrency"].whole(1, 64) if given["concurrency"].given else 16,
    )


def _object(given: Field) -> Mapping[str, object]:
    """Its fields; unlike Field's own complaint this one repeats nothing, which may be a secret in the wrong place."""
    if given.value is not None and not isinstance(given.value, Mapping):
        raise Wrong(f"{given.path or 'the file'}: is not an object; write its fields below it")
    return given.mapping()


def _closed(given: Field, known: Iterable[str]) -> None:
    for name in _object(given):
        if name not in known:
            path = f"{given.path}.{name}" if given.path else name
            raise Wrong(f"{path}: no such field; remove it, or write one of {', '.join(known)}")


def _url(given: Field) -> str:
    try:
        return base_url(given.text())
    except Wrong:
        raise
    except ValueError as error:
        raise Wrong(f"{given.path}: {error}") from None


def _path(given: Field) -> str:
    if not isinstance(given.value, str) or _PATH.fullmatch(given.value) is None:
        raise Wrong(f"{given.path}: is no path; write the absolute path of a file, never the secret itself")
    return given.value


def _certificate(given: Field) -> tuple[str, str] | None:
    if not given.has("certFile", "keyFile"):
        return None
    return _path(given["certFile"]), _path(given["keyFile"])


def _basic_auth(given: Field) -> tuple[str, str] | None:
    basic = given["basicAuth"]
    if not basic.given:
        return None
    if given["tokenFile"].given:
        raise Wrong(f"{basic.path}: there is a tokenFile already; remove one of the two")
    _closed(basic, ("username", "passwordFile"))
    user = basic["username"].value
    if not isinstance(user, str) or _USER.fullmatch(user) is None:
        raise Wrong(f"{basic.path}.username: is no name; write one, without colons")
    return user, _path(basic["passwordFile"])


def _headers(given: Field, *, files: bool) -> tuple[tuple[str, str], ...]:
    listed = _object(given)
    for name in listed:
        path = f"{given.path}.{name}"
        if not isinstance(name, str) or _HEADER.fullmatch(name) is None:
            raise Wrong(f"{path}: is no name of a header; write one such as X-Scope-OrgID")
        if name.lower() == "authorization":
            raise Wrong(f"{path}: has fields of its own; write tokenFile or basicAuth")
        if name.lower() in _OUR_HEADERS:
            raise Wrong(f"{path}: is set by the operator; remove it")
        value = listed[name]
        if not files and not (isinstance(value, str) and _HEADER_VALUE.fullmatch(value)):
            raise Wrong(f"{path}: its value cannot be sent; write plain characters, in quotes")
    return tuple((name, _path(given[name]) if files else str(listed[name])) for name in listed)


def _time(given: Field, default: timedelta, least: timedelta, most: timedelta) -> float:
    length = given.time() if given.given else default
    if not least <= length <= most:
        given.wrong(f"is out of range; write {duration_text(least)} to {duration_text(most)}")
    return length.total_seconds()
