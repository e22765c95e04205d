"""The commands of docs/replay.md do what the page says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from runs import TINY, foretell

PAGE = (Path(__file__).parents[3] / "docs" / "replay.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.processes


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcap")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ foretell ") for block in blocks for line in block.splitlines()]
    assert len(lines) == 9
    small = TINY  # as on the page, with fewer copies and smaller networks
    said = {line: foretell(*shlex.split(line), *(small if " --episodes " in line else ())) for line in lines}
    ended = {line: done.returncode for line, done in said.items() if done.returncode}
    assert ended == {"diff runs/seen runs/lossy": 4}, {line: done.stderr for line, done in said.items()}
    assert ", equal to the run's after episode 7" in said["replay runs/seen agent-2"].stdout
    assert "losses of the round: " in said["replay runs/seen agent-2 --until 4/1"].stdout
    assert said["diff runs/seen runs/same"].stdout.startswith("runs/seen and runs/same are the same: 8 episodes")
    (sentence,) = re.findall(r"^    (The share .*)$", PAGE, re.MULTILINE)
    assert said["diff runs/seen runs/lossy"].stdout.splitlines()[0] == sentence
    assert json.loads(Path("runs/seen/trace.json").read_text())["traceEvents"]
    assert Path("runs/seen/trace.mcap").stat().st_size > 1000
