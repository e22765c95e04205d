"""Whoever runs cells: processes of this host, or of a cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from broker.servers.leash import leashed
from scenarios.results.folder import RunFolder
from scenarios.running.batch.cell import Cell


class Crew(Protocol):
    """Runs cells, each a simulation in a process of its own."""

    def start(self, cell: Cell, given: Path, run: RunFolder, log: Path, *, goes_on: bool) -> None:
        """Begin the run of a cell.

        Args:
            cell: Which.
            given: Its document.
            run: Its folder.
            log: Takes what its process says, behind what is in it.
            goes_on: Whether the folder holds a run of this document that goes on. Such a run stays, if not whole, then
                as it was, whatever becomes of the process; any other is of no use, and may be removed.

        Raises:
            OSError: The log cannot be written, and nothing was removed, or what is of no use cannot be removed.
        """

    def reap(self) -> Mapping[Cell, int]:
        """The exit codes of those that have ended since the last look."""

    def end(self) -> None:
        """End what is under way at once."""


class LocalCrew:
    """Processes of this host; see `Crew`.

    Args:
        foretell: The words that start the command line as a process.
    """

    def __init__(self, foretell: Sequence[str]) -> None:
        self._foretell = foretell
        self._processes: dict[Cell, subprocess.Popen[bytes]] = {}

    def start(self, cell: Cell, given: Path, run: RunFolder, log: Path, *, goes_on: bool) -> None:
        """Begin the run of a cell, or go on with it."""
        words = ("resume", str(run.root)) if goes_on else ("simulate", str(given), "--out", str(run.root))
        with log.open("ab") as said:
            if not goes_on and run.root.exists():
                shutil.rmtree(run.root)
            # A session of its own: Ctrl-C in the terminal reaches the study, which ends its processes itself.
            self._processes[cell] = subprocess.Popen(  # noqa: S603 - our own command line
                leashed([*self._foretell, *words], "inherit"),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def reap(self) -> dict[Cell, int]:
        """The exit codes of those that have ended."""
        codes = {cell: process.poll() for cell, process in self._processes.items()}
        found = {cell: code for cell, code in codes.items() if code is not None}
        for cell in found:
            del self._processes[cell]
        return found

    def end(self) -> None:
        """Kill them: their runs go on from their last checkpoints."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
        self._processes.clear()
