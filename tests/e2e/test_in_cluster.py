"""The operator as it is shipped: its image, two replicas, in the cluster."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.build import kubernetes
from devcluster.progress import Progress
from tests.e2e.companions import Companions
from tests.e2e.operators import NAME, Operators
from tests.e2e.place import Place
from tests.e2e.specs import BY_TIME, Document, a_rollout
from tests.e2e.world import SYSTEM, World

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 15.0
NOISE = 10.0


@pytest.fixture
def shop(world: World) -> Iterator[None]:
    """The demo's namespace, with its volume where ours has no StorageClass."""
    world.kubectl.apply_file(ROOT / "demo" / "namespace.yaml")
    if world.cluster is not None:
        models = world.cluster.state_dir / "demo-models"
        models.mkdir(exist_ok=True)
        models.chmod(0o777)  # the trainer's pod writes here as user 1000
        world.cluster.model_volume("shop", "models", models)
    yield
    world.kubectl("delete", "namespace", "shop", "--wait=false")
    if world.cluster is not None:
        world.kubectl("delete", "persistentvolume", "shop-models", "--wait=false")  # goes with its claim


def test_the_demo_comes_out_as_told(world: World, operators: Operators, companions: Companions, shop: None) -> None:
    companions.finish()
    operators.in_cluster()
    program = kubernetes(Progress())
    given = {
        "KUBECONFIG": str(world.api.kubeconfig),
        "DEMO_GATEWAY": world.gateway,
        "DEMO_IMAGE": world.image,
        "PATH": f"{program}:{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "demo"]
    told = subprocess.run(command, cwd=ROOT, env=os.environ | given, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_another_process_takes_over_when_the_leader_is_killed(empty_place: Place) -> None:
    """The other replica, or the killed one's successor in its pod: kubelet restarts it long before the Lease ends."""
    place, operators = empty_place, empty_place.operators
    assert place.world.devcluster
    operators.in_cluster()
    model: Document = {"rollout": a_rollout(20, 50, minDuration="2s"), "analysis": BY_TIME}
    place.deploy(place.model("1", **model))
    place.until_so("somebody leads", lambda: operators.leader().startswith(f"{NAME}-"))
    leader = operators.leader()
    place.apply(place.model("2", **model))
    second = place.until_weight(20).candidate
    _kill(place, leader)
    since = time.monotonic()
    place.until_so("another leads", lambda: operators.leader() not in ("", leader))
    took = time.monotonic() - since
    place.notes.append(("seconds without a leader", round(took, 1)))
    assert took <= LEASE_SECONDS + NOISE
    assert place.until_stable().stable == second
    assert place.route_of(second) == [20, 50, 100]


def _kill(place: Place, identity: str) -> None:
    """SIGKILL to the operator's process in that pod, which nothing in the pod can notice."""
    pods = place.world.history.all("Pod", SYSTEM)
    uid = next(pod["metadata"]["uid"] for pod in pods if pod["metadata"]["name"] == _pod_of(identity))
    mine = [process for process in Path("/proc").glob("[0-9]*") if _belongs(process, uid)]
    assert mine, f"no process of pod {uid}"
    for process in mine:
        os.kill(int(process.name), signal.SIGKILL)


def _belongs(process: Path, uid: str) -> bool:
    try:
        group, command = (process / "cgroup").read_text(), (process / "cmdline").read_bytes()
    except OSError:
        return False
    return (uid in group or uid.replace("-", "_") in group) and b"modelrollout" in command


def _pod_of(identity: str) -> str:
    """`<pod>-<process id>-<random>`."""
    return identity.rsplit("-", 2)[0]
