"""What the Dockerfile promises: nothing unlocked is installed, and the image is what the chart runs."""

import re
import tomllib

from charts.render_manifests import ROOT

from tests.chart.rendering import documents, only

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_everything_installed_comes_from_a_lock_with_hashes_or_from_this_checkout() -> None:
    installs = [line for line in INSTRUCTIONS.splitlines() if re.search(r"\bpip\b.* (install|wheel) ", line)]
    assert len(installs) == 4
    for line in installs:
        assert "--require-hashes" in line or "--no-index" in line
        assert "--only-binary :all:" in line or "--no-deps" in line


def test_the_build_backend_is_locked_at_the_version_of_the_package() -> None:
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    locked = re.findall(r"^(\S+==\S+)", (ROOT / "requirements-build.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(requires) <= set(locked)


def test_the_image_runs_as_the_user_of_the_chart() -> None:
    security = only(documents("deployment.yaml"))["spec"]["template"]["spec"]["securityContext"]
    assert f"\nUSER {security['runAsUser']}:{security['runAsGroup']}\n" in INSTRUCTIONS


def test_the_image_starts_the_operator_on_the_port_of_the_chart() -> None:
    container = only(only(documents("deployment.yaml"))["spec"]["template"]["spec"]["containers"])
    assert not {"command", "args"} & set(container)
    assert 'ENTRYPOINT ["modelrollout", "run"]' in INSTRUCTIONS
    assert f"\nEXPOSE {only(container['ports'])['containerPort']}\n" in INSTRUCTIONS


def test_the_image_keeps_python_from_the_working_directory_and_from_writing() -> None:
    for setting in ("PYTHONSAFEPATH=1", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "MALLOC_ARENA_MAX=2"):
        assert setting in INSTRUCTIONS


def test_no_address_but_the_base_images_is_in_the_build() -> None:
    assert "://" not in INSTRUCTIONS
    assert re.findall(r"\b[a-z0-9-]+\.(?:io|com|org)/\S+", INSTRUCTIONS) == ["docker.io/library/debian:bookworm-slim"]


def test_what_the_build_copies_is_in_its_context_and_little_else_is() -> None:
    copied = {
        name
        for names in re.findall(r"^COPY (?!--from)(.+) \S+$", INSTRUCTIONS, re.MULTILINE)
        for name in names.removeprefix("./").split()
    }
    assert IGNORED[1] == "*"
    assert {line.removeprefix("!") for line in IGNORED if line.startswith("!")} == {
        name.removeprefix("./") for name in copied
    }
