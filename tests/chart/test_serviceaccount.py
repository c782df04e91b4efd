import helm_python
import pytest

from tests.chart.rendering import documents, everything, of_kind, only


def test_the_account_hands_its_token_only_to_who_asks() -> None:
    account = only(documents("serviceaccount.yaml"))
    assert account["automountServiceAccountToken"] is False
    pod = only(documents("deployment.yaml"))["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is True
    assert pod["serviceAccountName"] == account["metadata"]["name"]


def test_annotations_reach_the_account() -> None:
    account = only(documents("serviceaccount.yaml", {"serviceAccount": {"annotations": {"example.com/a": "b"}}}))
    assert account["metadata"]["annotations"] == {"example.com/a": "b"}


def test_an_existing_account_is_used_everywhere_and_not_made() -> None:
    objects = everything({"serviceAccount": {"create": False, "name": "theirs"}})
    assert of_kind("ServiceAccount", objects) == []
    assert only(of_kind("Deployment", objects))["spec"]["template"]["spec"]["serviceAccountName"] == "theirs"
    bindings = of_kind("ClusterRoleBinding", objects) + of_kind("RoleBinding", objects)
    assert {subject["name"] for binding in bindings for subject in binding["subjects"]} == {"theirs"}


def test_an_existing_account_must_be_named() -> None:
    with pytest.raises(helm_python.HelmError, match=r"name the account to use in serviceAccount\.name"):
        everything({"serviceAccount": {"create": False}})
