"""What this machine and this checkout are, as far as numbers depend on them."""

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.result import Circumstances

REPOSITORY = Path(__file__).parents[1]
MEASURED = ("operator", "crds", "manifests", "Dockerfile", "devcluster", "demo", "tests/decide", "benchmarks")
"""What the numbers come from; other uncommitted changes do not matter."""


class Watch:
    """Notes the circumstances before a benchmark and how long it took."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._began = datetime.now(UTC)
        self._clock = time.monotonic()
        self._load = os.getloadavg()
        self._commit = _git("rev-parse", "--short=12", "HEAD").strip()
        self._changed = _changed()

    def circumstances(self) -> Circumstances:
        return Circumstances(
            cores=os.cpu_count() or 0,
            processor=_processor(),
            memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
            kernel=f"{platform.system()} {platform.release()}",
            load_before=self._load,
            commit=self._commit,
            changed=self._changed,
            command=self._command,
            began=self._began,
            seconds=time.monotonic() - self._clock,
        )


def changed_files(porcelain: str) -> tuple[str, ...]:
    """Out of `git status --porcelain`: files, but benchmarks as one, without what they write themselves."""
    paths = (line[3:].split(" -> ")[-1].strip('"') for line in porcelain.splitlines())
    told = (path for path in paths if not path.startswith("benchmarks/results/"))
    return tuple(sorted({"benchmarks" if path.startswith("benchmarks/") else path for path in told}))


def _changed() -> tuple[str, ...]:
    return changed_files(_git("status", "--porcelain", "--", *MEASURED))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout


def _processor() -> str:
    lines: Sequence[str] = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
