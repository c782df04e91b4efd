"""The example notebook runs as it is, by the interpreter that runs the tests."""

import ast
import os
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import install
from nbclient import NotebookClient

from tests.repository.tree import ROOT

NOTEBOOK = ROOT / "examples" / "simulate" / "how_long.ipynb"


def read() -> nbformat.NotebookNode:
    found: nbformat.NotebookNode = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    return found


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of this very interpreter, with the package on its path; nothing of the user's own set-up is read or written."""
    install(prefix=str(tmp_path), kernel_name="running")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT / "operator"), str(ROOT))))
    return "running"


def test_the_notebook_runs_and_tells_healthy_from_bad(kernel: str) -> None:
    notebook = read()
    client = NotebookClient(
        notebook, timeout=300, kernel_name=kernel, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.execute()
    *_, printed, minutes, runs, answers = [cell.outputs[0] for cell in notebook.cells if cell.cell_type == "code"]
    assert printed.text.startswith("sentiment: 10 %, 30 %, 60 %, at 50 requests a second")
    by_rate = ast.literal_eval(minutes.data["text/plain"])
    assert by_rate[250][0] < by_rate[10][0], "proof takes requests"
    assert "regression" in runs.data["text/plain"]
    assert ast.literal_eval(answers.data["text/plain"]) == {
        "rolled back, like stable": 0.0,
        "rolled back, half of all answers bad": 1.0,
    }


def test_the_notebook_is_kept_without_outputs() -> None:
    code = [cell for cell in read().cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
