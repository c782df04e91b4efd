from tests.chart.rendering import documents, everything, of_kind, only, rules


def test_the_lease_is_the_only_thing_of_its_own_namespace_the_operator_may_touch() -> None:
    role = only(of_kind("Role", everything()))
    assert {(group, resource) for group, resource, _ in rules(role)} == {("coordination.k8s.io", "leases")}
    assert role["metadata"]["namespace"] == "modelrollout-system"


def test_only_its_own_lease_may_be_read_and_renewed() -> None:
    by_name, by_kind = only(of_kind("Role", documents("leader.yaml")))["rules"]
    environment = only(documents("deployment.yaml"))["spec"]["template"]["spec"]["containers"][0]["env"]
    assert by_name["resourceNames"] == [
        entry["value"] for entry in environment if entry["name"] == "MODELROLLOUT_LEASE_NAME"
    ]
    assert by_name["verbs"] == ["get", "update"]
    assert by_kind["verbs"] == ["create"]


def test_two_releases_in_one_namespace_have_two_leases() -> None:
    names = {
        only(of_kind("Role", documents("leader.yaml", name=release)))["metadata"]["name"] for release in ("a", "b")
    }
    assert names == {"a-modelrollout-leader", "b-modelrollout-leader"}


def test_no_role_is_made_where_somebody_else_makes_them() -> None:
    assert documents("leader.yaml", {"rbac": {"create": False}}) == []
