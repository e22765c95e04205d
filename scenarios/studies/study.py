"""What a study is: conditions to compare, the paper's claims about them, and how the figure is arranged.

Pure: no I/O, no clock. A study of a chapter of the paper is one page in `scenarios/studies/pages/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from scenarios.running.batch.cell import Group, Settings
from scenarios.studies.claims import Claim

AS, VS, VPS, PS, ALONE = (
    "anticipation-sharing",
    "value-sharing",
    "value-parameter-sharing",
    "policy-sharing",
    "independent",
)
ALGORITHMS = (AS, VS, VPS, PS, ALONE)
SHORT = {AS: "AS", VS: "VS", VPS: "VPS", PS: "PS", ALONE: "independent"}


@dataclass(frozen=True)
class StudyTask:
    """One task of a study.

    Attributes:
        key: In ids and options.
        label: In figures and tables, the paper's abbreviation.
        scenario: Catalogue name at full size.
        quick: Catalogue name of the quick one.
    """

    key: str
    label: str
    scenario: str
    quick: str


@dataclass(frozen=True)
class Variant:
    """One way in which a task is changed; the plain task is the variant without key.

    Attributes:
        key: In ids.
        label: In figures and tables.
        settings: Put into the document.
        strength: Where the study varies one number: that number.
    """

    key: str = ""
    label: str = ""
    settings: Settings = ()
    strength: float | None = None


@dataclass(frozen=True)
class StudyCondition:
    """A task in a variant, and the algorithms that run there."""

    task: StudyTask
    variant: Variant
    algorithms: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """One study, at one size.

    Attributes:
        name: On the command line and in file names.
        title: Above figure and page.
        about: What is asked, a few sentences in Markdown.
        conditions: What is compared, in the order of the figure.
        claims: What the paper says about them, or what we ask.
        arrangement: finals: curves above normalized final returns. grid: tasks by variants. overlay: variants are lines
            in one panel a task. strength: final return and heard share against the variants' strength.
        seeds: Seeds of every group.
        strength_label: Below the axis, where there is a strength.
        notes: What a reader has to know, a line each.
    """

    name: str
    title: str
    about: str
    conditions: tuple[StudyCondition, ...]
    claims: tuple[Claim, ...]
    arrangement: Literal["finals", "grid", "overlay", "strength"]
    seeds: tuple[int, ...]
    strength_label: str = ""
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[StudyTask, ...]:
        """Its tasks, each once."""
        return tuple(dict.fromkeys(condition.task for condition in self.conditions))

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Its variants, each once; settings may differ between tasks, keys and labels are what counts."""
        return tuple({condition.variant.key: condition.variant for condition in self.conditions}.values())

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Its algorithms, in the house's order."""
        return tuple(name for name in ALGORITHMS if any(name in each.algorithms for each in self.conditions))

    def groups(self) -> Iterator[tuple[StudyCondition, Group]]:
        """Every group with its condition."""
        for condition in self.conditions:
            for algorithm in condition.algorithms:
                yield condition, Group(condition.task.key, condition.variant.key, algorithm)


@dataclass(frozen=True)
class Choice:
    """What the user asked for.

    Attributes:
        quick: The quick scenarios instead of the paper's.
        seeds: How many seeds, or None for the study's own number.
        algorithms: These only; empty for all.
        tasks: Keys of these only; empty for all.
        settings: Put into every document, last.
        tuned: Settings by kind of environment and algorithm, from a search.
        tuned_from: The file they are from, as the user called it.
    """

    quick: bool
    seeds: int | None = None
    algorithms: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    settings: Settings = ()
    tuned: Mapping[tuple[str, str], Settings] | None = None
    tuned_from: str = ""

    def first_seeds(self, quick: int, full: int) -> tuple[int, ...]:
        """Seeds from 1: as many as asked for, or as the study has at this size."""
        count = self.seeds if self.seeds is not None else quick if self.quick else full
        return tuple(range(1, count + 1))
