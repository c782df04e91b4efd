"""Builds container images without a registry, once per content, as archives in the cache.

The base comes from the distribution's packages and is given the very name that the
Dockerfile's FROM says, so that what is built is the Dockerfile we ship. What pip needs
to reach its index from here (a CA bundle, an index) is given as build secrets `ca` and
`pip`, which stay out of the image.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

from devcluster import build, cache
from devcluster.machine import Failed, need
from devcluster.progress import Progress

BASE = "docker.io/library/debian:bookworm-slim"
"""What the Dockerfiles are made FROM."""
BASE_SUITE = "bookworm"
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
PAUSE = "localhost/modelrollout/pause:1"
"""The image that holds a pod's namespaces open."""
MLSERVER = "localhost/modelrollout/mlserver:1.7.1-sklearn"
"""The model server of the demo and the tests."""
HERE = Path(__file__).parent
IGNORED = ("__pycache__", "*.pyc", ".git", ".venv", ".*_cache")
"""Never part of a build context."""
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout", "proxy")
CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
BUILD_OPTIONS = ("--isolation=chroot", "--network=host", "--pull-never", "--layers")
"""Works without a container runtime, and asks no registry."""
ARCHIVE = "image.tar"
SLIM = tuple(
    f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "info", "locale", "groff", "lintian")
)
"""What the official slim image leaves out too."""
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE_LABEL = f"modelrollout.devcluster.base={BASE_SUITE}-{BASE_PACKAGES.replace(',', '-')}-slim"


@dataclass(frozen=True, slots=True)
class ImageArchive:
    """A built image: a docker-archive file, and the reference that pods use."""

    reference: str
    path: Path


def build_image(
    name: str,
    context: Path,
    dockerfile: Path,
    *,
    include: Sequence[str] = (".",),
    progress: Progress | None = None,
) -> ImageArchive:
    """Build an image, unless these very files were built before.

    `include` names the files and folders of the context that the Dockerfile copies; nothing
    else is seen by the build. A name without a tag gets the hash of the content as its tag.
    """
    progress = progress or Progress()
    files = [("Dockerfile", dockerfile), *context_files(context, include)]
    content = cache.digest(files, flags=(BASE, BASE_LABEL, *BUILD_OPTIONS))
    reference = name if ":" in name.rpartition("/")[2] else f"{name}:{content}"
    short = reference.rpartition("/")[2].partition(":")[0]

    def make(folder: Path) -> None:
        with progress.step(f"built image {reference}"), _only_one_build(), _pip_settings() as secrets:
            _make_base(progress)
            with tempfile.TemporaryDirectory(prefix="modelrollout-context-") as copy:
                for relative, path in files[1:]:
                    target = Path(copy) / relative
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, target)
                _buildah("build", *BUILD_OPTIONS, *secrets, f"--file={dockerfile}", f"--tag={reference}", copy)
            _buildah("push", reference, f"docker-archive:{folder / ARCHIVE}:{reference}")
            _forget_older(reference)

    folder = cache.publish(cache.root() / "images" / f"{short}-{content}", make)
    cache.forget_old(folder, family=f"{short}-*")
    return ImageArchive(reference, folder / ARCHIVE)


def mlserver_image(progress: Progress | None = None) -> ImageArchive:
    """MLServer with scikit-learn, from the Python index."""
    folder = HERE / "images" / "mlserver"
    return build_image(MLSERVER, folder, folder / "Dockerfile", include=("requirements.txt",), progress=progress)


def pause_image(progress: Progress) -> ImageArchive:
    """The sandbox image: one static program, packed by hand, so that it needs no image builder."""
    program = build.pause(progress)

    def make(folder: Path) -> None:
        layer = _tar({"pause": program.read_bytes()})
        layer_name = f"{sha256(layer).hexdigest()}.tar"
        config = {
            "architecture": build.ARCHITECTURE,
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
        }
        manifest = [{"Config": "config.json", "RepoTags": [PAUSE], "Layers": [layer_name]}]
        members = {layer_name: layer, "config.json": _json(config), "manifest.json": _json(manifest)}
        (folder / ARCHIVE).write_bytes(_tar(members))

    content = cache.digest([("pause", program)])
    return ImageArchive(PAUSE, cache.publish(cache.root() / "images" / f"pause-{content}", make) / ARCHIVE)


