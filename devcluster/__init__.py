"""A real Kubernetes on one Linux machine, without Docker: for `make demo`, the tests and the benchmarks.

`ApiServer` is etcd and kube-apiserver only; `Cluster` is everything: kubelet,
containerd, kube-proxy, Traefik, Prometheus, all in a network namespace of its own.
"""

from devcluster.apiserver import ApiServer
from devcluster.cluster import Cluster
from devcluster.images import ImageArchive, build_image
from devcluster.machine import Unavailable

__all__ = ["ApiServer", "Cluster", "ImageArchive", "Unavailable", "build_image"]
