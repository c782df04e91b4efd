"""A real Prometheus on loopback, filled with a past: `from tests.real_prometheus import prometheus` in a conftest.

What is written comes by its own remote-write receiver, so that ten minutes are there in a moment. Where no Prometheus can
be built, tests are skipped aloud, and fail with CI=true.
"""

import os
import shutil
import socket
import struct
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from devcluster import build
from devcluster.machine import Unavailable
from devcluster.processes import Processes
from devcluster.progress import Progress
from modelrollout.domain.polls import Sample

Row = tuple[Mapping[str, str], Sequence[Sample]]

READY_SECONDS = 30.0
SPAN = 600.0
"""Seconds of samples in one request: the head takes nothing that is an hour older than its newest."""
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The value by which a Prometheus says that a series ended."""
CONFIGURATION = "global: {scrape_interval: 15s}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealPrometheus:
    url: str

    def write(self, rows: Iterable[Row]) -> None:
        """Samples in any order, each series once."""
        pieces: dict[int, list[tuple[Mapping[str, str], list[Sample]]]] = defaultdict(list)
        for labels, samples in rows:
            parts: dict[int, list[Sample]] = defaultdict(list)
            for sample in samples:
                parts[int(sample.t // SPAN)].append(sample)
            for number, part in parts.items():
                pieces[number].append((labels, part))
        for _, piece in sorted(pieces.items()):
            answer = requests.post(
                f"{self.url}/api/v1/write",
                data=_snappy(b"".join(_field(1, _series(labels, samples)) for labels, samples in piece)),
                headers={
                    "Content-Encoding": "snappy",
                    "Content-Type": "application/x-protobuf",
                    "X-Prometheus-Remote-Write-Version": "0.1.0",
                },
                timeout=30,
            )
            assert answer.status_code in (200, 204), answer.text


@pytest.fixture
def prometheus() -> Iterator[RealPrometheus]:
    try:
        program = build.prometheus(Progress())
    except Unavailable as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no Prometheus on this machine: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="modelrollout-prometheus-"))
    processes = Processes(folder)
    try:
        yield _started(program, folder, processes)
    finally:
        processes.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _started(program: Path, folder: Path, processes: Processes) -> RealPrometheus:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    (folder / "prometheus.yml").write_text(CONFIGURATION)
    process = processes.start(
        "prometheus",
        [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            "--web.enable-remote-write-receiver",
            "--log.level=warn",
        ],
    )
    url = f"http://{address}"
    process.wait_ready(lambda: _is_ready(url), READY_SECONDS)
    return RealPrometheus(url=url)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=2).status_code == 200
    except requests.RequestException:
        return False


# ------------------------------------------------------------------ prometheus.WriteRequest, and snappy without a match


def _series(labels: Mapping[str, str], samples: Iterable[Sample]) -> bytes:
    named = [_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())]
    valued = [
        _field(2, b"\x09" + struct.pack("<d", sample.v) + b"\x10" + _varint(round(sample.t * 1000)))
        for sample in samples
    ]
    return b"".join((*named, *valued))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _snappy(content: bytes) -> bytes:
    """Literals only."""
    pieces = (content[at : at + 0x10000] for at in range(0, len(content), 0x10000))
    return _varint(len(content)) + b"".join(b"\xf4" + struct.pack("<H", len(p) - 1) + p for p in pieces)


def minutes_ago(minutes: float) -> float:
    """A whole minute of unix time: what is shifted by it keeps its milliseconds."""
    return time.time() // 60 * 60 - 60 * minutes
