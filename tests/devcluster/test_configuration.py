"""What is written for containerd, kubelet, kube-proxy, Traefik and Prometheus."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster import node, prometheus, traefik
from devcluster.apiserver import AUDIT_POLICY, Endpoints
from devcluster.cgroups import ControlGroup
from devcluster.credentials import User, write_kubeconfig, write_signing_key, write_tokens
from devcluster.network import Network

NETWORK = Network(name="dev", number=210)


def test_containerd_uses_our_sandbox_image_and_cgroupfs() -> None:
    written = node.containerd_configuration(plugins=Path("/cni"), networks=Path("/net"), sandbox_image="pause:1")
    cri = tomllib.loads(written)["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["sandbox_image"] == "pause:1"
    assert cri["cni"] == {"bin_dir": "/cni", "conf_dir": "/net"}
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": False}


def test_pods_are_routed_and_not_bridged() -> None:
    assert [plugin["type"] for plugin in node.network_list(NETWORK)["plugins"]] == ["ptp", "portmap"]


def test_the_kubelet_puts_pods_into_the_clusters_own_control_group() -> None:
    configuration = node.kubelet_configuration(ControlGroup("dev"), NETWORK, Path("/resolv.conf"))
    assert configuration["cgroupRoot"] == "/modelrollout-dev/pods"
    assert configuration["cgroupDriver"] == "cgroupfs"
    assert configuration["failCgroupV1"] is False


def test_the_proxy_leaves_the_hosts_connection_table_alone() -> None:
    configuration = node.proxy_configuration(NETWORK, Path("/kubeconfig"))
    assert configuration["conntrack"] == {"maxPerCore": 0, "min": 0}
    assert configuration["mode"] == "iptables"


def test_the_audit_log_holds_no_contents() -> None:
    assert [rule["level"] for rule in AUDIT_POLICY["rules"]] == ["Metadata"]


def test_the_gateway_takes_routes_of_all_namespaces() -> None:
    gateway = traefik.manifests()[-1]
    assert (gateway["metadata"]["namespace"], gateway["metadata"]["name"]) == ("infra", "public")
    assert gateway["spec"]["listeners"][0]["allowedRoutes"] == {"namespaces": {"from": "All"}}


def test_traefik_counts_requests_per_service() -> None:
    flags = traefik.flags("10.210.0.2")
    assert "--metrics.prometheus.addserviceslabels=true" in flags
    assert "--metrics.prometheus.buckets=0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10" in flags


def relabelled(pod: dict[str, str]) -> dict[str, str] | None:
    """What Prometheus makes of a discovered pod: its labels, or None where it is dropped."""
    configuration = prometheus.configuration("10.210.0.2", kubeconfig=Path("/kubeconfig"), scrape_interval=1)
    labels = dict(pod)
    for rule in configuration["scrape_configs"][1]["relabel_configs"]:
        value = ";".join(labels.get(name, "") for name in rule.get("source_labels", ()))
        found = re.fullmatch(rule["regex"], value)
        if (rule["action"] == "keep" and not found) or (rule["action"] == "drop" and found):
            return None
        if rule["action"] == "replace" and found:
            labels[rule["target_label"]] = found.expand(rule["replacement"].replace("$", "\\"))
        if rule["action"] == "labelmap":
            mapped = {name: re.fullmatch(rule["regex"], name) for name in labels}
            labels |= {match[1]: labels[name] for name, match in mapped.items() if match}
    return {name: value for name, value in labels.items() if not name.startswith("__meta")}


def a_pod(**annotations: str) -> dict[str, str]:
    return {
        "__meta_kubernetes_namespace": "shop",
        "__meta_kubernetes_pod_name": "sentiment-1",
        "__meta_kubernetes_pod_ip": "10.210.64.7",
        "__meta_kubernetes_pod_phase": "Running",
        "__meta_kubernetes_pod_label_modelrollout_dev_revision": "7f3c9",
        "__meta_kubernetes_pod_label_secret": "not taken",
        "__address__": "10.210.64.7:8080",
    } | {f"{prometheus.ANNOTATION}{name}": value for name, value in annotations.items()}


def test_an_annotated_pod_is_scraped_where_it_says_with_its_revision() -> None:
    assert relabelled(a_pod(scrape="true", port="8082", path="/stats")) == {
        "__address__": "10.210.64.7:8082",
        "__metrics_path__": "/stats",
        "namespace": "shop",
        "pod": "sentiment-1",
        "modelrollout_dev_revision": "7f3c9",
    }


@pytest.mark.parametrize(
    "pod", [a_pod(), a_pod(scrape="false"), a_pod(scrape="true") | {"__meta_kubernetes_pod_phase": "Succeeded"}]
)
def test_other_pods_are_not_scraped(pod: dict[str, str]) -> None:
    assert relabelled(pod) is None


@pytest.mark.parametrize(("seconds", "written"), [(1, "1000ms"), (0.5, "500ms"), (15, "15000ms")])
def test_the_scrape_interval_may_be_a_fraction(seconds: float, written: str) -> None:
    configuration = prometheus.configuration("10.210.0.2", kubeconfig=Path("/k"), scrape_interval=seconds)
    assert configuration["global"]["scrape_interval"] == written


def test_a_kubeconfig_needs_no_other_file(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("certificate")
    path = write_kubeconfig(tmp_path / "k", server="https://a:1", authority=authority, user=User("admin", token="t"))
    authority.unlink()
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    assert content["clusters"][0]["cluster"]["server"] == "https://a:1"
    assert content["users"] == [{"name": "admin", "user": {"token": "t"}}]
    assert path.stat().st_mode & 0o077 == 0


def test_tokens_are_written_as_the_api_server_reads_them(tmp_path: Path) -> None:
    write_tokens(tmp_path / "tokens.csv", [User("a", token="1"), User("b", ("g", "h"), "2")])
    assert (tmp_path / "tokens.csv").read_text().splitlines() == ["1,a,a,", '2,b,b,"g,h"']


def test_every_signing_key_is_another_one(tmp_path: Path) -> None:
    keys = {write_signing_key(tmp_path / name).read_text() for name in ("a", "b")}
    assert len(keys) == 2
    assert all(key.startswith("-----BEGIN EC PRIVATE KEY-----\n") for key in keys)


def test_free_ports_differ() -> None:
    endpoints = Endpoints.on_this_host()
    assert len({endpoints.api_port, endpoints.etcd_port, endpoints.etcd_peer_port}) == 3
