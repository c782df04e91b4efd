"""How long until the first user meets a new version: from `kubectl apply` to the first answer of the canary.

With MLServer and a real model, as the demo has them: most of the time is the model's own start.
"""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks import audit
from benchmarks.arena import GATEWAY, NAME, NAMESPACE, Arena, arena, say, wait_without_pods_of_others
from benchmarks.result import Result, Spread, Table, Target
from demo import users
from demo.kubectl import Kubectl
from demo.load import sending
from demo.stage import ENDPOINT, Stage, train

REPETITIONS = 5
RATE = 50.0
WEIGHT = 10
LIMIT = 8.0
PATIENCE = 60.0
REVISION = "modelrollout.dev/revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Seconds from the moment at which `kubectl apply` was started."""

    applied: float
    """kubectl has ended."""
    created: float
    """The candidate's pod is there."""
    ready: float
    """It is ready: its model is loaded."""
    routed: float
    """The route is written with the candidate in it."""
    answered: float
    """The first user was answered by the candidate."""

    @property
    def ours(self) -> float:
        """All but the pod's own start."""
        return self.answered - (self.ready - self.created)

    def row(self, number: int) -> tuple[str, ...]:
        times = (self.applied, self.created, self.ready, self.routed, self.answered)
        return (str(number), *(f"{each:.2f}" for each in times))


@dataclass(slots=True)
class Pods:
    """When each revision's first pod was seen, and seen ready, by the clock of this process."""

    created: dict[str, float] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)

    def saw(self, event: dict[str, Any], at: float) -> None:
        pod = event["object"]
        revision = (pod["metadata"].get("labels") or {}).get(REVISION)
        if revision is None or event["type"] not in ("ADDED", "MODIFIED"):
            return
        self.created.setdefault(revision, at)
        conditions = (pod.get("status") or {}).get("conditions") or ()
        if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
            self.ready.setdefault(revision, at)

    @contextlib.contextmanager
    def watched(self, kubectl: Kubectl) -> Iterator[None]:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?watch=1"
        command = [kubectl.program, f"--kubeconfig={kubectl.kubeconfig}", "get", "--raw", path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            reader = threading.Thread(target=self._read, args=(watch.stdout,), daemon=True)
            reader.start()
            try:
                yield
            finally:
                watch.terminate()
                reader.join()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self.saw(json.loads(line), time.time())


def manifest(image: str, hostname: str, model: str, version: str) -> dict[str, Any]:
    """The demo's model server: `model` is one of the demo's trained versions, `version` what it is called."""
    runtime = {
        "preset": "mlserver",
        "image": image,
        "resources": {"requests": {"cpu": "100m", "memory": "300Mi"}},
        "readyTimeout": "40s",
    }
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "model": {"name": NAME, "version": version, "uri": f"pvc://models/sentiment/{model}"},
            "runtime": runtime,
            "scaling": {"mode": "fixed", "replicas": 1},
            "traffic": {"router": "gatewayAPI", "gatewayAPI": {**GATEWAY, "hostnames": [hostname]}},
            "rollout": {"steps": [{"weight": WEIGHT}, {"weight": 50}]},
            "analysis": {"poll": "1s"},
        },
    }


def measure(repetitions: int | None) -> Result:
    count = REPETITIONS if repetitions is None else repetitions
    with arena() as here:
        folder = here.cluster.state_dir / "models"
        folder.mkdir()
        folder.chmod(0o777)  # the trainer's pod writes here as user 1000
        here.cluster.model_volume(NAMESPACE, "models", folder)
        target = here.target(path=ENDPOINT)
        say("training the models, in a pod of the image that will serve them")
        train(Stage(kubectl=here.kubectl, target=target, image=here.image, afterwards=()))
        stable = manifest(here.image, here.hostname, "1", "stable")
        here.deploy_first(stable)
        pods = Pods()
        with pods.watched(here.kubectl), sending(target, rate=RATE, records=here.records):
            time.sleep(5)
            return told([_one(here, pods, stable, number) for number in range(1, count + 1)])


def _one(here: Arena, pods: Pods, stable: dict[str, Any], number: int) -> Start:
    known = set(pods.created)
    began = time.time()
    here.kubectl.apply(manifest(here.image, here.hostname, "2", f"canary-{number}"))
    applied = time.time()
    answered = _first_answer(here.records, "2", since=began)
    revision = next(each for each in pods.created if each not in known)
    writes = here.audited(audit.OPERATOR)
    routes = (each.ended for each in writes if each.verb == "patch" and each.resource == "httproutes")
    start = Start(
        applied=applied - began,
        created=pods.created[revision] - began,
        ready=pods.ready[revision] - began,
        routed=next(each for each in routes if each > began) - began,
        answered=answered - began,
    )
    say(f"canary-{number}: ready after {start.ready:.1f} s, first answer after {start.answered:.1f} s")
    here.kubectl.apply(stable)
    here.until(
        lambda status: status.is_current and status.phase == "Stable" and status.stable_version == "stable",
        "the candidate is given up",
        seconds=PATIENCE,
    )
    wait_without_pods_of_others(here, revisions=2)  # the trainer's pod is the other
    time.sleep(2)
    return start


def _first_answer(records: Path, model: str, *, since: float) -> float:
    """Looks only at what is written from now on, so that looking costs the cluster nothing."""
    deadline, start = time.monotonic() + PATIENCE, _beginning_of_line(records)
    while time.monotonic() < deadline:
        with records.open() as lines:
            lines.seek(start)
            seen = users.read(lines)
        found = [each.due + each.latency for each in seen if each.version == model and each.due >= since]
        if found:
            return min(found)
        time.sleep(0.1)
    raise TimeoutError(f"no user was answered by model {model} within {PATIENCE:.0f} s")


def _beginning_of_line(records: Path) -> int:
    """Where the line begins that is being written."""
    return records.read_bytes().rfind(b"\n") + 1


def told(starts: Sequence[Start]) -> Result:
    answered, ours = Spread.of([each.answered for each in starts]), Spread.of([each.ours for each in starts])
    loading = Spread.of([each.ready - each.created for each in starts])
    return Result(
        title="From kubectl apply to the first request at the canary",
        measured=f"MLServer with a scikit-learn model from a volume, {RATE:g} requests a second through the "
        f"Gateway, first step {WEIGHT} %, one replica. From the start of `kubectl apply` of a new version to the "
        f"first answer that a user got from it. At {RATE * WEIGHT / 100:g} requests a second for the canary, the "
        f"mean wait for a request alone is {100 / RATE / WEIGHT:.1f} s.",
        targets=(Target.at_most("seconds to the first request at the canary, median", LIMIT, answered.median, " s"),),
        tables=(
            Table(
                title="In short",
                head=("", "median", "min", "max"),
                rows=(
                    ("**kubectl apply to first answer, s**", *answered.cells()),
                    ("of that, the pod's own start (there to ready), s", *loading.cells()),
                    ("of that, all else: kubectl, operator, scheduler, gateway, next request, s", *ours.cells()),
                ),
            ),
            Table(
                title="Each repetition: seconds from the start of kubectl apply",
                head=("", "kubectl ended", "pod there", "pod ready", "route written", "first answer"),
                rows=tuple(each.row(number) for number, each in enumerate(starts, start=1)),
            ),
        ),
        remarks=(
            "The image is on the node already; the model is a few hundred kB. A larger one adds its own time.",
            "“pod there” and “pod ready” are when a watch told this process; “route written” is the API server's time.",
        ),
    )
