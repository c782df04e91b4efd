import pytest

from tests.chart.rendering import Document, documents, rules

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def role(suffix: str) -> Document:
    (found,) = (each for each in documents("users.yaml") if each["metadata"]["name"] == f"modelrollout-{suffix}")
    return found


def test_whoever_may_view_the_cluster_may_view_model_deployments_and_change_none() -> None:
    assert {verb for _, _, verbs in rules(role("view")) for verb in verbs} == {"get", "list", "watch"}
    assert role("view")["metadata"]["labels"][f"{AGGREGATE}view"] == "true"


def test_whoever_may_edit_may_change_and_scale_them_but_not_write_their_status() -> None:
    granted = {resource: verbs for _, resource, verbs in rules(role("edit"))}
    assert {"create", "update", "patch", "delete"} <= granted["modeldeployments"]
    assert {"update", "patch"} <= granted["modeldeployments/scale"]
    assert granted["modeldeployments/status"] == {"get"}
    assert f"{AGGREGATE}view" not in role("edit")["metadata"]["labels"]
    assert role("edit")["metadata"]["labels"][f"{AGGREGATE}edit"] == "true"


@pytest.mark.parametrize("suffix", ["view", "edit"])
def test_people_are_given_rights_on_model_deployments_and_on_nothing_else(suffix: str) -> None:
    assert {group for group, _, _ in rules(role(suffix))} == {"modelrollout.dev"}


@pytest.mark.parametrize(
    "values", [{"rbac": {"aggregate": False}}, {"rbac": {"create": False}}, {"watchNamespaces": ["shop"]}]
)
def test_the_roles_for_people_can_be_left_out(values: dict[str, object]) -> None:
    assert documents("users.yaml", values) == []
