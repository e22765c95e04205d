"""The example project of the docs: installed as a user does, its tests pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from limits import LIMIT_S

PROJECT = Path(__file__).parents[3] / "docs" / "examples" / "relay"
CELL = """\
from scenarios.api import {way}
kept = {way}("exchange-quick", {{"parallel_episodes": 2, "learning.hidden": [5]}}, episodes=3, out="run")
"""
pytestmark = [pytest.mark.processes, pytest.mark.long]


def outputs_of(book: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the cells of a notebook show."""
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("IPYTHONDIR", str(folder))
    nbclient.NotebookClient(book, timeout=LIMIT_S, resources={"metadata": {"path": str(folder)}}).execute()
    return [output for cell in book.cells for output in cell.get("outputs", ())]


@pytest.mark.parametrize("way", ["simulate", "run"])
def test_a_cell_shows_as_text_how_far_a_run_is_and_nothing_of_widgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    nbformat = pytest.importorskip("nbformat")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.format(way=way))])
    (shown,) = outputs_of(book, tmp_path, monkeypatch)
    assert re.fullmatch(r"3/3 ━+ team -?\d+\.\d\d 0:00:00", shown["data"]["text/plain"])


def test_the_example_notebook_runs_from_its_first_cell_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat")
    book = nbformat.read(PROJECT.parent / "losses.ipynb", as_version=4)
    for cell in book.cells:
        cell.source = cell.source.replace("EPISODES = 60", "EPISODES = 4")
    shown = outputs_of(book, tmp_path, monkeypatch)
    assert any("image/png" in output.get("data", ()) for output in shown)
    assert any("curve digest" in output.get("data", {}).get("text/html", "") for output in shown)
