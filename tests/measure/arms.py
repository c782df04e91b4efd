"""Plans as the controller makes them: two revisions of one model."""

from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.metrics import Source
from modelrollout.domain.polls import Arm, ArmPod, Arms
from modelrollout.measure.queries import MeasurePlan, Query, queries
from modelrollout.measure.series import SeriesPreset, series_for

_ROUTE = "httproute-shop-sentiment-gw-infra-public-ep-web-0-8ff6d89612ef2bf7a50d-svc-shop-sentiment"
OLD = f"{_ROUTE}-old-0@kubernetesgateway"
NEW = f"{_ROUTE}-new-1@kubernetesgateway"
OLD_PATTERN = "httproute-shop-sentiment-gw-.+-svc-shop-sentiment-old-[0-9]+@kubernetesgateway"
NEW_PATTERN = "httproute-shop-sentiment-gw-.+-svc-shop-sentiment-new-[0-9]+@kubernetesgateway"
GATEWAY = Arms(stable=Arm(revision="old", service=OLD_PATTERN), candidate=Arm(revision="new", service=NEW_PATTERN))
SERVER = Arms(
    stable=Arm(revision="old", pods=(ArmPod(name="old-1", created_at=0), ArmPod(name="old-2", created_at=0))),
    candidate=Arm(revision="new", pods=(ArmPod(name="new-1", created_at=0),)),
)


def preset(source: Source, name: str) -> SeriesPreset:
    found = series_for(source, name)
    assert found is not None
    return found


def traefik(*polls: float, since: float = 40.0, latency: bool = True, arms: Arms = GATEWAY) -> MeasurePlan:
    return _plan(preset(Source.GATEWAY, "traefik"), arms, polls or (115.0,), since, latency=latency)


def mlserver(arms: Arms = SERVER) -> MeasurePlan:
    return _plan(preset(Source.SERVER, "mlserver"), arms, (115.0,), 40.0)


def _plan(
    series: SeriesPreset, arms: Arms, polls: tuple[float, ...], since: float, *, latency: bool = True
) -> MeasurePlan:
    metrics = AnalysisSettings().metrics[: 2 if latency else 1]
    return MeasurePlan(namespace="shop", preset=series, arms=arms, polls=polls, since=since, metrics=metrics)


def query(name: str, plan: MeasurePlan) -> Query:
    return next(each for each in queries(plan) if each.name == name)
