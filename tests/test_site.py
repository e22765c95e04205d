"""The documentation as a site: it is built without a warning, asks nobody for anything, and its first run runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from runs import foretell, summary

DOCS = Path(__file__).parent.parent / "docs"
pytestmark = pytest.mark.processes


def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    line = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert {page.stem for page in DOCS.rglob("*.md")} <= {page.stem for page in pages}
    for page in pages:
        loaded = re.findall(r"<(?:link|script|img)[^>]*(?:href|src)=\"([^\"]+)\"", page.read_text(encoding="utf-8"))
        assert not [each for each in loaded if each.startswith(("http:", "https:", "//"))], page


def test_the_commands_of_the_first_run_do_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "first-run.md").read_text(encoding="utf-8").replace("--episodes 40", "--episodes 4")
    blocks = re.findall(
        r"^```console\n(.*?)^```", page.replace("at_episodes=[20]", "at_episodes=[2]"), re.MULTILINE | re.DOTALL
    )
    lines = [line.removeprefix("$ foretell ") for block in blocks for line in block.splitlines()]
    assert len(lines) == 9
    said = {line: foretell(*shlex.split(line)) for line in lines}
    assert {line: done.stderr for line, done in said.items() if done.returncode} == {}
    first, simulated, lossy, killed = (
        summary(Path("runs") / name) for name in ("first", "simulated", "lossy", "killed")
    )
    assert first["curve_digest"] == simulated["curve_digest"] == killed["curve_digest"] != lossy["curve_digest"]
    assert first["weights_digest"] == simulated["weights_digest"]
    assert lossy["faults_applied"] > 0
