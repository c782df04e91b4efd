"""Who is the operator now: two replicas in the cluster, or one process on this host that can be killed. Never both.

Both use the same ServiceAccount and the same Lease, so the rights that we ship are what is tested.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.world import SYSTEM, World

ROOT = Path(__file__).parents[2]
CRASHING = Path(__file__).parent / "crashing_operator.py"
NAME = "modelrollout"
LEASE = "modelrollout-leader"
TERMS = {"LEASE_DURATION": "6s", "LEASE_RENEW_DEADLINE": "4s", "LEASE_RETRY": "1s"}
"""Shorter than the defaults: a killed operator's successor waits that long."""


class Operators:
    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._kubeconfig = world.operator_kubeconfig(folder / "operator.kubeconfig")
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "operator.log"
        self._found = self._scale(0)

    def on_host(self, crash: str = "") -> None:
        """See that exactly one runs on this host; `crash` names the instant at which it kills itself."""
        if crash or (self._process is not None and self._process.poll() is not None):
            self.stop()
        if self._process is not None:
            return
        self._scale(0)
        program = [str(CRASHING)] if crash else ["-m", "modelrollout", "run"]
        settings = {
            "KUBECONFIG": str(self._kubeconfig),
            "PROMETHEUS_URL": self._world.prometheus_url,
            "LEASE_NAMESPACE": SYSTEM,
            "LEASE_NAME": LEASE,
            "PROBE_PORT": "0",
            "LOG_FORMAT": "text",
            **TERMS,
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MODELROLLOUT_")}
        environment |= {f"MODELROLLOUT_{name}": value for name, value in settings.items()}
        environment |= {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}", "E2E_CRASH": crash}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *program], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def in_cluster(self, replicas: int = 2) -> None:
        """See that `replicas` run in the cluster, ready."""
        self.stop()
        self._scale(replicas)
        self._world.kubectl("rollout", "status", f"deployment/{NAME}", "-n", SYSTEM, "--timeout=60s")

    def leader(self) -> str:
        """The identity on the Lease; in the cluster it begins with the pod's name."""
        lease = self._world.api.get("Lease", SYSTEM, LEASE)
        return str(lease["spec"].get("holderIdentity") or "") if lease else ""

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is released."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def died_by_its_own_hand(self, seconds: float) -> bool:
        """Whether the process killed itself as `crash` said, within `seconds`."""
        assert self._process is not None
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._process = None
        return code == -signal.SIGKILL

    def stop(self) -> None:
        """End the process on this host as a Deployment would, if there is one; the Lease is released."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process = None

    def last_words(self) -> str:
        ended = self._process is not None and self._process.poll() is not None
        note = "THE OPERATOR'S PROCESS HAS ENDED\n" if ended else ""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return note + "\n".join(lines[-25:])

    def leave_as_found(self) -> None:
        self.stop()
        self._scale(self._found)

    def _scale(self, replicas: int) -> int:
        """And wait until the pods that are too many are gone: two operators would blur what a test sees.

        How many there were.
        """
        api = self._world.api
        live = api.get("Deployment", SYSTEM, NAME)
        assert live is not None, "the operator is not installed on this cluster"
        before: int = live["spec"]["replicas"]
        if before != replicas:
            api.merge("Deployment", SYSTEM, NAME, {"spec": {"replicas": replicas}}, "scale")
        few = self._world.history.until(lambda: len(self._pods()) <= replicas, 60)
        assert few, f"pods of the operator do not go: {self._pods()}"
        return before

    def _pods(self) -> list[str]:
        pods = self._world.history.all("Pod", SYSTEM)
        return [pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"].startswith(f"{NAME}-")]
