"""Where the story is played: the dev cluster, brought up and taken down, or a cluster of yours by KUBECONFIG."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from demo.kubectl import Kubectl, KubectlError
from demo.load import Target
from demo.timeline import Timeline
from demo.training import JOB, manifests
from devcluster import Cluster
from devcluster.images import mlserver_image
from devcluster.progress import Progress

HERE = Path(__file__).parent
ENDPOINT = "/v2/models/sentiment/infer"
HOSTNAME = "sentiment.example.com"
NAME = "demo"
DOWN = f"make down NAME={NAME}"
PUBLISHED_IMAGE = "docker.io/seldonio/mlserver:1.7.1-sklearn"
LEAVE_IT = "KEEP"
"""Environment variable: 1 leaves the dev cluster up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    kubectl: Kubectl
    target: Target
    image: str
    """MLServer's, for the models."""
    afterwards: tuple[str, ...]
    """What to try once the story is told."""


@contextlib.contextmanager
def stage(timeline: Timeline) -> Iterator[Stage]:
    """A cluster with the operator, a Gateway, Prometheus and namespace `shop`; gone after the block, unless kept."""
    given = os.environ.get("KUBECONFIG")
    if given:
        yield _yours(given)
        return
    with _ours(timeline) as ready:
        yield ready


@contextlib.contextmanager
def _ours(timeline: Timeline) -> Iterator[Stage]:
    progress = Progress()
    image = mlserver_image(progress)
    cluster = Cluster(NAME, images=(image,), progress=progress)
    keep = os.environ.get(LEAVE_IT) == "1"
    cluster.up()
    try:
        kubectl = Kubectl(kubeconfig=str(cluster.kubeconfig), program=str(cluster.kubectl_program))
        kubectl.apply_file(HERE / "namespace.yaml")
        models = cluster.state_dir / "models"
        models.mkdir()
        models.chmod(0o777)  # the trainer's pod writes here as user 1000
        cluster.model_volume("shop", "models", models)
        yield Stage(
            kubectl=kubectl,
            target=Target(url=cluster.gateway_url + ENDPOINT, host=HOSTNAME),
            image=image.reference,
            afterwards=_kept(cluster, image.reference) if keep else _not_kept(),
        )
    except KeyboardInterrupt:
        keep = False  # who interrupts wants nothing left behind
        raise
    finally:
        if keep:
            cluster.keep()
            timeline.say(f"the cluster stays up; take it down with: {DOWN}")
        else:
            timeline.say("taking the cluster down")
            cluster.down()


def _yours(kubeconfig: str) -> Stage:
    kubectl = Kubectl(kubeconfig=kubeconfig)
    try:
        kubectl("get", "crd", "modeldeployments.modelrollout.dev")
    except KubectlError as error:
        raise KubectlError(
            f"{error}\nKUBECONFIG is set, so the demo plays on your cluster: install the operator there first "
            "(manifests/install.yaml), or unset KUBECONFIG and let the demo bring up a cluster of its own.",
        ) from error
    kubectl.apply_file(HERE / "namespace.yaml")
    if not kubectl("get", "pvc", "models", "-n", "shop", "--ignore-not-found", "-o", "name"):
        kubectl.apply_file(HERE / "claim.yaml")
    address = os.environ.get("DEMO_GATEWAY") or _gateway(kubectl)
    return Stage(
        kubectl=kubectl,
        target=Target(url=f"http://{address}{ENDPOINT}", host=HOSTNAME),
        image=os.environ.get("DEMO_IMAGE", PUBLISHED_IMAGE),
        afterwards=("take everything away   kubectl delete namespace shop",),
    )


def _gateway(kubectl: Kubectl) -> str:
    gateway = json.loads(kubectl("get", "gateway", "public", "-n", "infra", "-o", "json"))
    addresses = gateway.get("status", {}).get("addresses", [])
    if not addresses:
        raise KubectlError("Gateway infra/public has no address; set DEMO_GATEWAY=<address>:<port>")
    return f"{addresses[0]['value']}:{gateway['spec']['listeners'][0]['port']}"


def train(here: Stage) -> list[str]:
    """Train all versions onto the volume; what the trainer says of each."""
    kubectl = here.kubectl
    kubectl("delete", "job", JOB, "-n", "shop", "--ignore-not-found")
    kubectl.apply(*manifests(here.image))
    try:
        kubectl("wait", f"job/{JOB}", "-n", "shop", "--for=condition=complete", "--timeout=120s")
    except KubectlError as error:
        raise KubectlError(f"{error}\n{_last_words(kubectl)}") from error
    return kubectl("logs", f"job/{JOB}", "-n", "shop").splitlines()


def _last_words(kubectl: Kubectl) -> str:
    try:
        return kubectl("logs", f"job/{JOB}", "-n", "shop", "--tail=20")
    except KubectlError:
        return kubectl("describe", f"job/{JOB}", "-n", "shop")


def _kept(cluster: Cluster, image: str) -> tuple[str, ...]:
    return (
        "The cluster is still up:",
        f"  export KUBECONFIG={cluster.kubeconfig}",
        f"  alias kubectl={cluster.kubectl_program}",
        "  kubectl get md -n shop -o wide",
        "  kubectl describe md sentiment -n shop            # conditions, events, every decision with its numbers",
        f"  curl -H 'Host: {HOSTNAME}' {cluster.gateway_url}/v2/models/sentiment",
        f"  Prometheus: {cluster.prometheus_url}",
        f"  the story once more, in it: DEMO_IMAGE={image} make demo",
        f"Take it down: {DOWN}",
    )


def _not_kept() -> tuple[str, ...]:
    return ("KEEP=1 make demo       the same, and the cluster stays up for you",)
