"""Tests marked `alongside` play at the same time, each in a namespace of its own: nearly all of their time is waiting.

The first of them that pytest comes to starts all; pytest then asks each, in its order, how it went. A test without
the mark (it kills the operator, stops Prometheus, sends a hundred requests a second) waits until the others are over.
Arguments of a marked test: `place`, and what it is parametrized with.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager

import pytest

from tests.e2e.place import Place

MARK = "alongside"
AT_A_TIME = 4
"""Two cores carry the whole cluster, too."""

Opened = Callable[[str], AbstractContextManager[Place]]
"""A place for the test of that name, with the laws that hold in every one."""


class Companions:
    def __init__(self, items: Sequence[pytest.Item], opened: Opened) -> None:
        self._items = [item for item in items if isinstance(item, pytest.Function) and item.get_closest_marker(MARK)]
        self._opened = opened
        self._pool = ThreadPoolExecutor(max_workers=AT_A_TIME, thread_name_prefix=MARK)
        self._under_way: dict[str, Future[list[tuple[str, object]]]] = {}

    def begin(self) -> None:
        """All of them, unless they have begun."""
        for item in self._items:
            if item.nodeid not in self._under_way:
                self._under_way[item.nodeid] = self._pool.submit(self._play, item)

    def outcome(self, item: pytest.Item) -> None:
        """Of one test, as if it were played now: what it raised is raised, what it noted is noted."""
        item.user_properties.extend(self._under_way[item.nodeid].result())

    def finish(self) -> None:
        """Wait until none is under way."""
        wait(self._under_way.values())

    def end(self) -> None:
        """Begin no more."""
        self._pool.shutdown(cancel_futures=True)

    def _play(self, item: pytest.Function) -> list[tuple[str, object]]:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        with self._opened(item.name) as place:
            item.function(place=place, **parameters)
            return place.notes
