"""Sweeps and made-up outcomes of their runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from scenarios.reports.references import references
from scenarios.results.run_result import EdgeTraffic
from scenarios.running.batch.cell import Cell, Group
from scenarios.running.batch.outcome import RunOutcome
from scenarios.running.batch.runner import resolved
from scenarios.studies.findings import StudyFindings
from scenarios.studies.tables import Made
from scenarios.sweeps.page import SweepReport
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


def report(sweep: Sweep, found: StudyFindings) -> SweepReport:
    """All of a page, but for the bill."""
    return SweepReport(sweep, found, (), Made("foretell sweep mine.toml", {"x": "1"}))
