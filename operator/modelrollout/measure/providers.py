"""The operator's metrics providers by name: a ModelDeployment names one, and nothing else of it comes from there."""

import time
from collections.abc import Callable, Mapping

from modelrollout.domain.analysis import DEFAULT_PROVIDER, Mode
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.measure.asking import Asking
from modelrollout.measure.breaker import State
from modelrollout.measure.prometheus import OnQuery, Prometheus
from modelrollout.measure.provider_settings import ProviderSettings, providers_of
from modelrollout.measure.sharing import WINDOW, SharedQueries
from modelrollout.settings import PREFIX, Settings, SettingsError

_NONE = ProviderFault(
    kind=FaultKind.UNREACHABLE,
    message="This operator knows no Prometheus. Its administrator must set MODELROLLOUT_PROMETHEUS_URL.",
    permanent=True,
)


def read_providers(settings: Settings) -> tuple[ProviderSettings, ...]:
    """The providers that the settings name. Reads their file; SettingsError says what to write."""
    path, variable = settings.prometheus_providers_file, f"{PREFIX}PROMETHEUS_PROVIDERS_FILE"
    try:
        text = None if path is None else path.read_text(encoding="utf-8")
        return providers_of(settings.prometheus_url, text, str(path))
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{variable}: {path} cannot be read; mount it, or leave the variable out") from None
    except ValueError as error:
        raise SettingsError(f"{variable}: {error}") from None


class Providers:
    """All of them, each with its own threads, breaker and shared queries."""

    def __init__(
        self,
        settings: tuple[ProviderSettings, ...],
        *,
        on_query: OnQuery = lambda _provider, _outcome, _seconds: None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        window: float = WINDOW,
    ) -> None:
        """`now`: unix seconds; `window`: seconds for which a query waits for others to be asked with."""
        self._settings = settings
        self._prometheus: dict[str, Prometheus] = {}
        self._shared: list[SharedQueries] = []
        self._asking: dict[str, Asking] = {}
        for each in settings:
            provider = Prometheus(each, on_query=on_query, monotonic=monotonic, now=now)
            shared = SharedQueries(provider, monotonic=monotonic, window=window)
            self._prometheus[each.name] = provider
            self._shared.append(shared)
            self._asking[each.name] = Asking(shared, replica_label=each.replica_label)

    @property
    def lags(self) -> tuple[tuple[str, float], ...]:
        """Seconds by which the samples of each are late."""
        return tuple((each.name, each.lag) for each in self._settings)

    def states(self) -> Mapping[str, State]:
        """Of the breakers."""
        return {name: provider.state for name, provider in self._prometheus.items()}

    def named(self, name: str) -> Asking | ProviderFault:
        """The provider, or why there is none."""
        found = self._asking.get(name)
        if found is not None:
            return found
        if not self._asking and name == DEFAULT_PROVIDER:
            return _NONE
        return ProviderFault(kind=FaultKind.UNREACHABLE, message=self._unknown(name), permanent=True)

    def unknown(self, desired: ModelDeployment) -> Remark | None:
        """Why a rollout of this spec could never be judged, or None: told before anything moves."""
        settings = desired.analysis
        meant_as_any = not self._asking and settings.provider == DEFAULT_PROVIDER
        if settings.mode is Mode.NONE or settings.provider in self._asking or meant_as_any:
            return None
        return Remark(reason=Reason.UNKNOWN_PROVIDER, message=self._unknown(settings.provider))

    def _unknown(self, name: str) -> str:
        known = ", ".join(sorted(self._asking))
        fix = f"Write one of: {known}." if known else "It has none; its administrator must set prometheus.providers."
        return f"spec.analysis.provider: this operator has no metrics provider {name}. {fix}"

    def close(self) -> None:
        """Let go of threads and connections."""
        for shared in self._shared:
            shared.close()
        for provider in self._prometheus.values():
            provider.close()
