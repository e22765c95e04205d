"""The completion that README tells a user to switch on works in bash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from limits import LIMIT_S

from scenarios.document.loading import catalogue_names

pytestmark = pytest.mark.processes

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
SCRIPT = """#!{python}
import sys
from scenarios.commands.main import main
sys.exit(main())
"""
ASK = """
COMP_WORDS=({words}); COMP_CWORD={last}
_foretell_completion foretell
echo "${{COMPREPLY[@]}}"
COMPREPLY=()
"""


@pytest.fixture
def offered(tmp_path: Path) -> list[list[str]]:
    """What bash offers for the words below, after the line of README."""
    script = tmp_path / "foretell"
    script.write_text(SCRIPT.format(python=sys.executable))
    script.chmod(0o755)
    (line,) = re.findall(r"^eval .*_FORETELL_COMPLETE.*$", README, flags=re.MULTILINE)
    asked = "".join(ASK.format(words=words, last=len(words.split()) - 1) for words in WORDS)
    done = subprocess.run(
        ["bash", "--norc", "-c", line + asked],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [answer.split() for answer in done.stdout.splitlines()]


WORDS = ("foretell si", "foretell study fig", "foretell simulate --se", "foretell run exchange", "foretell bench st")


def test_bash_completes_commands_arguments_options_and_scenarios(offered: list[list[str]]) -> None:
    commands, studies, options, scenarios, benchmarks = offered
    assert commands == ["simulate"]
    assert studies == ["fig1", "fig3", "fig4", "fig5"]
    assert options == ["--seed", "--set"]
    assert scenarios == [name for name in catalogue_names() if name.startswith("exchange")]
    assert benchmarks == ["startup"]
