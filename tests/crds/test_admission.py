"""What the real API server says: defaults, rules, columns, the scale subresource."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from modelrollout import names
from modelrollout.domain.model_deployment import InvalidSpec, ModelDeployment
from modelrollout.domain.parse import parse
from tests.api_server import RealApiServer, install_crd
from tests.crds.generated import a_spec
from tests.crds.schema import CRD, ROOT, cases, header, load

pytestmark = pytest.mark.conformance
NAMESPACE = "admission"
EXAMPLES = sorted((ROOT / "examples").glob("*/modeldeployment.yaml"))
Body = dict[str, Any]


class Admission:
    """Creates without creating (dry run), with strict fields; `None` or what the API server has against it."""

    def __init__(self, server: RealApiServer) -> None:
        self.server = server
        self._custom = client.CustomObjectsApi(config.new_client_from_config(str(server.kubeconfig)))

    def create(self, body: Body, *, dry: bool = True) -> Body | str:
        options = {"dry_run": "All"} if dry else {}
        try:
            made: Body = self._custom.create_namespaced_custom_object(
                names.GROUP, names.VERSION, NAMESPACE, names.PLURAL, body, field_validation="Strict", **options
            )
        except client.ApiException as error:
            return str(json.loads(error.body)["message"])
        return made

    def refusal(self, body: Body) -> str | None:
        answer = self.create(body)
        return answer if isinstance(answer, str) else None

    def kubectl(self, *arguments: str) -> str:
        return self.server.kubectl("--namespace", NAMESPACE, *arguments)


@pytest.fixture(scope="module")
def admission(api_server: RealApiServer) -> Iterator[Admission]:
    install_crd(api_server, CRD, f"{names.PLURAL}.{names.GROUP}")
    api_server.kubectl("create", "namespace", NAMESPACE)
    yield Admission(api_server)
    api_server.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def minimal(name: str = "sentiment", **spec: object) -> Body:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {"model": {"version": "3"}, "runtime": {"preset": "mlserver"}, **spec},
    }


@pytest.mark.parametrize("name", cases("accept"))
def test_what_is_right_is_accepted(admission: Admission, name: str) -> None:
    assert admission.refusal(load(cases("accept")[name])) is None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_our_own_examples_are_accepted_and_read(admission: Admission, path: Path) -> None:
    body = load(path)
    body["metadata"]["namespace"] = NAMESPACE
    stored = admission.create(body)
    assert isinstance(stored, dict), stored
    assert isinstance(parse(stored), ModelDeployment)


@pytest.mark.parametrize("name", cases("reject"))
def test_what_is_wrong_is_refused_with_a_message_that_helps(admission: Admission, name: str) -> None:
    path = cases("reject")[name]
    assert (header(path, "refused") or "?") in (admission.refusal(load(path)) or "it was accepted")


def test_the_shortest_manifest_gets_its_defaults_and_none_in_the_revision(admission: Admission) -> None:
    made = admission.create(minimal())
    assert isinstance(made, dict)
    spec = made["spec"]
    assert spec["model"] == {"version": "3"}
    assert spec["runtime"] == {"preset": "mlserver"}
    assert spec["scaling"] == {"replicas": 1}
    assert spec["traffic"] == {"port": 80, "router": "replicaRatio"}
    assert spec["rollout"] == {
        "steps": [{"weight": 5}, {"weight": 25}, {"weight": 50}],
        "bake": "10m",
        "historyLimit": 5,
    }
    assert spec["paused"] is False
    assert spec["analysis"]["alpha"] == 0.01
    assert "source" not in spec["analysis"]


def test_defaults_of_the_schema_are_those_of_the_code(admission: Admission) -> None:
    stored, written = parse(admission.create(minimal())), parse(minimal())  # type: ignore[arg-type]
    assert isinstance(stored, ModelDeployment)
    assert isinstance(written, ModelDeployment)
    assert (stored.scaling, stored.traffic, stored.rollout, stored.analysis) == (
        written.scaling,
        written.traffic,
        written.rollout,
        written.analysis,
    )


def test_no_steps_is_a_choice_that_no_default_replaces(admission: Admission) -> None:
    made = admission.create(minimal(rollout={"steps": []}))
    assert isinstance(made, dict)
    assert made["spec"]["rollout"]["steps"] == []


@pytest.mark.parametrize("pause", [0, 1, 1.5, "", "true", "2 days", [], [1], {}, {"a": 1}, False])
def test_a_pause_is_true_or_a_duration_and_nothing_else(admission: Admission, pause: object) -> None:
    refusal = admission.refusal(minimal(rollout={"steps": [{"weight": 5, "pause": pause}]})) or ""
    assert 'supported values: "true", "30m", "1h30m"' in refusal


def test_a_megabyte_is_refused(admission: Admission) -> None:
    refusal = admission.refusal(minimal(model={"version": "3", "uri": "pvc://m/" + "a" * 1_000_000})) or ""
    assert "spec.model.uri: Too long" in refusal
    assert len(refusal) < 1_000


def test_kubectl_scale_writes_the_replicas_and_columns_tell_the_story(admission: Admission) -> None:
    admission.create(minimal("scaled"), dry=False)
    admission.kubectl("scale", "md", "scaled", "--replicas=3")
    status = {
        "phase": "Progressing",
        "step": "2/4",
        "message": "Testing.",
        "replicas": 3,
        "selector": "a=b",
        "rollout": {"stable": "bcdfghjk", "candidate": "kjhgfdcb", "weight": 25, "step": 1},
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "Analysing",
                "message": "",
                "lastTransitionTime": "2026-11-22T03:00:00.123Z",
                "observedGeneration": 2,
            }
        ],
    }
    patch = json.dumps({"status": status})
    admission.kubectl("patch", "md", "scaled", "--subresource=status", "--type=merge", "-p", patch)
    head, row = admission.kubectl("get", "md", "scaled", "-o", "wide").splitlines()
    assert " ".join(head.split()) == "NAME VERSION PHASE STEP WEIGHT STABLE READY AGE CANDIDATE MESSAGE"
    assert row.split()[:7] == ["scaled", "3", "Progressing", "2/4", "25", "bcdfghjk", "False"]
    assert row.split()[-2:] == ["kjhgfdcb", "Testing."]
    assert "scaled" in admission.kubectl("get", "ml", "--field-selector=status.phase=Progressing", "-o", "name")
    scale = json.loads(
        admission.kubectl(
            "get", "--raw", f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/{names.PLURAL}/scaled/scale"
        )
    )
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 3, "selector": "a=b"}


def test_an_unknown_field_in_status_does_not_survive(admission: Admission) -> None:
    admission.create(minimal("closed"), dry=False)
    patch = '{"status": {"phase": "Stable", "rollout": {"stable": "a", "sneaky": 1}}}'
    admission.kubectl("patch", "md", "closed", "--subresource=status", "--type=merge", "-p", patch)
    kept = json.loads(admission.kubectl("get", "md", "closed", "-o", "json"))["status"]
    assert kept == {"phase": "Stable", "rollout": {"stable": "a"}}


def test_whatever_the_api_server_accepts_is_read_and_its_defaults_make_no_new_revision(admission: Admission) -> None:
    """The same random specs each time, most of them odd: accepted means parsed, stored means the same revision."""
    chance, accepted = random.Random(20261122), 0
    for number in range(600):
        body = minimal(f"odd-{number}") | {"spec": a_spec(chance)}
        stored = admission.create(body)
        if isinstance(stored, str):
            continue
        accepted += 1
        as_stored, as_written = parse(stored), parse(body)
        assert not isinstance(as_stored, InvalidSpec), (as_stored, body)
        assert not isinstance(as_written, InvalidSpec), (as_written, body)
        assert as_stored.revision == as_written.revision
        assert as_stored.analysis == as_written.analysis
        assert as_stored.scaling == as_written.scaling
    assert accepted > 60, "the generator makes too little that is right"
