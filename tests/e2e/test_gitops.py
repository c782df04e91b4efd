"""What pipelines do: apply, wait for Ready, look for drift."""

import json

import pytest
import yaml

from tests.e2e.place import Place
from tests.e2e.specs import a_rollout, a_server

pytestmark = pytest.mark.alongside


def _apply_and_wait(place: Place, document: dict[str, object], condition: str) -> None:
    """As a CI job does, one command right after the other."""
    kubectl = place.world.kubectl
    kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(document))
    kubectl("wait", "md/model", "-n", place.namespace, f"--for=condition={condition}", "--timeout=60s")


def test_waiting_for_ready_ends_when_the_applied_version_serves_and_not_before(place: Place) -> None:
    for version in ("1", "2", "3"):
        _apply_and_wait(place, place.model(version, rollout=a_rollout(50)), "Ready")
        live = place.world.api.get("ModelDeployment", place.namespace, "model")
        assert live is not None
        status, generation = live["status"], live["metadata"]["generation"]
        serving = {each["name"]: each["version"] for each in status["revisions"]}
        assert serving[status["rollout"]["stable"]] == version and "candidate" not in status["rollout"]
        assert status["observedGeneration"] == generation
        assert {each["observedGeneration"] for each in status["conditions"]} == {generation}


def test_a_version_that_cannot_start_is_a_failed_sync(place: Place) -> None:
    _apply_and_wait(place, place.model("1"), "Ready")
    broken = a_server(place.world.image, command=["python3", "-c", "raise SystemExit(3)"])
    _apply_and_wait(place, place.model("2", runtime=broken), "Stalled")
    look = place.until("rolled back", lambda look: look.phase == "RolledBack")
    assert look.condition("Ready") == ("False", "RolledBack") and look.condition("Reconciling")[0] == "False"
    assert look.aborted["reason"] == "CrashLoop" and look.condition("Available")[0] == "True"
    _apply_and_wait(place, place.model("1"), "Ready")
    assert place.look().aborted == {}


def test_nothing_that_the_operator_does_is_drift(place: Place) -> None:
    document = place.model()
    place.deploy(document)
    text = yaml.safe_dump(document)
    place.world.kubectl("diff", "--server-side", "--field-manager=e2e", "-f", "-", stdin=text)  # status 1 if any
    live = json.loads(
        place.world.kubectl("get", "md/model", "-n", place.namespace, "-o", "json", "--show-managed-fields")
    )
    managers = {each["manager"]: set(each["fieldsV1"]) for each in live["metadata"]["managedFields"]}
    assert managers == {"e2e": {"f:spec"}, "modelrollout": {"f:status"}}
    assert live["metadata"]["generation"] == 1
