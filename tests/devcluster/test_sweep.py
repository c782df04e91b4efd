"""Telling the living from the dead, and ending only what is ours."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from devcluster import state, sweep
from devcluster.cgroups import hierarchies
from devcluster.machine import Failed, Unavailable
from devcluster.network import Network, overlaps, taken_networks
from devcluster.processes import Processes, ProcessId, end, recorded
from devcluster.state import State


@pytest.fixture(autouse=True)
def a_root_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state, "root", lambda: tmp_path / "root")
    monkeypatch.setattr("os.geteuid", lambda: 1000)  # control groups and devices of this machine are left alone
    return tmp_path / "root"


@pytest.fixture
def sleeper() -> Iterator[ProcessId]:
    child = subprocess.Popen(["sleep", "60"])
    identity = ProcessId.of(child.pid)
    assert identity is not None
    yield identity
    child.kill()
    child.wait()


def a_dead_process() -> ProcessId:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessId.of(child.pid)
    child.communicate()
    assert identity is not None
    return identity


def a_cluster(name: str, **facts: object) -> State:
    cluster = State(name)
    cluster.claim()
    cluster.note(**facts)
    return cluster


def test_a_cluster_lives_as_long_as_its_owner() -> None:
    assert a_cluster("mine").alive
    assert not a_cluster("orphan", owner=asdict(a_dead_process())).alive


def test_a_kept_cluster_lives_without_its_owner_while_its_core_runs(sleeper: ProcessId) -> None:
    cluster = a_cluster("kept", owner=asdict(a_dead_process()), kept=True)
    assert not cluster.alive
    lines = [
        {"launch": {"name": name, "command": [], "environment": {}}, "identity": asdict(sleeper)} for name in state.CORE
    ]
    (cluster.folder / "processes.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert cluster.alive


def test_a_folder_without_a_readable_note_is_dead(a_root_of_its_own: Path) -> None:
    (a_root_of_its_own / "broken").mkdir(parents=True)
    (a_root_of_its_own / "broken" / "cluster.json").write_text('{"owner"')
    assert sweep.dead() == ["broken"]


def test_a_sweep_removes_the_dead_and_leaves_the_living(sleeper: ProcessId) -> None:
    living = a_cluster("living")
    dead = a_cluster("dead", owner=asdict(a_dead_process()))
    line = {"launch": {"name": "etcd", "command": ["sleep"], "environment": {}}, "identity": asdict(sleeper)}
    (dead.folder / "processes.jsonl").write_text(f"{json.dumps(line)}\n")
    assert sweep.sweep() == ["dead"]
    assert not dead.folder.exists()
    assert not sleeper.alive
    assert living.folder.exists()


def test_a_living_cluster_keeps_its_name() -> None:
    a_cluster("dev")
    with pytest.raises(Failed, match="take it down first"):
        sweep.make_room("dev")
    with pytest.raises(Failed, match="being brought up"):
        State("dev").claim()


def test_the_remains_of_a_dead_cluster_make_room() -> None:
    a_cluster("dev", owner=asdict(a_dead_process()))
    sweep.make_room("dev")
    State("dev").claim()


def test_an_id_that_was_given_to_another_process_is_not_ended(sleeper: ProcessId) -> None:
    end([replace(sleeper, started=sleeper.started - 1), replace(sleeper, boot="another")], grace=0)
    assert sleeper.alive


def test_a_process_is_stopped_started_again_and_found_by_others(tmp_path: Path) -> None:
    table = Processes(tmp_path)
    process = table.start("sleeper", ["sleep", "60"])
    first = process.identity
    process.stop()
    assert not process.running
    process.start()
    assert process.identity not in {first, None}

    others = Processes(tmp_path)
    others.adopt()
    assert others["sleeper"].identity == process.identity
    others["sleeper"].stop()
    assert not process.running
    assert [launch.name for launch, _ in recorded(tmp_path)] == ["sleeper", "sleeper"]


def test_a_process_that_ends_too_early_shows_its_last_words(tmp_path: Path) -> None:
    process = Processes(tmp_path).start("etcd", ["sh", "-c", "echo no space left; exit 3"])
    with pytest.raises(Failed, match="no space left"):
        process.wait_ready(lambda: False, 10)


def test_a_record_cut_off_by_a_crash_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    Processes(tmp_path).start("true", ["sleep", "0.2"])
    with (tmp_path / "processes.jsonl").open("a") as record:
        record.write('{"launch": {"na')
    assert [launch.name for launch, _ in recorded(tmp_path)] == ["true"]


@pytest.mark.parametrize("name", ["", "Dev", "../dev", "a" * 21, "-a", ".a"])
def test_a_name_that_could_not_be_part_of_a_path_is_refused(name: str) -> None:
    with pytest.raises(Unavailable, match="cannot be named"):
        State(name)


def test_addresses_of_a_cluster_lie_apart_and_within_its_network() -> None:
    network = Network(name="dev", number=207)
    everything = taken_networks([{"dst": network.everything}])
    for part in (network.pods, network.services, f"{network.address}/32"):
        assert overlaps(part, everything)
    assert not overlaps(
        network.pods, taken_networks([{"dst": network.services}, {"dst": f"{network.host_address}/30"}])
    )


def test_the_default_route_takes_no_network() -> None:
    assert taken_networks([{"dst": "default"}, {"dst": "10.1.0.0/16"}, {"dst": "10.2.0.1"}]) == [
        *taken_networks([{"dst": "10.1.0.0/16"}]),
        *taken_networks([{"dst": "10.2.0.1/32"}]),
    ]


def test_control_groups_of_both_versions_are_found() -> None:
    mounts = (
        "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\ntmpfs /tmp tmpfs rw 0 0\nnone /sys/fs/cgroup/u cgroup2 rw 0 0\n"
    )
    assert hierarchies(mounts) == [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup/u")]
