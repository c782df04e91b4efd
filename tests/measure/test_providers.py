"""Providers by name: which is asked, and what is told where a name is nobody's."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelrollout.decide.plan import plan
from modelrollout.decide.report import status_of
from modelrollout.domain.analysis import Mode
from modelrollout.domain.conditions import Reason
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.polls import ProviderFault
from modelrollout.measure.asking import Asking
from modelrollout.measure.provider_settings import ProviderSettings
from modelrollout.measure.providers import Providers, read_providers
from modelrollout.settings import Settings, SettingsError
from tests.builders import GOOD, NOW, at_rest


@pytest.fixture
def two() -> Iterator[Providers]:
    providers = Providers(
        (
            ProviderSettings(name="mimir", url="http://mimir", lag=60.0),
            ProviderSettings(name="default", url="http://prometheus"),
        )
    )
    yield providers
    providers.close()


def asking_for(provider: str, mode: Mode = Mode.ENFORCE) -> ModelDeployment:
    return replace(GOOD, analysis=replace(GOOD.analysis, provider=provider, mode=mode))


def test_each_is_found_by_its_name_and_has_its_lag(two: Providers) -> None:
    assert isinstance(two.named("mimir"), Asking)
    assert two.lags == (("mimir", 60.0), ("default", 0.5))
    assert two.states() == {"mimir": "closed", "default": "closed"}


def test_a_name_that_is_nobodys_is_told_with_those_that_are_known(two: Providers) -> None:
    told = two.unknown(asking_for("thanos"))
    assert told is not None and told.reason is Reason.UNKNOWN_PROVIDER
    assert told.message == (
        "spec.analysis.provider: this operator has no metrics provider thanos. Write one of: default, mimir."
    )
    assert two.unknown(asking_for("mimir")) is None
    assert two.unknown(asking_for("thanos", Mode.NONE)) is None, "where nothing is compared nobody is asked"
    fault = two.named("thanos")
    assert isinstance(fault, ProviderFault) and fault.permanent
    assert fault.message == told.message


def test_without_any_provider_a_rollout_holds_and_a_name_is_refused() -> None:
    none = Providers(())
    assert none.unknown(GOOD) is None
    told = none.named("default")
    assert isinstance(told, ProviderFault) and "MODELROLLOUT_PROMETHEUS_URL" in told.message
    refused = none.unknown(asking_for("mimir"))
    assert refused is not None and "It has none" in refused.message


def test_an_unknown_provider_stops_a_rollout_before_anything_moves_and_heals_by_itself(two: Providers) -> None:
    desired = asking_for("thanos")
    observed = at_rest(desired, refused=two.unknown(desired))
    stopped = plan(observed, NOW)
    assert (stopped.reason, stopped.intent) == (Reason.UNKNOWN_PROVIDER, None)
    conditions = {
        each["type"]: (each["status"], each["reason"], each["message"])
        for each in status_of(observed, stopped, (), NOW).mapping["conditions"]
    }
    assert conditions["Stalled"][:2] == ("True", "UnknownProvider")
    assert "Write one of: default, mimir." in conditions["Ready"][2]
    assert conditions["Available"][0] == "True", "what serves is untouched"
    mended = asking_for("mimir")
    assert plan(at_rest(mended, refused=two.unknown(mended)), NOW).reason is not Reason.UNKNOWN_PROVIDER


def test_the_file_of_the_settings_is_read_and_its_mistakes_name_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "providers.yaml"
    settings = Settings(prometheus_url="http://prometheus", prometheus_providers_file=path)
    with pytest.raises(SettingsError, match=r"MODELROLLOUT_PROMETHEUS_PROVIDERS_FILE: .* cannot be read; mount it"):
        read_providers(settings)
    path.write_text("providers: [{name: mimir, url: 'http://mimir'}]", encoding="utf-8")
    assert [each.name for each in read_providers(settings)] == ["default", "mimir"]
    path.write_text("providers: [{name: mimir}]", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"MODELROLLOUT_PROMETHEUS_PROVIDERS_FILE: .*providers\[0\].url: is miss"):
        read_providers(settings)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_providers(settings)
    assert read_providers(Settings()) == ()
