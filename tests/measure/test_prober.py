"""What is asked for the two revisions seen, and what is told where nothing can be asked."""

import json
import threading
from dataclasses import replace

import pytest

from modelrollout.decide.evidence import begin, enter_step
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.observed import Observed
from modelrollout.domain.parse import analysis_settings
from modelrollout.domain.plan import Measure
from modelrollout.domain.polls import FaultKind
from modelrollout.measure import service_errors
from modelrollout.measure.asking import Asking
from modelrollout.measure.instruments import Instruments
from modelrollout.measure.prober import PrometheusProber, arms_of
from modelrollout.measure.providers import Providers
from modelrollout.measure.queries import Query
from modelrollout.measure.rows import Rows
from tests.builders import GOOD, STABLE, a_rollout
from tests.measure.arms import preset
from tests.measure.http_server import Asked, Script, matrix, patient, serving


def evidence_of(observed: Observed) -> Evidence:
    desired, intent = observed.desired, observed.intent
    assert isinstance(desired, ModelDeployment) and intent.started_at and intent.since
    begun = begin(
        desired.analysis,
        stable=STABLE.revision,
        candidate=GOOD.revision,
        attempt="2",
        steps=3,
        at=intent.started_at.timestamp(),
    )
    return enter_step(begun, desired.analysis, step=0, weight=10, at=intent.since.timestamp())


def test_at_the_gateway_an_arm_is_known_by_our_route_and_its_service() -> None:
    observed = a_rollout(10)
    arms = arms_of(observed, evidence_of(observed), preset(Source.GATEWAY, "traefik"))
    assert arms.candidate.service == (
        f"httproute-shop-sentiment-gw-.+-svc-shop-sentiment-{GOOD.revision}-[0-9]+@kubernetesgateway"
    )
    assert arms.stable.revision == STABLE.revision


def test_at_the_server_an_arm_is_known_by_its_pods() -> None:
    observed = a_rollout(10)
    arms = arms_of(observed, evidence_of(observed), preset(Source.SERVER, "mlserver"))
    assert [pod.name for pod in arms.candidate.pods] == [f"{GOOD.revision}-0"]
    assert arms.candidate.service == "" and arms.candidate.ready_at is not None


class Silent(Providers):
    """One that is asked, and has no series."""

    def __init__(self) -> None:
        super().__init__(())
        self.asked: list[Query] = []

    def named(self, name: str) -> Asking:
        return Asking(self, replica_label="")

    async def rows(self, query: Query) -> Rows:
        self.asked.append(query)
        return ()


async def test_the_past_of_ones_own_metrics_is_asked_for_beside_what_is_compared() -> None:
    quality = {"name": "quality", "kind": "ratio", "total": {"series": "a_total"}, "bad": {"series": "b_total"}}
    text = json.dumps({"metrics": [{"name": "errors"}, {"name": "latency"}, quality]})
    observed = a_rollout(10, intent={"analysis": text})
    begun = begin(
        analysis_settings(text), stable=STABLE.revision, candidate=GOOD.revision, attempt="2", steps=3, at=1.8e9
    )
    providers = Silent()
    prober = PrometheusProber(providers, Instruments())
    after = await prober.measure(Measure(evidence=begun, look_back=begun.started_at), observed)
    assert after.before is not None and after.metrics[2].tests[0].scatter.known is False
    mine = {
        (query.name, query.place.source) for query in providers.asked if query.name.startswith(("quality", "latency"))
    }
    assert mine == {
        ("quality", Source.SERVER),
        ("quality/bad", Source.SERVER),
        ("latency", Source.GATEWAY),
        ("latency", Source.SERVER),
    }
    assert sum(query.name == "quality" for query in providers.asked) == sum(
        query.name == "requests" and query.place.source is Source.GATEWAY for query in providers.asked
    ), "once a piece"


async def test_without_a_prometheus_every_poll_is_a_fault_and_evidence_of_nothing() -> None:
    observed = a_rollout(10)
    before = evidence_of(observed)
    poll = before.step_at + 5
    prober = PrometheusProber(Providers(()), Instruments())
    after = await prober.measure(Measure(evidence=before, polls=(poll,)), observed)
    assert after.block_seq == before.block_seq and after.last_eval == poll
    assert "MODELROLLOUT_PROMETHEUS_URL" in after.faults[0][1].message


def test_where_the_router_cannot_give_the_weight_its_real_share_is_expected() -> None:
    observed = a_rollout(10)
    by_replicas = replace(observed, route=replace(observed.route, share=((STABLE.revision, 67), (GOOD.revision, 33))))
    assert arms_of(by_replicas, evidence_of(by_replicas), None).share == 0.33
    assert arms_of(observed, evidence_of(observed), preset(Source.GATEWAY, "traefik")).share is None


@pytest.mark.parametrize("hangs", [False, True])
async def test_the_whole_service_is_asked_for_beside_the_polls_and_keeps_none_waiting(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fault is its own: the polls' answers count, and nothing says that the provider failed."""
    observed = a_rollout(10)
    before = evidence_of(observed)
    at = before.step_at + 5
    over = threading.Event()
    monkeypatch.setattr(service_errors, "LONGEST", 0.2 if hangs else 10.0)

    def answer(asked: Asked) -> bytes:
        if service_errors.PART not in asked.query:
            return matrix()
        if hangs:
            over.wait(5.0)
        part = "traefik_service_requests_total/300"
        return matrix(({service_errors.PART: part, "code": "500"}, [[asked.time, "7"]]))

    with serving(Script(answer=answer)) as script:
        providers = Providers((patient(script),), window=0.0)
        prober = PrometheusProber(providers, Instruments())
        after = await prober.measure(Measure(evidence=before, polls=(at,), service_at=at + 1), observed)
        again = await prober.measure(Measure(evidence=after, polls=()), observed)
        over.set()
        providers.close()
    assert (after.last_eval, after.faults) == (at, ())
    assert after.service is not None and after.service.asked_at == at + 1
    if hangs:
        assert after.service.windows is None and after.service.fault is not None
        assert after.service.fault.kind is FaultKind.TIMEOUT
    else:
        assert after.service.windows is not None and after.service.windows.five_minutes.bad == 7.0
    assert again.service == after.service


async def test_without_a_prometheus_the_service_is_not_known() -> None:
    observed = a_rollout(10)
    before = evidence_of(observed)
    prober = PrometheusProber(Providers(()), Instruments())
    after = await prober.measure(Measure(evidence=before, service_at=before.step_at), observed)
    assert after.service is not None and after.service.windows is None and after.service.fault is not None