def context_files(context: Path, include: Sequence[str]) -> list[tuple[str, Path]]:
    """The files of a build context: what is included, without caches and version control."""
    found: dict[str, Path] = {}
    for name in include:
        start = context / name
        for path in [start] if start.is_file() else sorted(start.rglob("*")):
            relative = path.relative_to(context)
            ignored = any(fnmatch(part, pattern) for part in relative.parts for pattern in IGNORED)
            if path.is_file() and not ignored:
                found[str(relative)] = path
    return sorted(found.items())


def pip_configuration(environment: dict[str, str], configured: str) -> str:
    """A pip.conf from what reaches the index on this machine: `pip config list` and PIP_ variables."""
    values: dict[str, str] = {}
    for line in configured.splitlines():
        name, _, value = line.partition("=")
        values[name.rpartition(".")[2]] = value.strip("'")
    for setting in PIP_SETTINGS:
        if given := environment.get(f"PIP_{setting.upper().replace('-', '_')}"):
            values[setting] = given
    lines = [f"{setting} = {values[setting]}" for setting in PIP_SETTINGS if setting in values]
    return "\n".join(["[global]", *lines, ""])


def authority_bundle(environment: dict[str, str]) -> Path | None:
    """The CA bundle that this machine trusts, if it names one."""
    for variable in CA_VARIABLES:
        path = Path(environment.get(variable, ""))
        if path.is_file():
            return path
    return None


@contextmanager
def _pip_settings() -> Iterator[list[str]]:
    """Options that give this machine's pip settings and CA bundle to the build, as secrets: no layer holds them."""
    environment = dict(os.environ)
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as settings:
        settings.write(pip_configuration(environment, listed.stdout))
        settings.flush()
        secrets = [f"--secret=id=pip,src={settings.name}"]
        if bundle := authority_bundle(environment):
            secrets.append(f"--secret=id=ca,src={bundle.resolve()}")
        yield secrets


@contextmanager
def _only_one_build() -> Iterator[None]:
    """One build at a time: they share buildah's store, and what a killed one left there is removed."""
    cache.root().mkdir(parents=True, exist_ok=True)
    with (cache.root() / "images.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        _buildah("rm", "--all")
        yield


def _make_base(progress: Progress) -> None:
    """Make the base image, unless buildah's store has it."""
    if _buildah("images", "--quiet", "--filter", f"label={BASE_LABEL}", must=False).strip():
        return
    with progress.step(f"made the base image of Debian {BASE_SUITE}"), tempfile.TemporaryDirectory() as folder:
        system = Path(folder) / "base.tar"
        bootstrap = [need("mmdebstrap", "install mmdebstrap"), "--quiet", "--variant=minbase", *SLIM]
        _run([*bootstrap, f"--include={BASE_PACKAGES}", BASE_SUITE, str(system)])
        container = _buildah("from", "scratch").strip()
        _buildah("add", "--quiet", container, str(system), "/")
        _buildah("config", "--env", f"PATH={BASE_PATH}", "--cmd", "bash", "--label", BASE_LABEL, container)
        _buildah("commit", "--quiet", "--rm", container, BASE)


def _forget_older(reference: str) -> None:
    """Remove the images that were built under the same name before; layers in use stay."""
    name = reference.rpartition(":")[0]
    listed = _buildah("images", "--format={{.Name}}:{{.Tag}}", f"--filter=reference={name}", must=False)
    for older in {line.strip() for line in listed.splitlines() if line.startswith(f"{name}:")} - {reference}:
        _buildah("rmi", older, must=False)


def _buildah(command: str, *arguments: str, must: bool = True) -> str:
    store = cache.root() / "buildah"
    options = [f"--root={store / 'root'}", f"--runroot={store / 'run'}", "--storage-driver=overlay"]
    # The default would be fuse-overlayfs's options out of the machine's own storage.conf.
    environment = os.environ | {"STORAGE_OPTS": "", "CONTAINERS_STORAGE_CONF": os.devnull}
    return _run([need("buildah", "install buildah"), *options, command, *arguments], environment, must=must)


def _run(command: Sequence[str], environment: dict[str, str] | None = None, *, must: bool = True) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if must and done.returncode:
        said = f"{done.stdout}\n{done.stderr}"[-4000:]
        raise Failed(f"{' '.join(command)} failed:\n{said}")
    return done.stdout


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _tar(members: dict[str, bytes]) -> bytes:
    """A tar archive that depends on nothing but its members."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
