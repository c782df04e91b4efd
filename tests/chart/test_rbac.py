"""Least privilege: what is granted is what the code asks the API server for, no more and no less."""

import re
from typing import Any

import pytest

from modelrollout import names
from modelrollout.cluster import kinds
from modelrollout.cluster.kinds import KINDS, LEASE, MODEL_DEPLOYMENT, Kind
from modelrollout.render.manifest import ALLOWED
from tests.chart.rendering import Document, documents, everything, of_kind, only, rules

NAMESPACED: dict[str, Any] = {"watchNamespaces": ["shop", "search"], "crds": {"install": False}}
CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}

WATCH = {"get", "list", "watch"}
APPLY = {"create", "patch"}  # server-side apply of what is not there yet is authorised as both

OWNED = (
    kinds.DEPLOYMENT,
    kinds.CONTROLLER_REVISION,
    kinds.SERVICE,
    kinds.CONFIG_MAP,
    kinds.AUTOSCALER,
    kinds.DISRUPTION_BUDGET,
    kinds.HTTP_ROUTE,
)
"""Applied, and deleted when a revision goes or the router changes."""

NOT_RENDERED: tuple[Kind, ...] = (kinds.POD_MONITOR,)
"""In the table of kinds, but nothing makes one yet: no right is given in advance."""


def asked_for() -> dict[tuple[str, str], set[str]]:
    """(group, resource) → verbs, from the operator's own table of kinds."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for kind in KINDS:
        if kind.watched:
            wanted[kind.group, kind.plural] = set(WATCH)
    for kind in OWNED:
        wanted[kind.group, kind.plural] |= APPLY | {"delete"}
    wanted[kinds.DEPLOYMENT.group, "deployments/scale"] = {"patch"}
    wanted[names.GROUP, f"{names.PLURAL}/status"] = {"patch"}
    wanted[names.GROUP, f"{names.PLURAL}/finalizers"] = {"update"}  # blockOwnerDeletion, where that is enforced
    wanted[kinds.EVENT.group, kinds.EVENT.plural] = {"create", "get", "patch"}  # said again: read, then counted
    return wanted


def granted(role: Document) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for group, resource, verbs in rules(role):
        found.setdefault((group, resource), set()).update(verbs)
    return found


def test_the_cluster_role_grants_exactly_what_the_code_asks_for() -> None:
    assert granted(only(of_kind("ClusterRole", documents("rbac.yaml")))) == asked_for()


def test_every_kind_of_the_code_is_granted_somewhere_or_made_by_nobody() -> None:
    objects = everything()
    given = {
        resource for role in of_kind("ClusterRole", objects) + of_kind("Role", objects) for resource in granted(role)
    }
    assert {(kind.group, kind.plural) for kind in KINDS if kind not in NOT_RENDERED} <= given
    assert not {(kind.group, kind.plural) for kind in NOT_RENDERED} & given


def test_what_may_be_applied_is_what_may_be_rendered() -> None:
    assert {(kind.api_version, kind.kind) for kind in OWNED} == ALLOWED


def test_no_rule_holds_a_wildcard() -> None:
    for values in ({}, NAMESPACED):
        objects = everything(values)
        for role in of_kind("ClusterRole", objects) + of_kind("Role", objects):
            for group, resource, verbs in rules(role):
                assert "*" not in {group, resource, *verbs}


@pytest.mark.parametrize(
    "forbidden",
    [
        "secrets",
        "pods/exec",
        "pods/log",
        "serviceaccounts",
        "nodes",
        "namespaces",
        "roles",
        "clusterroles",
        "endpoints",
    ],
)
def test_what_would_make_the_operator_worth_breaking_into_is_not_granted(forbidden: str) -> None:
    objects = everything()
    resources = {
        resource
        for role in of_kind("ClusterRole", objects) + of_kind("Role", objects)
        for _, resource, _ in rules(role)
    }
    assert forbidden not in resources


def test_the_operator_can_neither_give_rights_nor_borrow_them() -> None:
    verbs = {verb for role in of_kind("ClusterRole", everything()) for _, _, verbs in rules(role) for verb in verbs}
    assert not verbs & {"escalate", "bind", "impersonate"}


def test_the_operator_cannot_write_the_spec_of_a_model_deployment() -> None:
    rights = granted(only(of_kind("ClusterRole", documents("rbac.yaml"))))
    assert rights[MODEL_DEPLOYMENT.group, MODEL_DEPLOYMENT.plural] == WATCH


def test_no_lease_is_granted_outside_the_operators_own_namespace() -> None:
    assert (LEASE.group, LEASE.plural) not in granted(only(of_kind("ClusterRole", documents("rbac.yaml"))))


def test_namespaced_mode_makes_nothing_for_the_whole_cluster() -> None:
    assert not {document["kind"] for document in everything(NAMESPACED)} & CLUSTER_SCOPED


def test_namespaced_mode_grants_the_same_in_each_namespace_and_in_no_other() -> None:
    found = documents("rbac.yaml", NAMESPACED)
    roles = of_kind("Role", found)
    assert [role["metadata"]["namespace"] for role in roles] == ["shop", "search"]
    assert [granted(role) for role in roles] == [asked_for(), asked_for()]
    bindings = of_kind("RoleBinding", found)
    assert [binding["metadata"]["namespace"] for binding in bindings] == ["shop", "search"]


def test_every_binding_is_of_a_role_that_is_there_to_the_operators_account() -> None:
    for values in ({}, NAMESPACED):
        objects = everything(values)
        account = only(of_kind("ServiceAccount", objects))["metadata"]
        roles = {
            (role["kind"], role["metadata"].get("namespace"), role["metadata"]["name"])
            for role in of_kind("Role", objects) + of_kind("ClusterRole", objects)
        }
        for binding in of_kind("RoleBinding", objects) + of_kind("ClusterRoleBinding", objects):
            reference = binding["roleRef"]
            assert (reference["kind"], binding["metadata"].get("namespace"), reference["name"]) in roles
            assert [(subject["namespace"], subject["name"]) for subject in binding["subjects"]] == [
                (account["namespace"], account["name"])
            ]


def test_no_role_is_made_where_somebody_else_makes_them() -> None:
    assert documents("rbac.yaml", {"rbac": {"create": False}}) == []


def test_every_object_of_a_release_has_a_legal_name_however_long_the_release_is() -> None:
    for document in documents("leader.yaml", name="r" * 53):
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", document["metadata"]["name"])
