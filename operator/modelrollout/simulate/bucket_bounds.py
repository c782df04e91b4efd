"""At which seconds the buckets of simulated histograms end."""

from collections.abc import Sequence

from modelrollout.decide.preflight import obstacle, seen
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.metrics import LATENCY, MetricSettings, Source
from modelrollout.domain.polls import Arm, Arms, Poll, Series
from modelrollout.simulate.scenario import GATEWAY_BOUNDS, SERVER_BOUNDS, Scenario

_STABLE = "stable"


def bounds_of(scenario: Scenario, settings: AnalysisSettings) -> tuple[float, ...] | None:
    """Of the latency series, without +Inf; None where there are none."""
    latency = next((metric for metric in settings.metrics if metric.name == LATENCY), None)
    if scenario.stable.latency is None or latency is None:
        return None
    of_gateway = GATEWAY_BOUNDS.get(scenario.gateway, SERVER_BOUNDS)
    return metric_bounds(latency, scenario, of_gateway if settings.source is Source.GATEWAY else SERVER_BOUNDS)


def metric_bounds(metric: MetricSettings, scenario: Scenario, usual: Sequence[float]) -> tuple[float, ...]:
    """As the scenario says. Where it says nothing, and for the user's own series: those that the spec names, too.

    ValueError, in the words of the operator's first look, where the spec names one that the scenario does not have.
    """
    if scenario.bounds is None or metric.signal is not None:
        return tuple(sorted({*(scenario.bounds or usual), *metric.bounds}))
    exported = tuple(
        Series(revision=_STABLE, target=_STABLE, labels=(), samples=(), le=bound) for bound in scenario.bounds
    )
    arms = Arms(stable=Arm(revision=_STABLE), candidate=Arm(revision="candidate"))
    looked = seen(Poll(at=0.0, answers={metric.name: exported}), arms, AnalysisSettings(metrics=(metric,)), {})
    if (found := obstacle(looked)) is not None:
        raise ValueError(found.message)
    return scenario.bounds
