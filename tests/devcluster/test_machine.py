"""What somebody reads whose machine cannot run a cluster."""

import pytest

from devcluster import machine
from devcluster.__main__ import EXIT_UNAVAILABLE, main


def test_without_root_there_is_one_sentence_and_an_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(["up"]) == EXIT_UNAVAILABLE
    said = capsys.readouterr().err
    assert "needs root" in said
    assert said.count("\n") == 1


def test_another_system_is_named_and_a_way_out_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(machine.Unavailable, match=r"needs Linux, and this is darwin; .*KUBECONFIG"):
        machine.check()


def test_missing_packages_are_all_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(machine, "find", lambda tool: None)
    monkeypatch.setattr(machine, "CNI_FOLDERS", ())
    with pytest.raises(machine.Unavailable, match=r"apt-get install .*containerd containernetworking-plugins.* runc"):
        machine.check(images=False)
