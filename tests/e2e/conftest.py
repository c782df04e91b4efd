"""One real cluster for the session; for each test a namespace of its own, and the laws that hold in every one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from devcluster.machine import Unavailable
from tests.e2e.companions import MARK, Companions
from tests.e2e.history import raised_without_a_ready_pod, removed_under_traffic
from tests.e2e.operators import Operators
from tests.e2e.place import Place
from tests.e2e.world import World, found_or_made

COMPANIONS = pytest.StashKey[Companions]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}: played at the same time as the others that are marked so")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Ask a marked test how it went, instead of calling it."""
    if pyfuncitem.get_closest_marker(MARK) is None:
        return None
    pyfuncitem.config.stash[COMPANIONS].outcome(pyfuncitem)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured, whether or not all is well."""
    for report in terminalreporter.stats.get("passed", []):
        for what, value in report.user_properties:
            terminalreporter.write_line(f"{report.nodeid.partition('::')[2]}: {what}: {value}")


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    made = found_or_made()
    try:
        world = made.__enter__()
    except Unavailable as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no cluster on this machine: {reason}")
    try:
        yield world
    finally:
        made.__exit__(None, None, None)


@pytest.fixture(scope="session")
def operators(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    operators = Operators(world, tmp_path_factory.mktemp("operator"))
    yield operators
    operators.leave_as_found()


@pytest.fixture(scope="session")
def companions(world: World, operators: Operators, request: pytest.FixtureRequest) -> Iterator[Companions]:
    @contextmanager
    def opened(test: str) -> Iterator[Place]:
        with _lawful(Place(world=world, operators=operators, namespace=""), test) as place:
            yield place

    companions = request.config.stash[COMPANIONS] = Companions(request.session.items, opened)
    yield companions
    companions.end()


@contextmanager
def _lawful(nowhere: Place, test: str) -> Iterator[Place]:
    """In a namespace for that test; afterwards: what must hold in every one of them."""
    word = test.removeprefix("test_").partition("[")[0].replace("_", "-")[:40].strip("-")
    with nowhere.world.namespace(word) as namespace:
        place = replace(nowhere, namespace=namespace)
        yield place
        assert raised_without_a_ready_pod(place.happened()) == []
        assert removed_under_traffic(place.happened()) == []


@pytest.fixture
def empty_place(
    world: World, operators: Operators, companions: Companions, request: pytest.FixtureRequest
) -> Iterator[Place]:
    """Alone on the cluster, and without an operator until the test sees to one."""
    companions.finish()
    nowhere = Place(world=world, operators=operators, namespace="", notes=request.node.user_properties)
    with _lawful(nowhere, request.node.name) as place:
        yield place


@pytest.fixture
def place(operators: Operators, companions: Companions, request: pytest.FixtureRequest) -> Place | None:
    """With the operator as a process on this host."""
    if request.node.get_closest_marker(MARK):
        operators.on_host()
        companions.begin()
        return None  # the test has begun already, in a place of its own
    empty: Place = request.getfixturevalue("empty_place")
    operators.on_host()
    return empty
