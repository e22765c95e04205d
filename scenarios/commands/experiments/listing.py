"""Which runs a study or sweep asks for, and how far they are."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from broker.counting import counted
from scenarios.commands.screen import say
from scenarios.document.scenario import Scenario
from scenarios.results.proof.mismatches import mismatches_kept
from scenarios.running.batch.begun import Begun, begun
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.differing import DifferingCells
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.outcomes import Outcomes
from scenarios.running.batch.runner import recorded

_OTHERWISE = "differs"


def list_cells(
    folder: Folder, cells: Sequence[Cell], documents: Sequence[Scenario], *, told: Sequence[Cell] | None = None
) -> None:
    """Say of each whether it is done, begun, to run or failed, or was run otherwise; nothing is made.

    A whole run whose outcome was not kept is done if its faults were those asked for, and failed if they were not.

    Args:
        folder: Where their runs are, if any are.
        cells: All of them.
        documents: Theirs.
        told: The cells as people are told of them, if that is not as they are.

    Raises:
        UserError: Some were run with other settings; what removes each has been said.
    """
    differing = DifferingCells()
    states = [_state(folder, cell, wanted, differing) for cell, wanted in zip(cells, documents, strict=True)]
    episodes = sum(
        wanted.episodes - (recorded(folder, cell) if state == "begun" else 0)
        for cell, wanted, state in zip(cells, documents, states, strict=True)
        if state in ("begun", "to run")
    )
    to_go = {refusal.cell.id: refusal.places for refusal in differing.found}
    for cell, state in zip(cells if told is None else told, states, strict=True):
        words = ("rm", "-r", *map(str, to_go[cell.id])) if cell.id in to_go else ("foretell", *cell.arguments())
        say(f"{state:7} {cell.id}   {shlex.join(words)}")
    done, part, failed, otherwise = (states.count(state) for state in ("done", "begun", "failed", _OTHERWISE))
    left = f"{len(states) - done - failed - otherwise} to run with {counted(episodes, 'episode')}"
    of_them = f", {part} of them begun" if part else ""
    not_so = (f"{otherwise} run otherwise, " if otherwise else "") + (f"{failed} failed, " if failed else "")
    say(f"{counted(len(states), 'run')}: {done} done, {not_so}{left}{of_them}, in {folder.root}")
    differing.tell()


def _state(folder: Folder, cell: Cell, wanted: Scenario, differing: DifferingCells) -> str:
    """How far a cell is, in a word or two."""
    with differing.noted():
        return _how_far(folder, cell, wanted)
    return _OTHERWISE


def _how_far(folder: Folder, cell: Cell, wanted: Scenario) -> str:
    """The same of a cell that is run as its run was, if there is one.

    Raises:
        CellDiffers: It is not.
    """
    if Outcomes(folder).is_done(cell, wanted):
        return "done"
    match begun(folder, cell, wanted):
        case Begun.WHOLE:
            return "failed" if mismatches_kept(folder.run(cell)) else "done"
        case Begun.PART:
            return "begun"
        case Begun.NOTHING:
            return "to run"
