"""What is said where runs of a study or sweep failed, or were run otherwise before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from broker.counting import counted
from broker.errors import ForetellError
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.differing import CellsDiffer
from scenarios.running.batch.folder import Folder


@contextmanager
def told_so_far(folder: Folder, cells: Sequence[Cell]) -> Iterator[None]:
    """Where a run fails, say how the files of those that are done are written; where several differ, what lists them.

    Args:
        folder: Of the study or sweep.
        cells: All of it.

    Raises:
        ForetellError: A run failed, or was run otherwise.
    """
    try:
        yield
    except CellsDiffer as error:
        raise CellsDiffer(f"{error} `--list` says how each of them is removed") from None
    except ForetellError as error:
        done = sum(folder.outcome(cell).exists() for cell in cells)
        if type(error) is not ForetellError or not done:  # a mistake, or nothing to write
            raise
        what = f"{done} of {counted(len(cells), 'run')} are done: --so-far writes the files of these"
        raise ForetellError(f"{error}. {what}") from None
