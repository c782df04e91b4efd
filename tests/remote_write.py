"""Fills a real Prometheus with a past, by its own remote-write receiver: ten minutes are there in a moment."""

import struct
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
import requests

from modelrollout.domain.polls import Sample
from tests.real_prometheus import running

Row = tuple[Mapping[str, str], Sequence[Sample]]

SPAN = 600.0
"""Seconds of samples in one request: the head takes nothing that is an hour older than its newest."""
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The value by which a Prometheus says that a series ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledPrometheus:
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
def prometheus() -> Iterator[FilledPrometheus]:
    configuration = {"global": {"scrape_interval": "15s"}}
    with running(lambda _: configuration, "--web.enable-remote-write-receiver") as real:
        yield FilledPrometheus(url=real.url)


def minutes_ago(minutes: float) -> float:
    """A whole minute of unix time: what is shifted by it keeps its milliseconds."""
    return time.time() // 60 * 60 - 60 * minutes


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
