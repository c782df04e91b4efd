"""What is written names things that exist."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.decide.commands import ACTIONS
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.parse import parse
from modelrollout.names import API_VERSION, COMMAND_ANNOTATION, KIND
from tests.repository.tree import PACKAGE, ROOT, document, files, markdown, named

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FRAGMENT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.(added|changed|fixed|removed|security)\.md")


def blocks(name: str, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(document(name)) if kind == language]


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def slug(heading: str) -> str:
    """As forges make it: lower case, dashes for blanks, without what is neither letter nor digit."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")


def test_the_manifest_of_the_readme_is_the_quickstart() -> None:
    assert blocks("README.md", "yaml") == [document("examples/quickstart/modeldeployment.yaml")]


def test_setting_up_takes_two_commands() -> None:
    set_up = next(text for text in blocks("README.md", "sh") if "git clone" in text)
    first, second = set_up.splitlines()
    assert first.startswith("git clone ")
    assert second == "make demo"


def targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", document("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("path", markdown(), ids=named)
def test_every_verb_that_is_named_exists(path: Path) -> None:
    """`make` with one or more verbs, in code."""
    text = path.read_text(encoding="utf-8")
    named_verbs = [
        verb
        for line in [
            *re.findall(r"`([^`\n]+)`", text),
            *(line for _, block in FENCE.findall(text) for line in block.splitlines()),
        ]
        for call in re.findall(r"(?:^|\s)make((?: [a-z0-9-]+)+)", line.partition("#")[0])
        for verb in call.split()
    ]
    assert [verb for verb in named_verbs if verb not in targets()] == []


def test_every_verb_has_a_line_of_help_and_is_phony() -> None:
    text = document("Makefile")
    phony = set(next(line for line in text.splitlines() if line.startswith(".PHONY:")).split()[1:])
    helped = set(re.findall(r"^([a-z0-9-]+):.*##", text, re.MULTILINE))
    assert targets() == phony == helped


def test_every_module_that_a_verb_runs_exists() -> None:
    """`python -m demo`, `python charts/render_manifests.py`."""
    text = document("Makefile")
    modules = re.findall(r"python -m ([\w.]+)", text)
    assert modules
    for module in modules:
        place = ROOT / Path(*module.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), module
    assert [script for script in re.findall(r"python ([\w/]+\.py)", text) if not (ROOT / script).is_file()] == []


def links(path: Path) -> Iterator[str]:
    yield from (target for target in LINK.findall(prose(path)) if "://" not in target)


@pytest.mark.parametrize("path", markdown(), ids=named)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in links(path):
        name, _, anchor = target.partition("#")
        place = (path.parent / name).resolve() if name else path
        assert place.exists(), f"{named(path)}: {target}"
        assert place.is_relative_to(ROOT), f"{named(path)}: {target} leads out of the repository"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", prose(place), re.MULTILINE)
            assert anchor in map(slug, headings), f"{named(path)}: {target}"


def test_every_page_of_the_documentation_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        if path.is_dir():
            waiting += path.glob("*.md")
        elif path.suffix == ".md":
            waiting += [(path.parent / target.partition("#")[0]).resolve() for target in links(path)]
    wanted = [path for path in markdown() if path.is_relative_to(ROOT / "docs")]
    assert [named(path) for path in wanted if path not in reached] == []


CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = tuple(path.name for path in PACKAGE.iterdir() if path.is_dir())


def paths_named(name: str) -> list[str]:
    """Words in code that look like a path of ours, of the repository or of the package."""
    looks = re.compile(r"[\w.][\w./-]*(/|\.(py|md|yaml|j2|sh|toml|lock))")
    found = [word for word in CODE.findall(prose(ROOT / name)) if looks.fullmatch(word) and not word.startswith("/")]
    return [word for word in found if "<" not in word]


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_path_that_is_named_exists(name: str) -> None:
    assert paths_named(name)
    missing = [path for path in paths_named(name) if not any((base / path).exists() for base in (ROOT, PACKAGE))]
    assert missing == [] or set(missing) <= {"install.yaml", "__init__.py", "_helpers.tpl"}


def test_every_name_in_the_architecture_exists() -> None:
    """Classes, functions and methods of ours: searched in the package's sources."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    words = CODE.findall(prose(ROOT / "ARCHITECTURE.md"))
    ours = [word for word in words if re.fullmatch(r"[A-Z][a-z]+[A-Za-z]*(\.\w+)*|[a-z]+_[a-z_]+", word)]
    assert {"Plan.__post_init__", "status_of", "Observed", "wake_after"} <= set(ours)
    elsewhere = {"Lease"}
    parts = {part for word in ours if word not in elsewhere for part in word.split(".")}
    assert sorted(part for part in parts if not re.search(rf"\b{part}\b", source)) == []


def test_the_code_map_has_a_line_for_every_folder_of_the_package() -> None:
    text = document("ARCHITECTURE.md")
    kept = [folder for folder in FOLDERS if folder != "__pycache__"]
    assert [folder for folder in kept if f"| `operator/modelrollout/{folder}/` |" not in text] == []


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in markdown():
        for kind, text in FENCE.findall(path.read_text(encoding="utf-8")):
            if kind == "yaml":
                for number, found in enumerate(yaml.safe_load_all(text)):
                    if isinstance(found, dict) and found.get("kind") == KIND:
                        yield f"{named(path)}-{number}", found
    for path in files():
        if path.is_relative_to(ROOT / "examples") and path.suffix == ".yaml":
            yield named(path), yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("where", "manifest"), [pytest.param(*each, id=each[0]) for each in manifests()])
def test_every_model_deployment_that_is_shown_is_valid(where: str, manifest: dict[str, Any]) -> None:
    assert manifest["apiVersion"] == API_VERSION
    body = {**manifest, "metadata": {"namespace": "shop", "uid": "1", "generation": 1, **manifest["metadata"]}}
    assert isinstance(parse(json.loads(json.dumps(body))), ModelDeployment), where


def test_every_command_that_is_shown_is_one() -> None:
    shown = [
        action
        for path in markdown()
        for action in re.findall(rf"{re.escape(COMMAND_ANNOTATION)}=(\w+)", path.read_text(encoding="utf-8"))
    ]
    assert set(shown) <= set(ACTIONS)
    assert set(re.findall(r"command=(\w+):", document("README.md"))) == set(ACTIONS)


def fragments() -> list[str]:
    return sorted(named(path) for path in files() if path.is_relative_to(ROOT / "changelog.d"))


def test_changelog_fragments_are_well_named_sentences() -> None:
    for name in fragments():
        assert FRAGMENT.fullmatch(Path(name).name), f"{name}: write changelog.d/<change>.<kind>.md"
        (line,) = document(name).splitlines()
        assert line[0].isupper() or line[0] == "`", f"{name}: begin a sentence"
        assert line.endswith("."), f"{name}: end the sentence"


def test_decisions_are_numbered_without_gaps_and_have_their_three_parts() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [path.name[:4] for path in pages] == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: ")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Price"], path.name
        assert len(text.splitlines()) <= 60, f"{path.name}: one page at most"


def test_the_generator_runs_as_the_makefile_calls_it() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "docs.generate", "--check"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
