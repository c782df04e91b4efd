"""The ConfigMap with a rollout's evidence is deleted while no operator runs, so that nobody remembers it."""

import os
import re
import subprocess
import sys

from tests.e2e.operators import ROOT
from tests.e2e.place import Place
from tests.e2e.specs import BY_EVIDENCE, Document, a_rollout, steps

CONFIG_MAP = "model-evidence"


def test_lost_evidence_is_gathered_again_from_the_rollouts_start(empty_place: Place) -> None:
    place = empty_place
    place.operators.on_host()
    second_step = steps(50, minDuration="20s", deadline="30s")
    model: Document = {"rollout": {**a_rollout(), "steps": [*steps(20), *second_step]}, "analysis": BY_EVIDENCE}
    place.deploy(place.model("1", **model))
    with place.requests(50) as seen:
        place.apply(place.model("2", **model))
        second = place.until_weight(50).candidate
        before = _analysis(place)
        place.operators.kill()
        place.world.api.delete("ConfigMap", place.namespace, CONFIG_MAP)
        place.operators.on_host()
        look = place.until("promoted", lambda look: look.stable == second and look.is_stable())
        assert [record.status for record in seen() if record.failed] == []
    assert place.route_of(second) == [20, 50, 100]
    assert [action for action, revision in look.decisions if revision == second] == [
        "Start",
        "Advance",
        "Advance",
        "Promote",
    ]
    after = _analysis(place)
    assert "EvidenceRestarted" not in after.get("flags", [])
    of_second_step = next(each["step"]["candidateRequests"] for each in after["metrics"] if each["name"] == "errors")
    assert after["candidateRequests"] >= before["candidateRequests"] + of_second_step, "both steps are counted"
    told = _explained(place)
    assert told.startswith(f"{place.namespace}/model: candidate {second} against stable ")
    assert "the one that status names" in told
    assert re.search(r"\n  errors +rollout +[0-9]", told), told


def _analysis(place: Place) -> Document:
    analysis: Document = place.look().status["analysis"]
    return analysis


def _explained(place: Place) -> str:
    """As a person at a terminal would ask."""
    command = [sys.executable, "-m", "modelrollout", "explain", "model", "-n", place.namespace]
    environment = os.environ | {"KUBECONFIG": str(place.world.api.kubeconfig), "PYTHONPATH": str(ROOT / "operator")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
