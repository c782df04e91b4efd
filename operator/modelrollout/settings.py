"""The operator's settings: environment in, one frozen value out. Read once, in `__main__`.

Pure but for its argument: it reads no environment of its own, no file and no clock.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

PREFIX = "MODELROLLOUT_"

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SERVICE_LINK = re.compile(r"\w*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
"""What Kubernetes puts into every pod for a Service whose name begins like our prefix."""
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class SettingsError(ValueError):
    """One line: the variable, what is wrong with it, what to write instead. The process exits with 64."""


class LogFormat(StrEnum):
    JSON = "json"
    TEXT = "text"


class Gateway(StrEnum):
    """Whose series are known, by the names of `presets/series/`."""

    TRAEFIK = "traefik"
    ISTIO = "istio"
    ENVOY_GATEWAY = "envoy-gateway"
    NGINX_GATEWAY_FABRIC = "nginx-gateway-fabric"
    NGINX_GATEWAY_FABRIC_PLUS = "nginx-gateway-fabric-plus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every field is read from `MODELROLLOUT_<FIELD>`; an absent or empty variable means the default."""

    prometheus_url: str | None = None
    """URL of Prometheus, with its path prefix where it has one; default none. It becomes the provider `default`.
    Without any provider every analysis holds with ProviderError. From here only: an address out of a ModelDeployment
    would let tenants choose what we fetch."""

    prometheus_providers_file: Path | None = None
    """Path of a YAML file that names metrics providers, with TLS, credentials and headers; default none. It is read
    once, at the start; the files that it names are read anew, so that certificates and tokens may rotate."""

    gateway: Gateway = Gateway.TRAEFIK
    """Whose series `analysis.source: gateway` reads: `traefik` (default), `istio`, `envoy-gateway`,
    `nginx-gateway-fabric` or `nginx-gateway-fabric-plus`. The guide to installing says what each needs, and which were
    tried on a real one."""

    allow_promql: bool = False
    """`true` or `false` (default). Whether a gauge in `analysis.metrics` may be an expression of the user's own. It is
    read by PromQL's grammar and kept within its namespace, but what it costs Prometheus is the user's choice."""

    watch_namespaces: tuple[str, ...] = ()
    """Namespaces, comma-separated; default all. Named ones need Roles only, no ClusterRole."""

    workers: int = 16
    """Walks at a time, 1 to 64; default 16. A walk costs about 2 ms of CPU; the rest is waiting for the API server."""

    lease_name: str = "modelrollout"
    """Name of the Lease that replicas compete for. Two installations in one namespace need two names."""

    lease_namespace: str = "modelrollout-system"
    """Namespace of the Lease; the chart sets it to the release's."""

    lease_duration: timedelta = timedelta(seconds=15)
    """Duration; default 15s, as kube-controller-manager. How long a silent leader keeps the others waiting."""

    lease_renew_deadline: timedelta = timedelta(seconds=10)
    """Duration; default 10s. A leader that could not renew for so long stops writing and exits. Must be shorter than
    `lease_duration`: the difference is what a write already on its way may take."""

    lease_retry: timedelta = timedelta(seconds=2)
    """Duration; default 2s. Between two attempts to renew or to take the Lease."""

    resync: timedelta = timedelta(seconds=600)
    """Duration; default 10m. How often everything is listed and walked again, in case a watch lost something."""

    probe_port: int = 8080
    """Port of /healthz, /readyz and /metrics; default 8080; 0 takes any free one."""

    log_format: LogFormat = LogFormat.JSON
    """`json` (default: one object per line, with the ModelDeployment's name) or `text`."""

    kubeconfig: Path | None = None
    """Path of a kubeconfig file; default none: the pod's own service account."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Raises SettingsError at the first variable that cannot be used, unknown ones of our prefix included."""
        given = {
            name.removeprefix(PREFIX).lower(): value.strip()
            for name, value in environ.items()
            if name.startswith(PREFIX) and not _is_service_link(name, value)
        }
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(PREFIX + field.upper() for field in cls.__dataclass_fields__)
            raise SettingsError(f"{PREFIX}{unknown[0].upper()}: no such setting; remove it, or use one of {known}")
        read = _Reader({name: value for name, value in given.items() if value})
        settings = cls(
            prometheus_url=read.url("prometheus_url"),
            gateway=read.gateway("gateway"),
            allow_promql=read.switch("allow_promql"),
            prometheus_providers_file=read.path("prometheus_providers_file"),
            watch_namespaces=read.namespaces("watch_namespaces"),
            workers=read.integer("workers", 16, least=1, most=64),
            lease_name=read.label("lease_name", "modelrollout"),
            lease_namespace=read.label("lease_namespace", "modelrollout-system"),
            lease_duration=read.duration("lease_duration", cls._default("lease_duration"), least=3, most=300),
            lease_renew_deadline=read.duration(
                "lease_renew_deadline", cls._default("lease_renew_deadline"), least=2, most=299
            ),
            lease_retry=read.duration("lease_retry", cls._default("lease_retry"), least=1, most=60),
            resync=read.duration("resync", cls._default("resync"), least=10, most=86400),
            probe_port=read.integer("probe_port", 8080, least=0, most=65535),
            log_format=read.log_format("log_format"),
            kubeconfig=read.path("kubeconfig"),
        )
        if settings.lease_renew_deadline >= settings.lease_duration:
            raise SettingsError(
                f"{PREFIX}LEASE_RENEW_DEADLINE: {_text(settings.lease_renew_deadline)} is not shorter than "
                f"{PREFIX}LEASE_DURATION ({_text(settings.lease_duration)}); write at most two thirds of it"
            )
        if settings.lease_retry >= settings.lease_renew_deadline:
            raise SettingsError(
                f"{PREFIX}LEASE_RETRY: {_text(settings.lease_retry)} is not shorter than "
                f"{PREFIX}LEASE_RENEW_DEADLINE ({_text(settings.lease_renew_deadline)}); write at most half of it"
            )
        return settings

    @classmethod
    def _default(cls, field: str) -> timedelta:
        default = cls.__dataclass_fields__[field].default
        assert isinstance(default, timedelta)
        return default


