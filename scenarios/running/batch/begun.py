"""What there is of a cell's run before it is run."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

from broker.errors import StoreDamaged, UserError
from broker.text_files import read_text
from scenarios.document.loading import MOST_BYTES, parse_scenario
from scenarios.document.scenario import Scenario
from scenarios.results.document import read_document
from scenarios.results.folder import RunFolder, is_held
from scenarios.results.going_on import is_complete
from scenarios.results.reader import read_store
from scenarios.results.run_result import read_summary
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.differing import refuse_mixing
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.keeping import given_document

_IS_NONE = (errno.ENOENT, errno.EINVAL)
"""No file, or one that is no text."""


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
        CellDiffers: Episodes were played of other settings or with another arithmetic.
        UserError: They were by another version of Foretell, it cannot be read now, or somebody works on it.
    """
    run = folder.run(cell)
    if not run.store.exists():
        return Begun.NOTHING
    if is_held(run):
        msg = f"another process works on {run.root}: wait for it, or choose another --out"
        raise UserError(msg)
    try:
        with _told(cell), read_store(run.store) as store:
            played = store.begun()
            newest = None if played is None else store.newest_episode()
    except StoreDamaged:
        return Begun.NOTHING
    if played is None or newest is None:
        return Begun.NOTHING
    found = given_document(folder, cell).model_copy(update={"episodes": played.episodes})
    refuse_mixing(cell, played.arithmetic, found, wanted, folder)
    with _told(cell):
        own = _own_document(run)
    if own is None:
        return Begun.NOTHING
    if read_summary(run) is None:
        return Begun.NOTHING if wanted.faults else Begun.PART
    return Begun.WHOLE if is_complete(run, own) else Begun.PART


def _own_document(run: RunFolder) -> Scenario | None:
    """The document in a run's folder; None if there is none.

    Raises:
        UserError: It cannot be read now, which says nothing of what it is, or is another one.
    """
    try:
        parse_scenario(read_text(run.scenario, MOST_BYTES), {})
    except OSError as error:
        if error.errno in _IS_NONE:
            return None
    except UserError:
        return None
    return read_document(run)


@contextmanager
def _told(cell: Cell) -> Iterator[None]:
    """Let errors say which cell they are of."""
    try:
        yield
    except StoreDamaged:
        raise
    except UserError as error:
        msg = f"cell {cell.id}: {error}"
        raise UserError(msg) from None
