"""What Ray runs on a node for one cell of a study: `foretell simulate` in a folder that is gone afterwards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from broker.arithmetic.version import ARITHMETIC
from broker.driving.process import WRONG
from broker.release import FORETELL
from broker.servers.leash import leashed
from scenarios.results.temporary import temporary_folder

_LOOK_EVERY_S = 0.2
_DOCUMENT, _RUN, _LOG = "scenario.toml", "run", "log"

Files = dict[str, bytes]
"""Contents by path in a folder."""


def play_cell(
    foretell: Sequence[str], version: tuple[str, int], given: Mapping[str, bytes]
) -> tuple[int, bytes, Files]:
    """Run a cell to its end.

    Args:
        foretell: The words that start the command line as a process, behind the interpreter.
        version: Of the launcher's Foretell and of its arithmetic.
        given: Its document as `scenario.toml`, and what that names by a relative path.

    Returns:
        The exit code, what the process said, and the run's folder.
    """
    if version != (FORETELL, ARITHMETIC):
        said = (
            f"expected Foretell {version[0]} with arithmetic {version[1]}, as the launcher has, found {FORETELL} with "
            f"arithmetic {ARITHMETIC}. Install one version for all\n"
        )
        return WRONG, said.encode(), {}
    with temporary_folder() as root:
        write_files(root, given)
        command = [sys.executable, *foretell, "simulate", str(root / _DOCUMENT), "--out", str(root / _RUN)]
        with (root / _LOG).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command line
                leashed(command, "inherit"), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            while process.poll() is None:  # whoever cancels this interrupts it between two looks
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_EVERY_S)
        finally:
            process.kill()
            process.wait()
        return process.returncode, (root / _LOG).read_bytes(), read_files(root / _RUN)


def read_files(root: Path) -> Files:
    """All that lies in a folder."""
    paths = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    """Write it to another folder.

    Raises:
        OSError: It cannot be written.
    """
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
