"""Which runs a study or sweep asks for, and how far they are."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from broker.counting import counted
from scenarios.commands.screen import say
from scenarios.document.scenario import Scenario
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.keeping import can_go_on
from scenarios.running.batch.outcomes import Outcomes
from scenarios.running.batch.runner import recorded


def list_cells(
    folder: Folder, cells: Sequence[Cell], documents: Sequence[Scenario], *, told: Sequence[Cell] | None = None
) -> None:
    """Say of each whether it is done, begun or to run; nothing is made.

    Args:
        folder: Where their runs are, if any are.
        cells: All of them.
        documents: Theirs.
        told: The cells as people are told of them, if that is not as they are.

    Raises:
        UserError: One was run with other settings.
    """
    kept, states, episodes = Outcomes(folder), [], 0
    for cell, wanted in zip(cells, documents, strict=True):
        state = "done" if kept.is_done(cell, wanted) else "begun" if can_go_on(folder, cell, wanted) else "to run"
        states.append(state)
        episodes += 0 if state == "done" else wanted.episodes
        episodes -= recorded(folder, cell) if state == "begun" else 0
    for cell, state in zip(cells if told is None else told, states, strict=True):
        say(f"{state:7} {cell.id}   {shlex.join(('foretell', *cell.arguments()))}")
    done, begun = states.count("done"), states.count("begun")
    left = f"{len(states) - done} to run with {counted(episodes, 'episode')}"
    of_them = f", {begun} of them begun" if begun else ""
    say(f"{counted(len(states), 'run')}: {done} done, {left}{of_them}, in {folder.root}")
