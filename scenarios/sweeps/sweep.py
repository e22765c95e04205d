"""What a sweep is: a study of the user's own, and the document that asks for it. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scenarios.running.batch.cell import Cell, Group
from scenarios.studies.study import Study, StudyTask
from scenarios.sweeps.combining import Change
from scenarios.sweeps.document import SweepDocument


@dataclass(frozen=True)
class Sweep:
    """A sweep, as a study of the user's own.

    Attributes:
        file: Its document.
        text: What stands in it.
        document: The same, read.
        study: What is compared; its tasks are the scenarios, as the document names them.
        changes: By which variants come about; their keys tell them apart.
        cells: Every run: first seed of all groups, second seed of all groups, and so on.
        labels: What each group is called beside others of its scenario.
        baselines: By key of the scenario, what its groups are compared with; none where it has not the line that was
            named.
    """

    file: Path
    text: str
    document: SweepDocument
    study: Study
    changes: tuple[Change, ...]
    cells: tuple[Cell, ...]
    labels: Mapping[Group, str]
    baselines: Mapping[str, Group]

    @property
    def told(self) -> tuple[Cell, ...]:
        """The cells as one runs them by hand beside the document, whose paths are relative."""
        names = {task.key: task.scenario for task in self.study.tasks}
        return tuple(replace(cell, scenario=names[cell.group.task]) for cell in self.cells)

    def baseline(self, task: StudyTask) -> Group | None:
        """What the groups of a scenario are compared with; None where it has none, or nothing of it is done."""
        found = self.baselines.get(task.key)
        return found if found in self.labels else None

    def only(self, study: Study, done: Sequence[Cell]) -> Sweep:
        """What of it is done.

        Args:
            study: Its study without the groups of which nothing is.
            done: The cells that are.
        """
        labels = {group: self.labels[group] for _, group in study.groups()}
        return replace(self, study=study, cells=tuple(done), labels=labels)
