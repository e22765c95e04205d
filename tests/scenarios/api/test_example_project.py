"""The example project of the docs: installed as a user does, its tests pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from limits import LIMIT_S

PROJECT = Path(__file__).parents[3] / "docs" / "examples" / "relay"
pytestmark = [pytest.mark.processes, pytest.mark.long]


def test_the_example_notebook_runs_from_its_first_cell_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    book = nbformat.read(PROJECT.parent / "losses.ipynb", as_version=4)
    for cell in book.cells:
        cell.source = cell.source.replace("EPISODES = 60", "EPISODES = 4")
    nbclient.NotebookClient(book, timeout=LIMIT_S, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in book.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", ()) for output in shown)
    assert any("curve digest" in output.get("data", {}).get("text/html", "") for output in shown)
