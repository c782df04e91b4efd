"""What takes part in an image, and what stays out of it."""

from pathlib import Path

from devcluster import install
from devcluster.images import HERE, authority_bundle, context_files, pip_configuration


def test_only_what_is_included_takes_part_and_no_caches(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "operator/app.py", "operator/__pycache__/app.pyc", "tests/test_app.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    found = [name for name, _ in context_files(tmp_path, ["pyproject.toml", "operator"])]
    assert found == ["operator/app.py", "pyproject.toml"]


def test_pip_settings_of_this_machine_reach_the_build() -> None:
    configured = "global.index-url='https://index.example/simple'\n:env:.timeout='60'\nglobal.find-links='/wheels'\n"
    written = pip_configuration({"PIP_TIMEOUT": "90"}, configured)
    assert written == "[global]\nindex-url = https://index.example/simple\ntimeout = 90\n"


def test_a_ca_bundle_is_used_where_the_environment_names_one(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    assert authority_bundle({"SSL_CERT_FILE": str(bundle)}) == bundle
    assert authority_bundle({"SSL_CERT_FILE": str(tmp_path / "missing")}) is None


def test_every_requirement_of_the_model_server_is_pinned_by_its_hash() -> None:
    lines = (HERE / "images/mlserver/requirements.txt").read_text().splitlines()
    pinned = [number for number, line in enumerate(lines) if "==" in line]
    assert pinned
    assert all("--hash=sha256:" in lines[number + 1] for number in pinned)


def a_deployment() -> install.Manifest:
    container = {"name": "operator", "image": "registry.example/modelrollout:1", "env": [{"name": "A", "value": "1"}]}
    return {
        "kind": "Deployment",
        "metadata": {"name": "m"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def test_the_operator_gets_the_image_that_was_built_and_settings_of_this_cluster() -> None:
    given = a_deployment()
    patched = install.with_image_and_settings(given, "localhost/operator:2", {"A": "2", "B": "3"})
    container = patched["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "localhost/operator:2"
    assert container["imagePullPolicy"] == "Never"
    assert container["env"] == [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]
    assert given == a_deployment()


def test_other_manifests_stay_as_they_are() -> None:
    service = {"kind": "Service", "metadata": {"name": "s"}}
    assert install.with_image_and_settings(service, "i", {"A": "1"}) is service


def test_namespaces_come_first() -> None:
    kinds = [document["kind"] for document in install.in_order([a_deployment(), {"kind": "Namespace"}])]
    assert kinds == ["Namespace", "Deployment"]


def test_the_operator_is_told_where_prometheus_is() -> None:
    assert install.settings("http://p") == {install.URL_SETTING: "http://p"}
