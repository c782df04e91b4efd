"""What users saw: requests, failures, the slowest one per cent and right answers, in all and per version. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self


class Record(NamedTuple):
    """One request. `status` 0: no answer at all; `version` is empty where the answer names none."""

    due: float
    latency: float
    status: int
    version: str
    right: bool

    @property
    def failed(self) -> bool:
        return self.status != 200

    def line(self) -> str:
        return f"{self.due:.3f}\t{self.latency:.4f}\t{self.status}\t{self.version}\t{int(self.right)}\n"

    @classmethod
    def of(cls, line: str) -> Self:
        due, latency, status, version, right = line.rstrip("\n").split("\t")
        return cls(float(due), float(latency), int(status), version, right == "1")


def read(lines: Iterable[str]) -> list[Record]:
    """Every whole line; the last may still be in the writing."""
    return [Record.of(line) for line in lines if line.endswith("\n")]


def between(records: Iterable[Record], start: float, end: float) -> list[Record]:
    return [record for record in records if start <= record.due < end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """Of all requests, or of those that one version answered."""

    requests: int
    failures: int
    slowest: float
    """Seconds that one request in a hundred took longer than (0.99 quantile, nearest rank)."""
    right: int

    @classmethod
    def of(cls, records: Sequence[Record]) -> Self:
        latencies = sorted(record.latency for record in records)
        return cls(
            requests=len(records),
            failures=sum(record.failed for record in records),
            slowest=latencies[math.ceil(0.99 * len(latencies)) - 1] if latencies else 0.0,
            right=sum(record.right for record in records),
        )


NOT_KNOWN = "not known which"
"""Neither the gateway nor the server says in a failed answer whose it was; the gateway's metrics know."""


def per_version(records: Sequence[Record]) -> dict[str, Experience]:
    versions = sorted({record.version for record in records}, key=lambda version: (not version, len(version), version))
    return {version: Experience.of([r for r in records if r.version == version]) for version in versions}


def table(records: Sequence[Record]) -> list[str]:
    """Lines for people: in all, then per version."""
    rows = [f"{'users saw':<18}{'requests':>9}{'failed':>8}{'slowest 1 %':>13}{'right':>8}"]
    rows.append(_row("in all", Experience.of(records)))
    versions = per_version(records)
    for version, seen in versions.items():
        unsure = "" in versions and version != ""
        rows.append(_row(f"from version {version}" if version else NOT_KNOWN, seen, failures="?" if unsure else None))
    failed = Counter(record.status for record in records if record.failed)
    if failed:
        told = ", ".join(f"{count} × {status or 'no answer'}" for status, count in sorted(failed.items()))
        rows.append(f"failures: {told}; a failed answer does not say which version it is from")
    return rows


def _row(name: str, seen: Experience, *, failures: str | None = None) -> str:
    """`right` is of the answered; `failures` instead of their number, where some may be missing."""
    answered = seen.requests - seen.failures
    right = f"{seen.right / answered:.0%}".replace("%", " %") if answered else "–"
    failed = failures or str(seen.failures)
    return f"{name:<18}{seen.requests:>9}{failed:>8}{seen.slowest * 1000:>10.0f} ms{right:>8}"
