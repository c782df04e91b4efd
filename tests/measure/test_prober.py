"""What is asked for the two revisions seen, and what is told where nothing can be asked."""

from dataclasses import replace

from modelrollout.decide.evidence import begin, enter_step
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.metrics import Source
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.observed import Observed
from modelrollout.domain.plan import Measure
from modelrollout.measure.instruments import Instruments
from modelrollout.measure.prober import PrometheusProber, arms_of
from modelrollout.measure.providers import Providers
from tests.builders import GOOD, STABLE, a_rollout
from tests.measure.arms import preset


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
