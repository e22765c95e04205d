"""Sweeps and made-up outcomes of their runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np

from broker.arithmetic.version import ARITHMETIC
from scenarios.reports.made import Made
from scenarios.reports.references import references
from scenarios.results.run_result import EdgeTraffic
from scenarios.running.batch.cell import Cell, Group
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.outcome import RunOutcome
from scenarios.running.batch.outcomes import KeptRun
from scenarios.running.batch.runner import resolved
from scenarios.studies.findings import StudyFindings
from scenarios.sweeps.numbers import numbers
from scenarios.sweeps.page import page
from scenarios.sweeps.reading import sweep_of
from scenarios.sweeps.sweep import Sweep

ONE = 'scenarios = ["exchange-quick"]\nseeds = [1]\n'
SMALL = "parallel_episodes = 2\nlearning.hidden = [8]\nenvironment.steps = 5\n"


def made(text: str, file: str = "mine.toml") -> Sweep:
    """The sweep of a text."""
    return sweep_of(Path(file), text)


def documents(sweep: Sweep) -> list[dict[str, object]]:
    """What every run is given."""
    return [resolved(cell).model_dump() for cell in sweep.cells]


def findings(sweep: Sweep, final: Callable[[Cell], float]) -> StudyFindings:
    """A sweep whose runs end with the given returns."""
    outcomes: dict[Group, list[RunOutcome]] = {}
    for cell in sweep.cells:
        traffic = EdgeTraffic(6, 50, 100, 100_000, 80, 20, 5)
        played, curve = np.linspace(1, 1000, 20), np.linspace(0, final(cell), 20)
        run = RunOutcome(cell, 0.0, final(cell), played, curve, 1000, traffic, "c", "w")
        outcomes.setdefault(cell.group, []).append(run)
    scales = {cell.group.task: references(resolved(cell).environment) for cell in sweep.cells}
    known = {task: scale for task, scale in scales.items() if scale is not None}
    return StudyFindings(sweep.study, {group: tuple(runs) for group, runs in outcomes.items()}, known)


_MADE = Made("foretell sweep mine.toml", {"x": "1"})


def page_of(sweep: Sweep, found: StudyFindings) -> str:
    """All of a page, but for the bill."""
    return page(sweep, found, (), _MADE)


def numbers_of(sweep: Sweep, found: StudyFindings) -> str:
    """All numbers, but for the bill's."""
    return numbers(sweep, found, (), _MADE)


def keep(folder: Folder, cells: Iterable[Cell], final: Callable[[Cell], float]) -> None:
    """What a sweep's folder holds of cells that are done, as if runs of theirs had ended with the given returns."""
    traffic = {"edges": 6, "rounds": 50, "sent": 100, "sent_bytes": 100_000, "heard": 80, "missing": 20, "late": 5}
    for cell in cells:
        for path in (folder.document(cell), folder.outcome(cell)):
            path.parent.mkdir(parents=True, exist_ok=True)
        wanted, last = resolved(cell), final(cell)
        folder.document(cell).write_text(wanted.to_toml(), encoding="utf-8")
        kept = KeptRun(
            *(1, "0", ARITHMETIC, wanted.episodes, 1.0, "2026-01-01T00:00:00+00:00"),
            *(0.0, last, [1.0, 2.0], [0.0, last], 1000, traffic, "c", "w"),
        )
        folder.outcome(cell).write_bytes(msgspec.json.encode(kept))
