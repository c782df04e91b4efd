"""The store in, `Observed` out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from modelrollout.cluster import checkpoint
from modelrollout.cluster.kinds import Live
from modelrollout.cluster.observe import observe
from modelrollout.cluster.store import WatchStore
from modelrollout.decide.evidence_document import to_document
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.model_deployment import InvalidSpec, Key, ModelDeployment
from modelrollout.domain.observed import Observed
from modelrollout.domain.traffic import RouteSeen
from modelrollout.render.templates import EVIDENCE_KEY
from tests.cluster.live import (
    LABELS,
    NAME,
    NAMESPACE,
    REVISION,
    UID,
    WORKLOAD,
    a_deployment,
    a_model_deployment,
    an_object,
    owned_by,
)

KEY = Key(namespace=NAMESPACE, name=NAME)
EVIDENCE = Evidence(
    stable=REVISION, candidate="cccccccc", attempt="1", started_at=1.0, steps=3, planned_parts=2, last_eval=1795316400.1
)
IN_ROLLOUT = {"rollout": {"stable": REVISION, "candidate": "cccccccc", "attempt": 1}}


@dataclass(slots=True)
class Router:
    """Remembers what it was shown."""

    answer: RouteSeen
    shown: Sequence[Live] = ()

    def read(self, key: Key, children: Sequence[Live]) -> RouteSeen:
        assert key == KEY
        self.shown = children
        return self.answer


def _routers() -> dict[str, Router]:
    return {
        "gatewayAPI": Router(RouteSeen(exists=True, resource_version="1")),
        "replicaRatio": Router(RouteSeen(exists=True, resource_version="2")),
    }


def _seen(
    *children: dict[str, Any],
    md: dict[str, Any] | None = None,
    routers: dict[str, Router] | None = None,
    evidence: Evidence | None = None,
    refusal: Remark | None = None,
) -> Observed:
    store = WatchStore()
    store.put(a_model_deployment() if md is None else md)
    for child in children:
        store.put(child)
    observed = observe(
        KEY,
        store,
        _routers() if routers is None else routers,
        lambda uid: evidence if uid == UID else None,
        lambda _: refusal,
    )
    assert observed is not None
    return observed


def _evidence_map(evidence: Evidence, **annotations: str) -> dict[str, Any]:
    text = json.dumps(to_document(evidence))
    live = an_object(name=f"{NAME}-evidence", owner=owned_by(), data={EVIDENCE_KEY: text})
    live["metadata"]["annotations"] = annotations or dict(checkpoint.annotations(evidence, text))
    return live


def _stable_service(**selector: str) -> dict[str, Any]:
    return an_object("v1", "Service", NAME, owner=owned_by(), spec={"selector": {**LABELS, **selector}})


def test_a_model_deployment_that_is_not_there_is_none() -> None:
    assert observe(KEY, WatchStore(), _routers(), lambda _: None, lambda _: None) is None


def test_a_new_one_has_a_spec_and_nothing_else() -> None:
    observed = _seen()
    assert isinstance(observed.desired, ModelDeployment)
    assert observed.desired.version == "3"
    assert (observed.uid, observed.resource_version, observed.generation) == (UID, "10", 1)
    assert observed.intent.stable is None
    assert observed.workloads == ()
    assert not observed.deleting
    assert not observed.service_exists


def test_a_spec_that_does_not_parse_is_a_value() -> None:
    observed = _seen(md=a_model_deployment(spec={"model": {}, "runtime": 7}))
    assert isinstance(observed.desired, InvalidSpec)
    assert observed.refused is None


def test_what_the_operator_refuses_is_told() -> None:
    remark = Remark(reason=Reason.UNKNOWN_PRESET, message="no")
    assert _seen(refusal=remark).refused == remark


def test_the_command_and_the_deletion_are_seen() -> None:
    md = a_model_deployment()
    md["metadata"]["annotations"] = {"modelrollout.dev/command": "abort:cccccccc"}
    md["metadata"]["deletionTimestamp"] = "2026-11-22T03:00:00Z"
    observed = _seen(md=md)
    assert observed.command == "abort:cccccccc"
    assert observed.deleting


def test_the_status_is_kept_as_stored_and_read_as_intent() -> None:
    observed = _seen(md=a_model_deployment(status=IN_ROLLOUT))
    assert observed.status.value == IN_ROLLOUT
    assert observed.intent.candidate == "cccccccc"


IMPOSSIBLE = {
    "rollout": {
        "stable": "cccccccc",
        "candidate": "cccccccc",
        "weight": 60,
        "attempt": 4,
        "aborted": {"revision": "dddddddd", "reason": "Regressed", "at": "2026-11-22T03:00:00Z"},
    }
}


def test_an_intent_that_cannot_be_is_read_from_what_serves_and_keeps_its_memory() -> None:
    observed = _seen(_stable_service(), md=a_model_deployment(status=IMPOSSIBLE))
    assert observed.adopted and observed.status.value == IMPOSSIBLE
    intent = observed.intent
    assert (intent.stable, intent.candidate, intent.weight, intent.attempt) == (REVISION, None, 0, 4)
    assert intent.aborted is not None and intent.aborted.revision == "dddddddd"


def test_where_the_service_is_open_the_route_says_what_serves() -> None:
    routers = _routers() | {"replicaRatio": Router(RouteSeen(exists=True, weights=(("b", 30), (REVISION, 70))))}
    observed = _seen(md=a_model_deployment(status=IMPOSSIBLE), routers=routers)
    assert (observed.adopted, observed.intent.stable) == (True, REVISION)


@pytest.mark.parametrize("rollout", [{"weight": 10}, {"leaving": True}, {"stable": "b", "since": "yesterday"}])
def test_other_intents_that_cannot_be(rollout: dict[str, Any]) -> None:
    assert _seen(_stable_service(), md=a_model_deployment(status={"rollout": rollout})).intent.stable == REVISION


def test_the_stable_service_points_at_what_it_selects() -> None:
    assert _seen(_stable_service()).service_points_at == REVISION
    opened = _stable_service()
    del opened["spec"]["selector"]["modelrollout.dev/revision"]
    assert _seen(opened).service_exists
    assert _seen(opened).service_points_at is None


def test_the_router_of_the_rollout_is_asked_whatever_the_spec_says_now() -> None:
    at_rest = _seen(md=a_model_deployment(status={}))
    assert at_rest.route.resource_version == "2"
    rolling = {"rollout": {**IN_ROLLOUT["rollout"], "router": "gatewayAPI"}}
    assert _seen(md=a_model_deployment(status=rolling)).route.resource_version == "1"


def test_a_workload_is_seen_by_its_revision() -> None:
    assert _seen(a_deployment()).workload(REVISION) is not None


def test_what_a_deleted_predecessor_left_is_not_ours_and_no_conflict() -> None:
    routers = _routers()
    left = an_object("v1", "Service", NAME, owner=owned_by("uid-of-the-old-one"), spec={"selector": {}})
    observed = _seen(left, routers=routers)
    assert not observed.service_exists
    assert observed.conflict is None
    assert routers["replicaRatio"].shown == []


def test_a_foreign_object_with_our_labels_under_a_name_we_need_is_a_conflict() -> None:
    conflict = _seen(an_object("v1", "Service", NAME, spec={"selector": {}})).conflict
    assert conflict is not None
    assert conflict.reason is Reason.CONFLICT
    assert f"Service {NAME} exists" in conflict.message


def test_a_foreign_object_with_our_labels_under_another_name_is_nobodys_business() -> None:
    assert _seen(an_object("v1", "Service", "theirs", spec={"selector": {}})).conflict is None


def test_a_snapshot_that_cannot_be_read_is_none() -> None:
    broken = an_object("apps/v1", "ControllerRevision", WORKLOAD, owner=owned_by(), revision=1, data={})
    assert _seen(broken).snapshots == ()


def test_evidence_in_memory_is_newer_than_what_was_written() -> None:
    newer = replace(EVIDENCE, last_eval=1795316460.0)
    observed = _seen(_evidence_map(EVIDENCE), md=a_model_deployment(status=IN_ROLLOUT), evidence=newer)
    assert observed.evidence == newer
    assert observed.checkpoint_eval == EVIDENCE.last_eval


def test_after_a_restart_the_evidence_is_what_was_written() -> None:
    observed = _seen(_evidence_map(EVIDENCE), md=a_model_deployment(status=IN_ROLLOUT))
    assert observed.evidence == EVIDENCE
    assert observed.checkpoint_eval == EVIDENCE.last_eval
    assert observed.checkpointed_at == datetime.fromtimestamp(1795316400.1, UTC)


def test_without_the_annotation_the_document_says_up_to_when() -> None:
    observed = _seen(_evidence_map(EVIDENCE, other="1"), md=a_model_deployment(status=IN_ROLLOUT))
    assert observed.checkpoint_eval == EVIDENCE.last_eval


def test_evidence_that_cannot_be_read_is_begun_afresh() -> None:
    live = _evidence_map(EVIDENCE)
    live["data"][EVIDENCE_KEY] = '{"schema": 99}'
    assert _seen(live, md=a_model_deployment(status=IN_ROLLOUT)).evidence is None


def test_without_a_candidate_there_is_no_evidence() -> None:
    observed = _seen(_evidence_map(EVIDENCE), evidence=EVIDENCE)
    assert observed.evidence is None
    assert observed.checkpoint_eval is None
