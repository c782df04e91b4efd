"""Long-running processes: started with a log file, written down, ended by their ids and never by a name.

A process id alone may have been given to somebody else since; together with its
start time and the machine's boot it names one process for ever.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from devcluster.machine import Failed

RECORD = "processes.jsonl"
LOG_TAIL_LINES = 25
START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the command's closing bracket
POLL_SECONDS = 0.02


def boot_id() -> str:
    """What tells this boot of the machine from every other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """One process, for ever."""

    pid: int
    started: int
    """Clock ticks after the boot."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this id now; None if there is none, or only a zombie."""
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        if after_name[0] in "ZX":
            return None
        return cls(pid=pid, started=int(after_name[START_TIME_FIELD]), boot=boot_id())

    @classmethod
    def mine(cls) -> ProcessId:
        """This Python process."""
        me = cls.of(os.getpid())
        assert me is not None
        return me

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        return ProcessId.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still is this process."""
        if self.alive:
            with suppress(ProcessLookupError):  # it ended between the look and the signal
                os.kill(self.pid, number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a program is started."""

    name: str
    command: list[str]
    environment: dict[str, str]
    """On top of ours."""


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Look often until it is true; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def end(processes: Sequence[ProcessId], *, grace: float) -> None:
    """SIGTERM, up to `grace` seconds of patience, then SIGKILL; a grace of 0 kills at once."""
    if grace > 0:
        for process in processes:
            process.send(signal.SIGTERM)
        wait_until(lambda: not any(process.alive for process in processes), grace)
    for process in processes:
        process.send(signal.SIGKILL)
    wait_until(lambda: not any(process.alive for process in processes), 5)


class Process:
    """One program of the cluster, which may be stopped and started again."""

    def __init__(self, launch: Launch, table: Processes) -> None:
        self._launch = launch
        self._table = table
        self._identity: ProcessId | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return self._launch.name

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self._table.logs / f"{self.name}.log"

    @property
    def identity(self) -> ProcessId | None:
        """The process while it runs, whoever started it."""
        if self._child is not None:
            self._child.poll()  # or it would stay a zombie
        return self._identity if self._identity is not None and self._identity.alive else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.identity is not None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.running:
            return
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [*self._table.launcher, *self._launch.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self._launch.environment,
                start_new_session=True,  # Ctrl-C is ours to handle, not the children's
            )
        self._identity = ProcessId.of(self._child.pid)
        if self._identity is not None:
            self._table.write_down(self._launch, self._identity)

    def stop(self, grace: float = 10) -> None:
        """SIGTERM, patience, SIGKILL; returns when it is gone."""
        if self._identity is not None:
            end([self._identity], grace=grace)
        if self._child is not None:
            self._child.wait()

    def adopt(self, identity: ProcessId) -> None:
        """Take over a process that somebody else started."""
        self._identity = identity

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def wait_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until it serves; `Failed`, with the end of its log, if it ends or takes too long."""
        if wait_until(lambda: not self.running or ready(), seconds) and self.running:
            return
        how = "did not get ready in time" if self.running else "ended"
        raise Failed(f"{self.name} {how}; the end of {self.log}:\n{self.tail()}")


class Processes(Mapping[str, Process]):
    """The programs of one cluster, by name, and the file that remembers them for whoever comes later."""

    def __init__(self, folder: Path, *, launcher: Sequence[str] = ()) -> None:
        self._record = folder / RECORD
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.launcher = tuple(launcher)
        """What becomes each command after it has entered where the command shall run."""
        self._processes: dict[str, Process] = {}

    def __getitem__(self, name: str) -> Process:
        return self._processes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._processes)

    def __len__(self) -> int:
        return len(self._processes)

    def start(
        self, name: str, command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program under a name; it inherits our environment, and what is given here on top."""
        launch = Launch(name=name, command=[str(word) for word in command], environment=dict(environment or {}))
        process = self._processes[name] = Process(launch, self)
        process.start()
        return process

    def adopt(self) -> None:
        """Take over the processes that the file remembers."""
        for launch, identity in recorded(self._record.parent):
            process = self._processes.setdefault(launch.name, Process(launch, self))
            process.adopt(identity)

    def write_down(self, launch: Launch, identity: ProcessId) -> None:
        """Remember a process on disk."""
        with self._record.open("a") as record:
            record.write(json.dumps({"launch": asdict(launch), "identity": asdict(identity)}) + "\n")

    def kill(self) -> None:
        """End all of ours at once."""
        end([identity for process in self._processes.values() if (identity := process.identity)], grace=0)
        for process in self._processes.values():
            process.stop(grace=0)


def recorded(folder: Path) -> list[tuple[Launch, ProcessId]]:
    """The processes that a cluster's folder remembers, the oldest first; a line cut off by a crash is passed over."""
    record = folder / RECORD
    known = []
    for line in record.read_text().splitlines() if record.exists() else []:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        known.append((Launch(**entry["launch"]), ProcessId(**entry["identity"])))
    return known
