"""The one node: containerd, kubelet and kube-proxy."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devcluster.cgroups import ControlGroup
from devcluster.machine import Failed, cni_folder, need
from devcluster.network import Network
from devcluster.processes import Process, Processes

MAX_PODS = 250
CONTAINERD_SECONDS = 20.0
IMPORT_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The node of one cluster."""

    name: str
    folder: Path
    """For its configuration."""
    network: Network
    group: ControlGroup
    processes: Processes
    programs: Path
    """The folder of Kubernetes' components."""

    def start_containerd(self, sandbox_image: str) -> None:
        """Start containerd; it needs no API server."""
        networks = self.folder / "networks"
        networks.mkdir(parents=True)
        plugins = cni_folder()
        if plugins is None:
            raise Failed("The CNI plugins are missing: install containernetworking-plugins.")
        (networks / "10-devcluster.conflist").write_text(json.dumps(network_list(self.network), indent=1))
        configuration = self.folder / "containerd.toml"
        configuration.write_text(
            containerd_configuration(plugins=plugins, networks=networks, sandbox_image=sandbox_image)
        )
        containerd = need("containerd", "install containerd")
        process = self.processes.start("containerd", [containerd, "--config", configuration])
        process.wait_ready(self._answers, CONTAINERD_SECONDS)

    def start_kubelet(self, kubeconfig: Path) -> Process:
        """Start the kubelet; containerd and the API server must be there."""
        configuration = self._write(
            "kubelet.yaml", kubelet_configuration(self.group, self.network, self._resolv_conf())
        )
        flags = [
            f"--config={configuration}",
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.network.address}",  # never loopback: kube-proxy would wait for ever and say nothing
        ]
        return self.processes.start("kubelet", [self.programs / "kubelet", *flags])

    def start_proxy(self, kubeconfig: Path) -> Process:
        """Start kube-proxy: without it no Service has an address."""
        configuration = self._write("kube-proxy.yaml", proxy_configuration(self.network, kubeconfig))
        flags = [f"--config={configuration}", f"--hostname-override={self.name}"]
        return self.processes.start("kube-proxy", [self.programs / "kube-proxy", *flags])

    def import_image(self, archive: Path) -> None:
        """Load an image archive into containerd.

        One that has just begun may clear the import's own folder away; it is then tried again.
        """
        for _ in range(IMPORT_TRIES - 1):
            try:
                self.ctr("images", "import", str(archive))
            except Failed as error:
                if "no such file or directory" not in str(error):
                    raise
            else:
                return
        self.ctr("images", "import", str(archive))

    def ctr(self, *arguments: str) -> str:
        """Run containerd's own client, in the namespace of the kubelet's images."""
        command = [*self.processes.launcher, need("ctr", "install containerd"), "--namespace=k8s.io", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"ctr {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def _answers(self) -> bool:
        try:
            self.ctr("version")
        except Failed:
            return False
        return True

    def _resolv_conf(self) -> Path:
        """Write the resolver configuration of pods: the node's address refuses at once, no name waits for a timeout."""
        path = self.folder / "resolv.conf"
        path.write_text(f"nameserver {self.network.address}\n")
        return path

    def _write(self, name: str, content: dict[str, Any]) -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(content))
        return path


def network_list(network: Network) -> dict[str, Any]:
    """The CNI configuration.

    `ptp`, not `bridge`: every packet is routed, so that Services work between two pods
    without br_netfilter, which not every kernel has.
    """
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": network.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "0.4.0",
        "name": f"modelrollout-{network.name}",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def containerd_configuration(*, plugins: Path, networks: Path, sandbox_image: str) -> str:
    """Write containerd's TOML; JSON strings are TOML strings.

    AppArmor is off because containerd would load a profile into the host's kernel, and leave it there.
    """
    quoted = {
        name: json.dumps(str(value))
        for name, value in {"plugins": plugins, "networks": networks, "sandbox": sandbox_image}.items()
    }
    return f"""version = 2
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {quoted["sandbox"]}
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {quoted["plugins"]}
    conf_dir = {quoted["networks"]}
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def kubelet_configuration(group: ControlGroup, network: Network, resolv_conf: Path) -> dict[str, Any]:
    """The kubelet's KubeletConfiguration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": group.pods,
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "localStorageCapacityIsolation": False,
        "maxPods": MAX_PODS,
        "resolvConf": str(resolv_conf),
        "clusterDNS": [network.address],  # nobody answers there; without it every pod gets a warning event
        "clusterDomain": "cluster.local",
        "serializeImagePulls": False,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        # Only the API server and the host can reach it: it listens inside the cluster's own network namespace.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
    }


def proxy_configuration(network: Network, kubeconfig: Path) -> dict[str, Any]:
    """kube-proxy's KubeProxyConfiguration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",  # nftables and IPVS want kernel features that are not everywhere
        "bindAddress": network.address,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": network.pods,
        "conntrack": {"maxPerCore": 0, "min": 0},  # the kernel's limits belong to the host
        "iptables": {"minSyncPeriod": "0s"},
    }
