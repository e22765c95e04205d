"""Which cells are done, and what is kept of their runs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.text_files import read_text
from scenarios.document.loading import MOST_BYTES, parse_scenario
from scenarios.document.scenario import Scenario
from scenarios.results.reader import require_version
from scenarios.results.run_result import read_summary
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.folder import Folder


class Keeping(Protocol):
    """What becomes of runs that came to their end."""

    def is_done(self, cell: Cell, wanted: Scenario) -> bool:
        """Whether a cell need not be run.

        Args:
            cell: Which.
            wanted: Its document.

        Raises:
            UserError: What there is of it is of other settings, another version of Foretell or another arithmetic.
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
        UserError: It is of other settings, another version of Foretell or another arithmetic.
    """
    run = folder.run(cell)
    summary = read_summary(run)
    if summary is None:
        return False
    require_version(run.store)
    found, given = _read(run.scenario), _read(folder.document(cell))
    if given is not None and found is not None:  # a run's own document says ids for names, and where its policy lies
        found = given.model_copy(update={"episodes": found.episodes})
    refuse_mixing(cell, summary.arithmetic, found, wanted, run.root)
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


def refuse_mixing(cell: Cell, arithmetic: int, found: Scenario | None, wanted: Scenario, place: Path) -> None:
    """Results of other settings, or computed otherwise, are no results of this cell.

    Args:
        cell: Which.
        arithmetic: The version that computed them.
        found: The document that was played; None if it cannot be read.
        wanted: The one that is asked for.
        place: Where they are.

    Raises:
        UserError: They are; names the first difference.
    """
    then = f"results would be mixed. Choose another --out, or remove {place}."
    if arithmetic != ARITHMETIC:
        computes = f"with arithmetic {arithmetic}, and this Foretell computes with {ARITHMETIC}"
        msg = f"cell {cell.id} was run {computes}: {then}"
        raise UserError(msg)
    if found != wanted:
        where = "its document cannot be read" if found is None else _first_difference(found, wanted)
        msg = f"cell {cell.id} was run with other settings before ({where}): {then}"
        raise UserError(msg)


def _read(path: Path) -> Scenario | None:
    try:
        return parse_scenario(read_text(path, MOST_BYTES), {})
    except (OSError, UserError):
        return None


def _first_difference(found: Scenario, wanted: Scenario) -> str:
    """The first setting in which two documents differ, as `path: found, now wanted`."""
    one, two = _flat(found.model_dump(mode="json")), _flat(wanted.model_dump(mode="json"))
    path = next(path for path in [*two, *one] if one.get(path) != two.get(path))
    return f"{path}: {one.get(path)!r} then, {two.get(path)!r} now"


def _flat(value: object, path: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {path: value}
    return {
        key: leaf for name, inner in value.items() for key, leaf in _flat(inner, f"{path}.{name}".strip(".")).items()
    }
