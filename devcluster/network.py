"""The network of a cluster: a namespace of its own, joined to the host by one veth pair.

The host gets one address and one route, nothing else of it is touched; both go away
with the pair, and the pair goes away with the namespace. Several clusters run side by side, each in a /16 of its own.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from typing import Any

from devcluster.machine import Failed, need

FIRST_NETWORK = 200
NETWORKS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The names and addresses of one cluster's network: all follow from its name and a number."""

    name: str
    number: int
    """The second byte of its addresses."""

    @property
    def host_device(self) -> str:
        """Our end of the pair."""
        return f"mrollout{self.number}"

    @property
    def everything(self) -> str:
        """All addresses of the cluster: nodes, pods, Services."""
        return f"10.{self.number}.0.0/16"

    @property
    def host_address(self) -> str:
        """The host, as the cluster sees it."""
        return f"10.{self.number}.0.1"

    @property
    def address(self) -> str:
        """The node, API server, gateway and Prometheus."""
        return f"10.{self.number}.0.2"

    @property
    def pods(self) -> str:
        """Pod addresses."""
        return f"10.{self.number}.64.0/18"

    @property
    def services(self) -> str:
        """Service addresses."""
        return f"10.{self.number}.128.0/18"

    def create(self, holder: int) -> bool:
        """Join the namespace of a process to the host; False if somebody has this number already.

        Making the pair is what claims the number: the kernel lets only one of two through.
        """
        inner = f"mrnode{self.number}"
        pair = _ip("link", "add", self.host_device, "type", "veth", "peer", "name", inner)
        if pair.returncode:
            if "exists" in pair.stderr:
                return False
            raise Failed(f"The veth pair cannot be made: {pair.stderr.strip()}")
        _must("link", "set", inner, "netns", str(holder), "name", "eth0")
        _inside(
            holder,
            "ip link set lo up",
            f"ip address add {self.address}/30 dev eth0",
            "ip link set eth0 up",
            f"ip route add default via {self.host_address}",
            "echo 1 > /proc/sys/net/ipv4/ip_forward",  # between pods; the host forwards nothing
        )
        _must("address", "add", f"{self.host_address}/30", "dev", self.host_device)
        _must("link", "set", self.host_device, "up")
        _must("route", "add", self.everything, "via", self.address)
        return True

    def remove(self) -> None:
        """Remove the pair, and with it addresses and routes; one that is gone is fine."""
        _ip("link", "delete", self.host_device)


def claim(name: str, holder: int) -> Network:
    """Join the namespace of a process to the host, with the first free number."""
    routes = taken_networks(json.loads(_must("-json", "-4", "route", "show", "table", "all")))
    for number in range(FIRST_NETWORK, FIRST_NETWORK + NETWORKS):
        network = Network(name=name, number=number)
        if not overlaps(network.everything, routes) and network.create(holder):
            return network
    raise Failed(f"No free network: {NETWORKS} clusters run already, or routes cover 10.{FIRST_NETWORK}.0.0 and up.")


def taken_networks(routes: list[dict[str, Any]]) -> list[ipaddress.IPv4Network]:
    """The networks in `ip -json route`; the default route covers everything and counts for nothing."""
    destinations = [route["dst"] for route in routes if route.get("dst", "default") != "default"]
    return [ipaddress.IPv4Network(destination, strict=False) for destination in destinations]


def overlaps(network: str, taken: list[ipaddress.IPv4Network]) -> bool:
    """Whether a network shares an address with one that is taken."""
    return any(ipaddress.IPv4Network(network).overlaps(other) for other in taken)


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [need("ip", "install iproute2"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _inside(holder: int, *commands: str) -> None:
    nsenter = need("nsenter", "install util-linux")
    script = [nsenter, f"--net=/proc/{holder}/ns/net", "--", "sh", "-e", "-c", "\n".join(commands)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"The cluster's network cannot be set up: {done.stderr.strip()}")


def _must(*arguments: str) -> str:
    done = _ip(*arguments)
    if done.returncode:
        raise Failed(f"ip {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout
