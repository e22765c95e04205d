"""What there is of a cell's run before it is run."""

from __future__ import annotations

from enum import Enum, auto

from broker.errors import UserError
from scenarios.document.scenario import Scenario
from scenarios.results.document import read_document
from scenarios.results.folder import is_held
from scenarios.results.going_on import is_complete
from scenarios.results.reader import read_store, require_version
from scenarios.results.run_result import read_summary
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.keeping import given_document, refuse_mixing


class Begun(Enum):
    """What there is of a run."""

    NOTHING = auto()
    """Nothing to go on with: it is begun anew."""
    PART = auto()
    """It goes on to the same end."""
    WHOLE = auto()
    """All of it: no process is needed, only the proof that its faults were those asked for."""


def begun(folder: Folder, cell: Cell, wanted: Scenario) -> Begun:
    """What there is of a cell's run.

    With faults one that is not at its end does not go on: some of them look at the clock, or at messages from before.

    Args:
        folder: Of the study, sweep or twin.
        cell: Which.
        wanted: Its document.

    Raises:
        UserError: Episodes were played of other settings or with another arithmetic, or somebody works on it.
    """
    run = folder.run(cell)
    if not run.store.exists():
        return Begun.NOTHING
    if is_held(run):
        msg = f"another process works on {run.root}: wait for it, or choose another --out"
        raise UserError(msg)
    is_at_end = read_summary(run) is not None
    if is_at_end:
        require_version(run.store)
    try:
        with read_store(run.store) as store:
            played, newest = store.begun(), store.newest_episode()
    except UserError:  # of another version, or damaged
        return Begun.NOTHING
    if played is None or newest is None:
        return Begun.NOTHING
    found = given_document(folder, cell).model_copy(update={"episodes": played.episodes})
    refuse_mixing(cell, played.arithmetic, found, wanted, run.root)
    if not is_at_end:
        return Begun.NOTHING if wanted.faults else Begun.PART
    try:
        return Begun.WHOLE if is_complete(run, read_document(run)) else Begun.PART
    except UserError:  # its document is not the one it was begun with
        return Begun.NOTHING
