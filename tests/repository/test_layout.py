"""What the folders and the build promise."""

import tomllib
from fnmatch import fnmatch
from typing import Any

from modelrollout import names
from tests.repository.tree import PACKAGE, ROOT, document, files, named

BUILD: dict[str, Any] = tomllib.loads(document("pyproject.toml"))


def test_operator_folder_is_never_a_package() -> None:
    """With an __init__.py it would stand in for the standard library's `operator`, and Python would not start."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_the_api_group_occurs_in_names_only() -> None:
    found = [path.name for path in PACKAGE.rglob("*.py") if names.GROUP in path.read_text(encoding="utf-8")]
    assert found == ["names.py"]


def test_no_module_is_named_after_the_standard_library_or_after_nothing() -> None:
    meaningless = {"utils", "util", "common", "base", "manager", "misc", "data", "info", "helpers"}
    banned = meaningless | {"types", "queue", "logging", "time", "random", "json", "enum", "select"}
    modules = [path.stem for path in PACKAGE.rglob("*.py")]
    assert not banned.intersection(modules)


def test_every_module_says_what_it_is() -> None:
    silent = [
        named(path)
        for path in PACKAGE.rglob("*.py")
        if (text := path.read_text(encoding="utf-8")).strip() and not text.startswith(('"""', 'r"""'))
    ]
    assert silent == []


def test_the_wheel_holds_the_package_with_its_templates_and_presets() -> None:
    """Hatchling takes every tracked file below the package, but for what is excluded."""
    hatch = BUILD["tool"]["hatch"]["build"]
    wheel = hatch["targets"]["wheel"]
    assert wheel["packages"] == ["operator/modelrollout"]
    assert not {"include", "only-include", "force-include"} & wheel.keys()
    data = [path for path in files() if path.is_relative_to(PACKAGE) and path.suffix in {".j2", ".yaml", ".typed"}]
    assert {"render/templates", "presets", "presets/series"} <= {
        path.parent.relative_to(PACKAGE).as_posix() for path in data
    }
    assert [named(path) for path in data for pattern in wheel["exclude"] if fnmatch(named(path), pattern)] == []
    ignored = [line.strip("/") for line in document(".gitignore").splitlines() if line]
    assert [named(path) for path in data for name in ignored if name in path.parts] == []


def test_the_console_script_is_there() -> None:
    module, _, function = BUILD["project"]["scripts"]["modelrollout"].partition(":")
    assert (module, function) == ("modelrollout.__main__", "main")
    assert "def main(" in (PACKAGE / "__main__.py").read_text(encoding="utf-8")


def test_what_the_image_copies_is_tracked() -> None:
    lines = document("Dockerfile").splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    tracked = {named(path) for path in files()}
    assert copied
    assert [name for name in copied if not any(each == name or each.startswith(f"{name}/") for each in tracked)] == []