def base_url(text: str) -> str:
    """The address without its last slash; ValueError says what to write. What may hold a password is not repeated."""
    if "@" in text:
        raise ValueError("holds a user or a password; take it out: credentials are read from files")
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise ValueError(f"{text[:200]!r} is no base URL; write one like http://prometheus.monitoring:9090")
    return text.rstrip("/")


def _is_service_link(name: str, value: str) -> bool:
    """Of a Service, not of a person: `MODELROLLOUT_PORT=tcp://10.0.0.1:80`, but not `MODELROLLOUT_PROBE_PORT=80`."""
    if name.removeprefix(PREFIX).lower() in Settings.__dataclass_fields__:
        return value.startswith(("tcp://", "udp://", "sctp://"))
    return _SERVICE_LINK.fullmatch(name) is not None


def _text(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}s"


@dataclass(frozen=True, slots=True)
class _Reader:
    """One method per kind of value, each with the error a person needs."""

    given: Mapping[str, str]

    def _refuse(self, field: str, fix: str) -> SettingsError:
        return SettingsError(f"{PREFIX}{field.upper()}: {self.given[field]!r} {fix}")

    def url(self, field: str) -> str | None:
        value = self.given.get(field)
        if value is None:
            return None
        try:
            return base_url(value)
        except ValueError as error:
            raise SettingsError(f"{PREFIX}{field.upper()}: {error}") from None

    def duration(self, field: str, default: timedelta, *, least: int, most: int) -> timedelta:
        value = self.given.get(field)
        if value is None:
            return default
        match = _DURATION.fullmatch(value)
        if match is None:
            raise self._refuse(field, "is no duration; write one like 30s, 10m or 1h30m")
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        duration = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        if not timedelta(seconds=least) <= duration <= timedelta(seconds=most):
            raise self._refuse(field, f"is out of range; write a duration between {least}s and {most}s")
        return duration

    def integer(self, field: str, default: int, *, least: int, most: int) -> int:
        value = self.given.get(field)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
            raise self._refuse(field, f"is not a number between {least} and {most}; write one, like {default}")
        return int(value)

    def label(self, field: str, default: str) -> str:
        value = self.given.get(field)
        if value is None:
            return default
        if not _DNS_LABEL.fullmatch(value):
            raise self._refuse(field, "is no Kubernetes name; write lower-case letters, digits and '-' only")
        return value

    def namespaces(self, field: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in self.given.get(field, "").split(",") if name.strip()))
        for name in names:
            if not _DNS_LABEL.fullmatch(name):
                raise self._refuse(field, f"has {name!r}, which is no namespace; write names like shop,search")
        return names

    def switch(self, field: str) -> bool:
        value = self.given.get(field, "false")
        if value not in ("true", "false"):
            raise self._refuse(field, "is neither true nor false; write one of them")
        return value == "true"

    def gateway(self, field: str) -> Gateway:
        value = self.given.get(field, Gateway.TRAEFIK.value)
        try:
            return Gateway(value)
        except ValueError:
            raise self._refuse(field, f"is no gateway known here; write one of {', '.join(Gateway)}") from None

    def log_format(self, field: str) -> LogFormat:
        value = self.given.get(field, LogFormat.JSON.value)
        try:
            return LogFormat(value)
        except ValueError:
            raise self._refuse(field, "is no log format; write json or text") from None

    def path(self, field: str) -> Path | None:
        value = self.given.get(field)
        return None if value is None else Path(value)
