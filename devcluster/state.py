"""What is written down about each cluster, so that whoever comes later can tell whether it lives and end it."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from devcluster.machine import Failed, Unavailable
from devcluster.processes import ProcessId, recorded, wait_until

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")
"""Short: it becomes part of socket paths, device names and a node's name."""
CORE = ("etcd", "kube-apiserver")
"""A cluster without one of these is dead, whoever owns it."""
REMOVE_SECONDS = 5.0


def root() -> Path:
    """Where clusters keep their state: a fixed place for root, so that sudo finds it again."""
    if os.geteuid() == 0:
        return Path("/var/lib/modelrollout")
    return Path(tempfile.gettempdir()) / f"modelrollout-{os.geteuid()}"


def existing() -> list[str]:
    """The names of all clusters that have a folder."""
    return sorted(path.name for path in root().glob("[!.]*")) if root().exists() else []


@dataclass(frozen=True, slots=True)
class State:
    """The folder of one cluster."""

    name: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise Unavailable(f"A cluster cannot be named {self.name!r}: at most 20 lower-case letters, digits and -.")

    @property
    def folder(self) -> Path:
        """All that belongs to the cluster."""
        return root() / self.name

    @property
    def _file(self) -> Path:
        return self.folder / "cluster.json"

    def claim(self) -> None:
        """Make the folder, in which it is written that this process owns it; `Failed` if somebody was quicker.

        The folder appears together with the note: nobody ever sees a cluster without an owner.
        """
        root().mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".", dir=root()))
        facts = {"owner": asdict(ProcessId.mine()), "kept": False}
        (unfinished / self._file.name).write_text(json.dumps(facts))
        unfinished.chmod(0o755)
        try:
            unfinished.rename(self.folder)
        except OSError as error:
            shutil.rmtree(unfinished)
            raise Failed(f"A cluster named {self.name} is being brought up at this very moment.") from error

    def note(self, **facts: object) -> None:
        """Write facts down, beside those that are there."""
        content = json.dumps(self.facts() | facts, indent=1)
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(content)
        unfinished.rename(self._file)

    def facts(self) -> dict[str, object]:
        """What was written down."""
        try:
            facts: dict[str, object] = json.loads(self._file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return facts

    @property
    def alive(self) -> bool:
        """Whether the cluster runs and somebody wants it: its owner lives, or it was left running on purpose."""
        facts = self.facts()
        if not facts.get("kept"):
            owner = facts.get("owner")
            return isinstance(owner, dict) and ProcessId(**owner).alive
        living = {launch.name for launch, process in recorded(self.folder) if process.alive}
        return living.issuperset(CORE)

    def remove(self) -> bool:
        """Delete the folder; False if something in it is still in use."""

        def gone() -> bool:
            shutil.rmtree(self.folder, ignore_errors=True)
            return not self.folder.exists()

        return wait_until(gone, REMOVE_SECONDS)
