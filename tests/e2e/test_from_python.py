"""Scenarios built and run from Python; the example notebook reads what they left, as it stands."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest

from testbed import analysis, experiment
from testbed.cli.machine.checkout import ROOT
from tests.scenarios import small_document

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

_NOTEBOOK = ROOT / "docs" / "examples" / "analysis.ipynb"


def test_runs_from_python_are_read_by_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = experiment.build(**small_document())
    folders = [
        experiment.run(experiment.changed(scenario, {"policy": name}), tmp_path) for name in ("closest", "dyncast")
    ]
    assert [analysis.load(folder).policy for folder in folders] == ["closest", "dyncast"]

    notebook = nbformat.read(_NOTEBOOK, as_version=4)
    monkeypatch.setenv("DYNCAST_RESULTS", str(folders[0].parent))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    where = {"metadata": {"path": str(_NOTEBOOK.parent)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
    shown = [
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    assert all(folder.name in shown[0] for folder in folders)
    assert "completion_mean_ms" in "".join(shown)
    assert shown[-1] == "(60.0, 'least_loaded')"


def test_the_notebook_is_kept_without_output() -> None:
    cells = nbformat.read(_NOTEBOOK, as_version=4).cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")
