"""Which cells are done, and what is kept of their runs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from broker.errors import UserError
from broker.files import write_whole
from broker.text_files import read_text
from scenarios.document.loading import MOST_BYTES, parse_scenario
from scenarios.document.scenario import Scenario
from scenarios.results.reader import require_version
from scenarios.results.run_result import read_summary
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.differing import refuse_mixing
from scenarios.running.batch.folder import Folder


class Keeping(Protocol):
    """What becomes of runs that came to their end."""

    def is_done(self, cell: Cell, wanted: Scenario) -> bool:
        """Whether a cell need not be run.

        Args:
            cell: Which.
            wanted: Its document.

        Raises:
            CellDiffers: What there is of it is of other settings or another arithmetic.
            UserError: It is of another version of Foretell, or cannot be read.
        """

    def keep(self, cell: Cell) -> None:
        """Called when the run of a cell has come to its end.

        Raises:
            UserError: What is to be kept cannot be written, or what is not cannot be removed.
        """

    def tidy(self, cell: Cell) -> None:
        """Called before anything is run, of a cell that is done.

        Raises:
            UserError: What is not to be kept of it cannot be removed.
        """


def is_whole(folder: Folder, cell: Cell, wanted: Scenario) -> bool:
    """Whether there is a run of a cell that came to its end.

    Args:
        folder: Of the study, sweep or twin.
        cell: Which.
        wanted: Its document.

    Raises:
        CellDiffers: It is of other settings or another arithmetic.
        UserError: It is of another version of Foretell.
    """
    run = folder.run(cell)
    summary = read_summary(run)
    if summary is None:
        return False
    require_version(run.store)
    found, given = _read(run.scenario), _read(folder.document(cell))
    if given is not None and found is not None:  # a run's own document says ids for names, and where its policy lies
        found = given.model_copy(update={"episodes": found.episodes})
    refuse_mixing(cell, summary.arithmetic, found, wanted, folder)
    return True


def given_document(folder: Folder, cell: Cell) -> Scenario:
    """What the process of a cell was given, or, where that is gone, what its run says.

    Raises:
        UserError: It cannot be read.
    """
    path = folder.document(cell)
    found = _read(path) or _read(folder.run(cell).scenario)
    if found is None:
        msg = f"cannot read {path}, the document of cell {cell.id}: expected what was written before it was run"
        raise UserError(msg)
    return found


def place_here(folder: Folder, cell: Cell, wanted: Scenario) -> None:
    """Let the documents of a cell name files where they lie now: the folder may have been begun elsewhere.

    Args:
        folder: Of the study, sweep or twin.
        cell: Of which there is something that counts.
        wanted: Its document, with the places of today.

    Raises:
        UserError: A document cannot be written.
    """
    for path in (folder.document(cell), folder.run(cell).scenario):
        found = _read(path)
        here = None if found is None else found.placed_as(wanted)
        if here is None or here == found:
            continue
        try:
            write_whole(path, here.to_toml().encode())
        except OSError as error:
            msg = f"cannot write {path}, which names files where they are no more: {error.strerror}"
            raise UserError(msg) from None


def _read(path: Path) -> Scenario | None:
    try:
        return parse_scenario(read_text(path, MOST_BYTES), {})
    except (OSError, UserError):
        return None
