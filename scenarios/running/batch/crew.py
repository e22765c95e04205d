"""Whoever runs cells: processes of this host, or of a cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from broker.servers.leash import leashed
from scenarios.results.folder import RunFolder
from scenarios.running.batch.cell import Cell


class Crew(Protocol):
    """Runs cells, each a simulation in a process of its own."""

    def start(self, cell: Cell, given: Path, run: RunFolder, log: Path) -> None:
        """Begin the run of a cell.

        Args:
            cell: Which.
            given: Its document.
            run: Its folder: not there yet, or that of a run of this document that has not come to its end.
            log: Takes what its process says.

        Raises:
            OSError: The log cannot be written.
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

    def start(self, cell: Cell, given: Path, run: RunFolder, log: Path) -> None:
        """Begin the run of a cell, or go on with it."""
        goes_on = run.root.exists()
        words = ("resume", str(run.root)) if goes_on else ("simulate", str(given), "--out", str(run.root))
        with log.open("ab" if goes_on else "wb") as said:
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
