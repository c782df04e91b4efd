"""Where build products live, outside of the checkout, and how they get there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

DIGEST_LENGTH = 16
KEPT = 3
"""How many products of one family are kept: the one in use, and what a checkout beside it may use."""


def root() -> Path:
    """The cache folder: $XDG_CACHE_HOME/modelrollout, by default ~/.cache/modelrollout."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "modelrollout"


def digest(files: Iterable[tuple[str, Path]], *, flags: Iterable[str] = ()) -> str:
    """Name what is built by everything that goes into it: names, modes and contents of files, and flags."""
    content = hashlib.sha256()
    for flag in flags:
        content.update(f"flag {flag}\0".encode())
    for name, path in sorted(files):
        executable = bool(path.stat().st_mode & 0o100)
        content.update(f"file {name}\0{executable}\0{path.stat().st_size}\0".encode())
        content.update(path.read_bytes())
    return content.hexdigest()[:DIGEST_LENGTH]


def publish(target: Path, make: Callable[[Path], None]) -> Path:
    """Give `target`, made by `make(folder)` if it is not there yet.

    It is made in a folder beside it, which then takes its name: a build killed
    half-way leaves nothing that looks finished. If two make it at once, the first wins.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        make(unfinished)
        unfinished.chmod(0o755)
        try:
            unfinished.rename(target)
        except OSError:
            if not target.exists():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def forget_old(used: Path, *, family: str) -> None:
    """Remove all but the last used of a family of products; `family` is a pattern for their names."""
    os.utime(used)
    products = sorted(used.parent.glob(family), key=lambda path: path.stat().st_mtime, reverse=True)
    for product in products[KEPT:]:
        shutil.rmtree(product, ignore_errors=True)
