"""Progress lines for people: what was done, and how many seconds it took since the start."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TextIO


class Progress:
    """Writes one line per finished step, with the seconds since this object was made."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._started = time.monotonic()
        self._lock = Lock()  # steps may run side by side

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """Write one line."""
        with self._lock:
            self._stream.write(f"{self.elapsed:6.1f} s  {text}\n")
            self._stream.flush()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Write the line when the block has ended, with the time it took by itself."""
        before = time.monotonic()
        yield
        self.say(f"{text} ({time.monotonic() - before:.1f} s)")


class Silence(Progress):
    """Says nothing: for tests that bring up something small many times."""

    def say(self, text: str) -> None:
        """Say nothing."""
