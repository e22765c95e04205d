"""Where a page is told: a folder with the programs that a reader has, and bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from limits import LIMIT_S
from pages.door import Door
from pages.page import ROOT

_SSH = """#!/bin/sh
# Every host is this one, with a home folder of its own; network namespaces with SSH servers: tests/scenarios/hosts.
while :; do case "$1" in -T | --) shift ;; -o) shift 2 ;; *) break ;; esac; done
name="${{1#*@}}"
HOME="{folder}/there/${{name%.local}}" && shift
mkdir -p "$HOME/foretell/bin"
for program in foretell python python3; do ln -sf "{folder}/.bin/foretell" "$HOME/foretell/bin/$program"; done
cd "$HOME" && export HOME PATH="$HOME/foretell/bin:$PATH" && exec sh -c "$*"
"""
_SCP = """#!/bin/sh
for to; do :; done
name="${{to#*@}}"
name="${{name%%:*}}"
mkdir -p "{folder}/there/${{name%.local}}"
[ "$1" != -r ] || shift
while [ $# -gt 1 ]; do cp -r "$1" "{folder}/there/${{name%.local}}/${{to#*:}}" && shift; done
"""
_PIP = '#!/bin/sh\nexec {python} -m pip "$@"\n'
_FORKED = ("foretell", "python", "pytest")
_NOT_A_READERS = "-p no:cacheprovider -p no:hypothesispytest -p no:xdist -p no:xdist.looponfail -p no:anyio"
"""Plugins of these tests that a reader's pytest has not."""


@dataclass(frozen=True)
class Desk:
    """A reader's folder.

    Attributes:
        folder: Where lines are executed; `.bin` in it has the programs.
        site: For packages that the page installs.
    """

    folder: Path
    site: Path

    def furnish(self, door: Door, files: dict[str, str]) -> None:
        """Put there what a reader has: programs, and files of the repository, by their names here."""
        programs = self.folder / ".bin"
        programs.mkdir(parents=True)
        for name in _FORKED:
            (programs / name).symlink_to(door.program)
        for name, text in {"ssh": _SSH, "scp": _SCP, "pip": _PIP}.items():
            (programs / name).write_text(text.format(folder=self.folder, python=sys.executable))
            (programs / name).chmod(0o755)
        for name, source in files.items():
            _copy(ROOT / source, self.folder / name)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Execute a line of a shell to its end; what goes on behind & holds nobody up."""
        output, errors = self.folder / ".bin" / "output", self.folder / ".bin" / "errors"
        with output.open("w") as out, errors.open("w") as err:
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                timeout=LIMIT_S,
                check=False,
            )
        return subprocess.CompletedProcess(line, done.returncode, output.read_text(), errors.read_text())

    def start(self, line: str, said: Path) -> subprocess.Popen[bytes]:
        """Begin a command that goes on; what it says goes to a file."""
        with said.open("w") as out:
            words = ["bash", "-c", f"exec {line}"]
            return subprocess.Popen(words, cwd=self.folder, env=self._environment(), stdout=out, stderr=out)

    def _environment(self) -> dict[str, str]:
        programs = self.folder / ".bin"
        return os.environ | {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "SITE": str(self.site),
            "PYTHONPATH": str(self.site),
            "FORETELL_DOOR": str(programs / "foretell"),
            "PYTEST_ADDOPTS": _NOT_A_READERS,
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "COLUMNS": "120",
        }


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, place, dirs_exist_ok=True)
    else:
        shutil.copy(source, place)
