from datetime import timedelta

import pytest

from modelrollout.domain.analysis import AnalysisSettings, Mode, StepTiming
from modelrollout.domain.metrics import Margin, MetricSettings
from modelrollout.domain.tally import Tally


def test_the_defaults_are_those_of_the_specification() -> None:
    settings = AnalysisSettings()
    assert [metric.name for metric in settings.metrics] == ["errors", "latency"]
    errors, latency = settings.metrics
    assert errors.regression == Margin(ratio=1.25, absolute=0.0002)
    assert errors.non_inferiority == Margin(ratio=1.5, absolute=0.001)
    assert latency.regression == Margin(ratio=1.25, absolute=0.002)
    assert latency.non_inferiority == Margin(ratio=1.5, absolute=0.005)


def test_errors_take_half_of_alpha_unless_weights_are_given() -> None:
    assert AnalysisSettings().weights() == (0.5, 0.5)
    assert AnalysisSettings(metrics=(MetricSettings.of("latency"),)).weights() == (1.0,)
    given = (MetricSettings.of("errors", weight=0.6), MetricSettings.of("latency", weight=0.2))
    assert AnalysisSettings(metrics=given).weights() == pytest.approx((0.75, 0.25))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"alpha": 0.0}, "analysis.alpha"),
        ({"beta": 1.0}, "analysis.beta"),
        ({"poll": timedelta(minutes=5)}, "analysis.poll"),
        ({"min_bad": 0}, "analysis.minBad"),
        ({"min_requests": 0}, "analysis.minRequests"),
        ({"deadline": timedelta(seconds=1)}, "analysis.deadline"),
        ({"suspicious": 1000}, "analysis.suspicious"),
        ({"metrics": ()}, "analysis.metrics"),
        ({"metrics": (MetricSettings.of("errors"), MetricSettings.of("errors"))}, r"analysis.metrics\[1\].name"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: .* write "):
        AnalysisSettings(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"regression": (0.9, 0.0)}, "regression.ratio"),
        ({"regression": (1.2, -1.0)}, "regression.absolute"),
        ({"non_inferiority": (1.0, 0.0)}, "nonInferiority"),
        ({"weight": 0.0}, "weight"),
        ({"edges": (0.1,)}, "edges"),
    ],
)
def test_a_wrong_metric_is_refused_by_its_full_path(change: dict[str, object], path: str) -> None:
    with pytest.raises(ValueError) as caught:
        MetricSettings.of("errors", index=2, **change)  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"analysis.metrics[2].{path}: ")


def test_edges_have_to_rise() -> None:
    with pytest.raises(ValueError, match=r"analysis.metrics\[0\].edges"):
        MetricSettings.of("latency", edges=(0.5, 0.1))


def test_no_metrics_are_needed_where_nothing_is_analysed() -> None:
    assert AnalysisSettings(mode=Mode.NONE, metrics=()).weights() == ()


def test_a_long_least_duration_pushes_the_deadline() -> None:
    timing = StepTiming.of(AnalysisSettings(), min_duration=timedelta(hours=1))
    assert timing.deadline == timedelta(hours=1)


def test_more_bad_requests_than_requests_are_not_sound() -> None:
    assert Tally(x_canary=1, n_canary=1).is_sound()
    assert not Tally(x_canary=2, n_canary=1).is_sound()
    assert not Tally(x_stable=-1, n_stable=1).is_sound()
