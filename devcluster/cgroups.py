"""Control groups of a cluster: what runs in them is found, and ended, by membership.

Every process of a cluster starts inside `modelrollout-NAME/system`, the kubelet puts
pods into `modelrollout-NAME/pods`. So nothing can escape: shims that containerd leaves
behind and children of containers are members too. Works on cgroup v1 and v2.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devcluster.machine import Unavailable
from devcluster.processes import wait_until

MOUNTS = Path("/proc/self/mounts")
TRACKING = ("pids", "memory")
"""On v1, the hierarchy that says which processes are ours: the first of these."""
NEEDED = ("cpuset", "cpu", "memory", "pids")
"""What the kubelet wants to have in its root group."""
REMOVE_SECONDS = 5.0


def hierarchies(mounts: str | None = None) -> list[Path]:
    """Every mounted cgroup hierarchy, v1 or v2."""
    lines = (MOUNTS.read_text() if mounts is None else mounts).splitlines()
    fields = [line.split() for line in lines]
    return [Path(field[1]) for field in fields if field[2] in {"cgroup", "cgroup2"}]


def _is_v2(hierarchy: Path) -> bool:
    return (hierarchy / "cgroup.controllers").exists()


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The group of one cluster, in all hierarchies."""

    name: str
    """Of the cluster."""

    @property
    def path(self) -> str:
        """Relative to a hierarchy."""
        return f"modelrollout-{self.name}"

    @property
    def pods(self) -> str:
        """The kubelet's cgroupRoot."""
        return f"/{self.path}/pods"

    @property
    def folders(self) -> list[Path]:
        """Where it exists now."""
        return [hierarchy / self.path for hierarchy in hierarchies() if (hierarchy / self.path).exists()]

    @property
    def entrance(self) -> Path:
        """The file into which a process writes its id to become a member of the system group."""
        mounted = hierarchies()
        chosen = [path for wanted in TRACKING for path in mounted if wanted in path.name.split(",")]
        unified = [path for path in mounted if _is_v2(path)]
        candidates = chosen or unified
        if not candidates:
            raise Unavailable("No cgroup hierarchy with pids or memory is mounted below /sys/fs/cgroup: mount one.")
        return candidates[0] / self.path / "system" / "cgroup.procs"

    def create(self) -> None:
        """Make the groups in every hierarchy."""
        for hierarchy in hierarchies():
            if _is_v2(hierarchy):
                _hand_down_controllers(hierarchy)
            for folder in (hierarchy / self.path, hierarchy / self.path / "system", hierarchy / self.path / "pods"):
                folder.mkdir(exist_ok=True)
                _fill_cpuset(folder)
            if _is_v2(hierarchy):
                _hand_down_controllers(hierarchy / self.path)

    def members(self) -> set[int]:
        """The process ids in it and below."""
        return {
            int(word)
            for folder in self.folders
            for group in [folder, *_below(folder)]
            for word in _read(group / "cgroup.procs").split()
        } - {0, os.getpid()}

    def kill(self) -> bool:
        """SIGKILL every member until none is left; False if some would not go."""

        def empty() -> bool:
            members = self.members()
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not members

        return wait_until(empty, REMOVE_SECONDS)

    def remove(self) -> bool:
        """Remove the groups, the deepest first; False if some are still in use."""

        def gone() -> bool:
            for folder in self.folders:
                for group in [*_below(folder), folder]:
                    with suppress(OSError):  # still being left: tried again
                        group.rmdir()
            return not self.folders

        return wait_until(gone, REMOVE_SECONDS)


def existing() -> list[str]:
    """The names of all clusters that have a control group."""
    return sorted(
        {
            folder.name.removeprefix("modelrollout-")
            for hierarchy in hierarchies()
            for folder in hierarchy.glob("modelrollout-*")
        }
    )


def _below(folder: Path) -> Iterator[Path]:
    """The groups below, each after what is in it."""
    for parent, names, _ in os.walk(folder, topdown=False):
        for name in names:
            yield Path(parent) / name


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # the group went away between the look and the read


def _fill_cpuset(folder: Path) -> None:
    """On v1 a cpuset starts empty, and nothing may enter it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own = folder / name
        if (folder / "cgroup.controllers").exists() or not own.exists() or own.read_text().strip():
            continue
        own.write_text((folder.parent / name).read_text())


def _hand_down_controllers(folder: Path) -> None:
    """On v2, let the groups below have what the kubelet needs."""
    has = (folder / "cgroup.controllers").read_text().split()
    gives = (folder / "cgroup.subtree_control").read_text().split()
    for controller in NEEDED:
        if controller not in has or controller in gives:
            continue
        try:
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError as error:
            raise Unavailable(
                f"The cgroup controller {controller} cannot be handed down from {folder} ({error.strerror}):"
                " move its processes into a group of their own, as systemd and container runtimes do."
            ) from error
