"""Results of other settings, or computed otherwise, are none of a cell: which there are, and what has to go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from scenarios.document.scenario import PLACES, Scenario
from scenarios.document.text.short_names import by_path
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.folder import Folder


class CellDiffers(UserError):
    """What there is of a cell was not run as it would be run now.

    Args:
        cell: Which.
        why: What was otherwise, a clause of which the cell is the subject.
        folder: Where it is.

    Attributes:
        cell: As above.
        why: As above.
        places: What has to go before the cell is run.
    """

    def __init__(self, cell: Cell, why: str, folder: Folder) -> None:
        self.cell, self.why = cell, why
        self.places = [path for path in (folder.outcome(cell), folder.run(cell).root) if path.exists()]
        super().__init__(_sentence([self]))


class CellsDiffer(UserError):
    """Several cells were not run as they would be run now."""


class DifferingCells:
    """The cells of a folder whose results would be mixed with others, all of them told in one sentence.

    Attributes:
        found: Those so far.
    """

    def __init__(self) -> None:
        self.found: list[CellDiffers] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Look at a cell; what is to be told of it is told with the others."""
        try:
            yield
        except CellDiffers as refusal:
            self.found.append(refusal)

    def tell(self) -> None:
        """Say what was found.

        Raises:
            UserError: There is a cell that was run otherwise; says what has to go for all of them.
        """
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise CellsDiffer(_sentence(self.found))


def refuse_mixing(cell: Cell, arithmetic: int, found: Scenario | None, wanted: Scenario, folder: Folder) -> None:
    """Refuse what there is of a cell if it was run with other settings, or computed otherwise.

    Args:
        cell: Which.
        arithmetic: The version that computed it.
        found: The document that was played; None if it cannot be read.
        wanted: The one that is asked for.
        folder: Where it is.

    Raises:
        CellDiffers: It was; names the first difference.
    """
    if arithmetic != ARITHMETIC:
        computes = f"with arithmetic {arithmetic}, and this Foretell computes with {ARITHMETIC}"
        raise CellDiffers(cell, f"was run {computes}", folder)
    where = "its document cannot be read" if found is None else _first_difference(found, wanted)
    if where:
        raise CellDiffers(cell, f"was run with other settings before ({where})", folder)


def _sentence(differing: Sequence[CellDiffers]) -> str:
    """The first of them, how many others there are, and what has to go for all."""
    first, others = differing[0], len(differing) - 1
    more = f"{others} more {'cell' if others == 1 else 'cells'}"
    said = f"cell {first.cell.id} {first.why}" + (
        f", and {more} {'was' if others == 1 else 'were'} run otherwise, too" if others else ""
    )
    what = " and ".join(map(str, first.places))
    if others:
        parts = _emptied([path for refusal in differing for path in refusal.places])
        what = " and ".join(map(str, parts)) if parts else f"{what}, and the same of {more}"
    return f"{said}: results would be mixed. Choose another --out, or remove {what}."


def _emptied(gone: Sequence[Path]) -> list[Path]:
    """The folders that these places are in, if nothing else is in them."""
    parts = sorted({path.parent for path in gone})
    return parts if {path for part in parts for path in part.iterdir()} <= set(gone) else []


def _first_difference(found: Scenario, wanted: Scenario) -> str:
    """The first setting in which two documents differ, as `path: found, now wanted`; empty: in none but places."""
    one, two = by_path(found.model_dump(mode="json")), by_path(wanted.model_dump(mode="json"))
    apart = (path for path in [*two, *one] if path not in PLACES and one.get(path) != two.get(path))
    path = next(apart, None)
    return "" if path is None else f"{path}: {one.get(path)!r} then, {two.get(path)!r} now"
