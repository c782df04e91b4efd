"""The service fails far more than its SLO allows, and somebody applies another version."""

from tests.e2e.place import Place
from tests.e2e.specs import BY_EVIDENCE, Document, a_rollout, a_server


def test_no_rollout_begins_while_the_service_burns_its_budget_and_a_person_may_promote(place: Place) -> None:
    guardrails = {"slo": 0.99, "errorRateMax": 0.45}
    model: Document = {"rollout": a_rollout(20, 50), "analysis": BY_EVIDENCE | {"guardrails": guardrails}}
    place.deploy(place.model("1", **model, runtime=a_server(place.world.image, failing=0.3)))
    with place.requests(50):
        place.stays(5, lambda look: look.is_stable())
        place.apply(place.model("2", **model))
        told = "times too fast over 1 h and 5 min, and the limit is 14.4"
        look = place.until("waits for the service", lambda look: told in look.message)
        assert look.condition("AnalysisHealthy") == ("Unknown", "ServiceBurning")
        second = look.candidate
        place.stays(5, lambda look: look.weight == 0)
        assert place.route_of(second) == []
        place.command(f"promote:{second}")
        assert place.until_stable().stable == second
