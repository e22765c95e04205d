"""One cell of a study: a run of `foretell simulate`, with a name that stays. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass

Settings = tuple[tuple[str, str], ...]
"""Dotted paths with values as `--set` takes them (TOML on one line), in the order in which they apply."""


@dataclass(frozen=True, order=True)
class Group:
    """What cells have in common that differ in the seed alone.

    Attributes:
        task: Key of the task.
        variant: Key of the variant, empty where a study has one only.
        contender: Key of the algorithm, or of one of its settings, that is compared.
    """

    task: str
    variant: str
    contender: str

    @property
    def names(self) -> tuple[str, str, str]:
        """All three, as files have them and random streams of intervals are called."""
        return self.task, self.variant, self.contender


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        group: Task, variant and contender.
        seed: The run's seed.
        scenario: Catalogue name or path of the document it starts from.
        settings: What is changed in that document, algorithm and number of episodes included, the seed not.
    """

    group: Group
    seed: int
    scenario: str
    settings: Settings

    @property
    def id(self) -> str:
        """Names the cell's folder; readable, and the same as long as the study asks for the same cell."""
        parts = (*self.group.names, f"seed{self.seed}")
        return "--".join(_slug(part) for part in parts if part)

    @property
    def assignments(self) -> tuple[str, ...]:
        """The settings as `path=value`."""
        return tuple(f"{path}={value}" for path, value in self.settings)

    def arguments(self) -> tuple[str, ...]:
        """The words behind `foretell` that run this cell by hand."""
        settings = (word for assignment in self.assignments for word in ("--set", assignment))
        return ("simulate", self.scenario, "--seed", str(self.seed), *settings)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")
