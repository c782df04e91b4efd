"""Removes everything of a cluster, whether it ended well, was interrupted, or was killed half-way.

All that is needed is the name: processes are members of its control group or written
down in its folder, mounts and devices live and die with its processes, the rest bears
its name.
"""

from __future__ import annotations

import os
from contextlib import suppress

from devcluster import cgroups, state
from devcluster.cgroups import ControlGroup
from devcluster.machine import Failed
from devcluster.namespaces import NODE_FOLDERS
from devcluster.network import Network
from devcluster.processes import end, recorded
from devcluster.state import State


def remove(name: str) -> None:
    """Remove all traces of a cluster; `Failed` if something would not go."""
    folder = State(name).folder
    end([process for _, process in recorded(folder)], grace=0)
    stuck = []
    if os.geteuid() == 0:
        group = ControlGroup(name)
        if not group.kill():
            stuck.append(f"processes {sorted(group.members())}")
        number = State(name).facts().get("network")
        if isinstance(number, int):
            Network(name=name, number=number).remove()
        if not group.remove():
            stuck.append(f"control groups {', '.join(map(str, group.folders))}")
    if not State(name).remove():
        stuck.append(f"the folder {folder}")
    if stuck:
        raise Failed(f"The cluster {name} is not gone: {'; '.join(stuck)} would not go.")
    if not state.existing():
        _remove_empty_folders()


def make_room(name: str) -> None:
    """Let a new cluster have this name: refuse if one lives, remove the remains of a dead one."""
    if State(name).alive:
        raise Failed(f"The cluster {name} is up: take it down first (python -m devcluster down --name {name}).")
    remove(name)


def dead() -> list[str]:
    """The names of clusters of which something is left, but which nobody runs."""
    names = set(state.existing())
    if os.geteuid() == 0:
        names |= set(cgroups.existing())
    return sorted(name for name in names if state.NAME.fullmatch(name) and not State(name).alive)


def sweep() -> list[str]:
    """Remove every dead cluster; their names."""
    names = dead()
    for name in names:
        remove(name)
    return names


def _remove_empty_folders() -> None:
    for folder in (state.root(), *NODE_FOLDERS):
        with suppress(OSError):  # not there, or used by somebody else
            folder.rmdir()
