"""The repository as git would give it to somebody else: tracked files, and new ones that are not ignored."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "modelrollout"
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")


@cache
def files() -> tuple[Path, ...]:
    """Of a checkout; where there is no git, everything but what tools leave behind."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return tuple(path for path in sorted(ROOT.rglob("*")) if path.is_file() and not _is_left_behind(path))
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def _is_left_behind(path: Path) -> bool:
    folders = path.relative_to(ROOT).parts[:-1]
    return path.suffix == ".pyc" or any(part.startswith(".") and part != ".ci" for part in folders)


def texts() -> Iterator[tuple[Path, str]]:
    """Each file that is text, with its content."""
    for path in files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def markdown() -> tuple[Path, ...]:
    return tuple(path for path in files() if path.suffix == ".md")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def document(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")
