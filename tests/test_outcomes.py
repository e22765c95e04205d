"""Committed figures are written anew from their numbers: `tools/outcomes.py`, and the command on the page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "results" / "fig5"


def restored(folder, *words):
    shutil.copytree(FOLDER, folder)
    tool = [sys.executable, ROOT / "tools" / "outcomes.py", folder, *words]
    return subprocess.run(tool, check=True, capture_output=True, text=True).stdout


@pytest.mark.processes
@pytest.mark.long
def test_page_picture_and_numbers_of_a_study_follow_from_its_committed_numbers(tmp_path):
    folder = tmp_path / "fig5"
    assert restored(folder).startswith("42 of 42 runs; now: foretell study fig5 --quick --out")
    for name in ("fig5.md", "fig5.json", "fig5.png"):
        (folder / name).unlink()
    again = [sys.executable, "-m", "scenarios.commands.main", "study", "fig5", "--quick", "--out", folder]
    subprocess.run(again, check=True, capture_output=True)
    assert (folder / "fig5.png").exists()
    found, committed = (json.loads((where / "fig5.json").read_text()) for where in (folder, FOLDER))
    assert found | {"versions": {}} == committed | {"versions": {}}
    lines, kept = ((where / "fig5.md").read_text().splitlines() for where in (folder, FOLDER))
    assert [each for each in lines if "Versions" not in each] == [each for each in kept if "Versions" not in each]
    assert not list((folder / "runs").iterdir())


@pytest.mark.processes
def test_runs_with_a_word_in_their_name_are_left_to_be_played_again(tmp_path):
    folder = tmp_path / "fig5"
    assert restored(folder, "--without", "calibrated").startswith("36 of 42 runs")
    assert not list((folder / "outcomes").glob("*calibrated*"))
