"""The network and mount namespaces of a cluster, held open by one process that sleeps.

All programs of the cluster run in both. In the mount namespace /run, /var/log and the
folders of containerd and the kubelet are private and in memory: everything finds its
standard paths, images unpack quickly, yet the host sees no file and no mount of it.
When the last process ends, the kernel removes every mount, route and device in there.
"""

from __future__ import annotations

from pathlib import Path

from devcluster.cgroups import ControlGroup
from devcluster.machine import Failed, need
from devcluster.processes import Processes, ProcessId

NODE_FOLDERS = (Path("/var/lib/containerd"), Path("/var/lib/kubelet"), Path("/var/lib/cni"))
"""Made on the host if missing, and not touched there: a mount needs a place."""
PRIVATE_FOLDERS = (Path("/run"), Path("/var/log"), *NODE_FOLDERS)
HOLDER = "namespaces"
HOLD = """
set -e
memory=$1
shift
mount -t tmpfs -o mode=755 devcluster "$memory"
for folder in "$@"; do
    mkdir "$memory/${folder##*/}"
    mount --bind "$memory/${folder##*/}" "$folder"
done
exec sleep infinity
"""
"""Binds each folder to one in memory, and holds the namespaces open."""
JOIN_GROUP = 'echo $$ > "$1" && shift && exec "$@"'
"""Joins the control group, then becomes the command: whatever that starts is a member too."""
READY_SECONDS = 10.0


def hold(processes: Processes, group: ControlGroup, memory: Path) -> ProcessId:
    """Make the namespaces, and let everything that is started from now on enter them."""
    for folder in (memory, *PRIVATE_FOLDERS):
        folder.mkdir(parents=True, exist_ok=True)
    processes.launcher = join(group)
    unshare = [need("unshare", "install util-linux"), "--net", "--mount", "--propagation=slave"]
    process = processes.start(HOLDER, [*unshare, "sh", "-c", HOLD, "sh", memory, *PRIVATE_FOLDERS])
    process.wait_ready(lambda: _sleeps(process.identity), READY_SECONDS)
    return enter(processes, group)


def enter(processes: Processes, group: ControlGroup) -> ProcessId:
    """Let everything that is started from now on enter the namespaces that are held."""
    holder = processes[HOLDER].identity
    if holder is None:
        raise Failed(f"The process that holds the cluster's namespaces has ended: {processes[HOLDER].log}")
    space = f"/proc/{holder.pid}/ns"
    nsenter = [need("nsenter", "install util-linux"), f"--net={space}/net", f"--mount={space}/mnt", "--"]
    processes.launcher = (*join(group), *nsenter)
    return holder


def join(group: ControlGroup) -> tuple[str, ...]:
    """What puts a command into the control group."""
    return ("sh", "-c", JOIN_GROUP, "sh", str(group.entrance))


def _sleeps(holder: ProcessId | None) -> bool:
    """Whether the shell has done its work and become `sleep`."""
    return holder is not None and Path(f"/proc/{holder.pid}/comm").read_text().strip() == "sleep"
