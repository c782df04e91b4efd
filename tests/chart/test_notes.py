from tests.chart.rendering import texts


def notes(**values: object) -> str:
    return texts(values)["NOTES.txt"]


def test_the_notes_say_how_to_wait_and_what_to_apply() -> None:
    assert "kubectl -n modelrollout-system rollout status deployment/modelrollout" in notes()
    assert "kind: ModelDeployment" in notes()
    assert "--for=condition=Ready modeldeployment/sentiment" in notes()


def test_the_notes_warn_while_there_is_no_prometheus() -> None:
    assert "NO PROMETHEUS IS SET" in notes()
    assert "NO PROMETHEUS IS SET" not in notes(prometheus={"url": "http://prometheus:9090"})


def test_the_notes_name_the_namespaces_when_they_are_limited() -> None:
    assert "these namespaces and no other: shop, search." in notes(watchNamespaces=["shop", "search"])
    assert "kubectl -n shop wait" in notes(watchNamespaces=["shop", "search"])


def test_the_notes_say_what_must_be_there_when_the_crds_are_not_installed() -> None:
    assert "must be there already" in notes(crds={"install": False})
