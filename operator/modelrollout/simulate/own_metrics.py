"""Metrics beside errors and latency: what of a spec is drawn, and how one version's requests show in it.

They are taken to be scraped together with the requests, whatever exports them. A gauge is not drawn: its value has no
chance that could be said in a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from random import Random

from modelrollout.domain.fragment import Fragment
from modelrollout.domain.metrics import ERRORS, LATENCY, Kind, MetricSettings
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.polls import BAD_PART, SUM_PART
from modelrollout.domain.signals import Score
from modelrollout.simulate.bucket_bounds import metric_bounds
from modelrollout.simulate.chance import binomial, shared_out
from modelrollout.simulate.scenario import SERVER_BOUNDS, Lognormal, Rate, Scenario, Version
from modelrollout.simulate.scraped import Scraped


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMetric:
    """One ratio, score or histogram."""

    name: str
    score: tuple[float, float] | None = None
    """Lowest and highest value, of a score."""
    bounds: tuple[float, ...] | None = None
    """Of a histogram's buckets in seconds, without +Inf."""

    @property
    def part(self) -> str:
        """The query beside the one of its name."""
        return f"{self.name}/{BAD_PART if self.score is None else SUM_PART}"

    def of(self, version: Version) -> Rate | Lognormal:
        """What a histogram that our own presets know shows unless something else is said: the latency."""
        said = version.of(self.name) or (version.latency if self.bounds is not None else None)
        assert said is not None, "own_metrics() has looked"
        return said


def without(desired: ModelDeployment, names: Sequence[str]) -> ModelDeployment:
    """The same, and these metrics are not in its analysis."""
    if not names:
        return desired
    document = dict(Fragment(desired.analysis_text).mapping)
    if "metrics" in document:
        document["metrics"] = [each for each in document["metrics"] if each["name"] not in names]
    kept = tuple(metric for metric in desired.analysis.metrics if metric.name not in names)
    return replace(desired, analysis=replace(desired.analysis, metrics=kept), analysis_text=Fragment.of(document).text)


def gauges(desired: ModelDeployment) -> tuple[str, ...]:
    return tuple(metric.name for metric in desired.analysis.metrics if metric.kind is Kind.GAUGE)


_OPTIONS = ("--metric", "--candidate-metric")


def said_of(
    desired: ModelDeployment,
    stable: Sequence[tuple[str, Rate | Lognormal]],
    candidate: Sequence[tuple[str, Rate | Lognormal]],
) -> tuple[dict[str, Rate | Lognormal], dict[str, Rate | Lognormal]]:
    """What a command line says of both versions' metrics; ValueError names the option and the metric."""
    known = [metric.name for metric in _listed(desired)]
    for option, said in zip(_OPTIONS, (stable, candidate), strict=True):
        for index, (name, _) in enumerate(said):
            if name in (ERRORS, LATENCY):
                raise ValueError(f"{option} {name}: has an option of its own; write {_own_option(option, name)}")
            if name not in known:
                raise ValueError(f"{option} {name}: is not drawn; spec.analysis.metrics has {_names(known)}")
            if name in dict(said[:index]):
                raise ValueError(f"{option} {name}: is said twice; leave one of them out")
    of_stable = dict(stable)
    for name, value in candidate:
        if name not in of_stable:
            raise ValueError(f"{_OPTIONS[1]} {name}: is said of the candidate only; write {_OPTIONS[0]} {name}=…, too")
        if type(value) is not type(of_stable[name]):
            raise ValueError(f"{_OPTIONS[1]} {name}: has values of another kind than with {_OPTIONS[0]}")
    return of_stable, dict(candidate)


def _own_option(option: str, name: str) -> str:
    return f"--{name}" if option == _OPTIONS[0] else f"--candidate-{name}"


def _listed(desired: ModelDeployment) -> list[MetricSettings]:
    return [m for m in desired.analysis.metrics if m.name not in (ERRORS, LATENCY) and m.is_counted]


def _names(known: Sequence[str]) -> str:
    return ", ".join(known) or "none but errors and latency"


def own_metrics(desired: ModelDeployment, scenario: Scenario) -> tuple[OwnMetric, ...]:
    """Those that are drawn. ValueError names a metric of which nothing, or something impossible, is said."""
    listed = _listed(desired)
    known = [metric.name for metric in listed]
    unknown = [name for name, _ in scenario.stable.own if name not in known]
    if unknown:
        raise ValueError(f"metric {unknown[0]}: is not drawn; spec.analysis.metrics has {_names(known)}")
    return tuple(found for metric in listed if (found := _own(metric, scenario)) is not None)


def _own(metric: MetricSettings, scenario: Scenario) -> OwnMetric | None:
    """None of a histogram that a preset knows, where no latency is exported."""
    said = scenario.stable.of(metric.name)
    if metric.kind is Kind.RATIO:
        if not isinstance(said, Rate):
            wish = f"write the share of bad ones, such as {metric.name}=2%"
            raise ValueError(f"metric {metric.name}: {_what(said)}; {wish}")
        signal = metric.signal
        return OwnMetric(name=metric.name, score=(signal.low, signal.high) if isinstance(signal, Score) else None)
    if said is None and metric.signal is None and scenario.stable.latency is None:
        return None
    if isinstance(said, Rate) or (said is None and metric.signal is not None):
        wish = f"write its median and sigma, such as {metric.name}=100ms/0.6"
        raise ValueError(f"metric {metric.name}: {_what(said)}; {wish}")
    return OwnMetric(name=metric.name, bounds=metric_bounds(metric, scenario, SERVER_BOUNDS))


def _what(said: Rate | Lognormal | None) -> str:
    return "is not said" if said is None else "has values of another kind"


class Drawn:
    """Draws what a span of requests shows in these metrics."""

    def __init__(self, metrics: Sequence[OwnMetric], versions: Sequence[Version], rng: Random) -> None:
        self._metrics, self._rng = metrics, rng
        self._shares: Mapping[tuple[str, Version], Sequence[float]] = {
            (metric.name, version): bucket_shares(what, metric.bounds)
            for metric in metrics
            for version in versions
            if isinstance(what := metric.of(version), Lognormal)
        }

    @property
    def queries(self) -> tuple[str, ...]:
        return tuple(query for each in self._metrics if each.bounds is None for query in (each.name, each.part))

    @property
    def histograms(self) -> Mapping[str, Sequence[float]]:
        return {each.name: each.bounds for each in self._metrics if each.bounds is not None}

    def draw(self, scraped: Scraped, place: tuple[str, str], version: Version, requests: int) -> None:
        """`place`: the target and the revision."""
        for metric in self._metrics:
            what = metric.of(version)
            if isinstance(what, Lognormal):
                shares = self._shares[metric.name, version]
                scraped.observe(*place, metric.name, shared_out(self._rng, requests, shares))
                continue
            counted = requests if what.counted == 1 else binomial(self._rng, requests, what.counted)
            bad = binomial(self._rng, counted, what.bad)
            low, high = metric.score or (0.0, 1.0)
            scraped.rise(*place, metric.name, counted)
            scraped.rise(*place, metric.part, bad if metric.score is None else low * bad + high * (counted - bad))


def bucket_shares(latency: Lognormal | None, bounds: Sequence[float] | None) -> list[float]:
    """The share of answers in each bucket alone, the one up to +Inf last; none without a histogram."""
    if bounds is None or latency is None:
        return []
    below = [0.0, *(latency.below(bound) for bound in (*bounds, inf))]
    return [high - low for low, high in pairwise(below)]
