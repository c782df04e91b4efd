"""Asks a cluster through kubectl, as the reader could."""

import contextlib
import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from demo.status import Status

MODEL_DEPLOYMENTS = "/apis/modelrollout.dev/v1alpha1/namespaces/shop/modeldeployments"


class KubectlError(Exception):
    """kubectl said no; the message is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """`program` is kubectl, or another name of it; `kubeconfig` says which cluster."""

    kubeconfig: str
    program: str = "kubectl"

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        command = [self.program, *arguments]
        done = subprocess.run(command, input=stdin, env=self._env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *documents: dict[str, Any]) -> None:
        self("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def apply_file(self, path: Path) -> None:
        self("apply", "-f", str(path))

    @contextlib.contextmanager
    def watching(self, name: str = "sentiment") -> Iterator["queue.Queue[Status]"]:
        """Every status of the ModelDeployment as it changes, from now on."""
        seen: queue.Queue[Status] = queue.Queue()
        path = f"{MODEL_DEPLOYMENTS}?watch=1&fieldSelector=metadata.name%3D{name}"
        command = [self.program, "get", "--raw", path]
        with subprocess.Popen(command, env=self._env, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            reader = threading.Thread(target=_read, args=(watch.stdout, seen), daemon=True)
            reader.start()
            try:
                yield seen
            finally:
                watch.terminate()
                reader.join()

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": self.kubeconfig}


def _read(lines: IO[str], seen: "queue.Queue[Status]") -> None:
    for line in lines:
        event = json.loads(line)
        if event["type"] in ("ADDED", "MODIFIED"):
            seen.put(Status.of(event["object"]))
