"""What a study is: conditions to compare, the paper's claims about them, and how the figure is arranged.

Pure: no I/O, no clock. A study of a chapter of the paper is one page in `scenarios/studies/pages/`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from scenarios.running.batch.cell import Group, Settings
from scenarios.studies.claims import Claim

AS, VS, VPS, PS, NAC, ALONE = (
    "anticipation-sharing",
    "value-sharing",
    "value-parameter-sharing",
    "policy-sharing",
    "networked-actor-critic",
    "independent",
)
AS_TWO, AS_CALIBRATED = (f"{AS}-two-weights", f"{AS}-calibrated")
ALL_PULLS, NO_MEMORY, NOT_MEASURED = (f"{AS_CALIBRATED}-{part}" for part in ("all-pulls", "no-memory", "not-measured"))


@dataclass(frozen=True)
class Contender:
    """What is compared: an algorithm, as its scenario has it or in a setting of its own.

    Attributes:
        key: In ids, options and tuned settings; the algorithm's name where that is all.
        label: In figures and tables, the paper's abbreviation.
        algorithm: Its name in a document.
        settings: Put into the document, before a study's variant.
        about: What a reader has to know of it, a sentence, or nothing.
    """

    key: str
    label: str
    algorithm: str
    settings: Settings = ()
    about: str = ""


_OF_AS = "algorithm.anticipation_sharing"
RHO = f"{_OF_AS}.rho"
WEIGHTS = (RHO, f"{_OF_AS}.rho_own")
FIXED: Settings = ((f"{_OF_AS}.weights", '"fixed"'),)
_CALIBRATED: Settings = ((f"{_OF_AS}.weights", '"calibrated"'), (f"{_OF_AS}.rho", "3.0"))
CONTENDERS = {
    each.key: each
    for each in (
        Contender(AS, "AS", AS, FIXED, "AS weighs both penalties of Eq. 15 with one rho, as the paper does."),
        Contender(
            AS_TWO,
            "AS two weights",
            AS,
            FIXED,
            "AS two weights has a rho and a rho' of its own (ours), found by the search.",
        ),
        Contender(
            AS_CALIBRATED,
            "AS calibrated",
            AS,
            _CALIBRATED,
            "AS calibrated measures rho' as it learns (ours), with rho = 3 in all tasks; nothing of it is searched.",
        ),
        Contender(
            ALL_PULLS,
            "all pulls",
            AS,
            (*_CALIBRATED, (f"{_OF_AS}.calibration.standard_errors", "0.0")),
            "All pulls: AS calibrated that takes no standard errors off its slopes.",
        ),
        Contender(
            NO_MEMORY,
            "no memory",
            AS,
            (*_CALIBRATED, (f"{_OF_AS}.calibration.memory", "0.0")),
            "No memory: AS calibrated with slopes of the last episode alone.",
        ),
        Contender(
            NOT_MEASURED,
            "not measured",
            AS,
            (*_CALIBRATED, (f"{_OF_AS}.calibration.memory", "0.999999")),
            "Not measured: AS calibrated with slopes that stay where they begin, so that rho' is about 6 rho for all.",
        ),
        Contender(VS, "VS", VS),
        Contender(VPS, "VPS", VPS),
        Contender(PS, "PS", PS),
        Contender(NAC, "NAC", NAC),
        Contender(ALONE, "independent", ALONE),
    )
}
"""By key, in the house's order."""
SEARCHED = (AS, AS_TWO, VS, VPS, PS, NAC, ALONE)
"""Contenders with settings to search, each with the same budget."""
COMPARED = (AS, AS_CALIBRATED, VS, VPS, PS, NAC, ALONE)
"""Contenders that need no search: every figure has them, unless its page says otherwise."""
_COMPARED_AND_TWO = tuple(key for key in CONTENDERS if key in (*COMPARED, AS_TWO))


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
        place: Where it varies two: those numbers, along the map's horizontal and vertical axis.
    """

    key: str = ""
    label: str = ""
    settings: Settings = ()
    strength: float | None = None
    place: tuple[float, float] | None = None


@dataclass(frozen=True)
class StudyCondition:
    """A task in a variant, and the contenders that run there."""

    task: StudyTask
    variant: Variant
    contenders: tuple[str, ...]


@dataclass(frozen=True)
class Note:
    """What a reader has to know.

    Attributes:
        text: A line of Markdown.
        of: Keys of tasks or contenders, of which one has to be there for it to be said; empty: it is said always.
    """

    text: str
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """One study, at one size.

    Attributes:
        name: On the command line and in file names.
        title: Above figure and page.
        about: What is asked, a few sentences in Markdown.
        conditions: What is compared, in the order of the figure.
        claims: What the paper says about them, or what we ask.
        arrangement: finals: curves above normalized final returns. grid: tasks by variants. points: normalized final
            returns, a panel a task. strength: final return and heard share against the variants' strength. map:
            normalized final returns over the variants' places, a panel a task. own: as whoever asks draws it.
        seeds: Seeds of every group; some may have fewer.
        strength_label: Below the axis, where there is a strength.
        map_labels: At the horizontal and the vertical axis, where there are places.
        notes: What a reader has to know, of all that there may be; `said` is what is said of what there is.
        so_far: How much of it was done when it was written down, a sentence; empty where all was.
        quiet: Key of the variant in which independent learning ran for all variants, as what they change touches
            nothing of it; None where it has no such variant.
    """

    name: str
    title: str
    about: str
    conditions: tuple[StudyCondition, ...]
    claims: tuple[Claim, ...]
    arrangement: Literal["finals", "grid", "points", "strength", "map", "own"]
    seeds: tuple[int, ...]
    strength_label: str = ""
    map_labels: tuple[str, str] = ("", "")
    notes: tuple[Note, ...] = ()
    so_far: str = ""
    quiet: str | None = None

    @property
    def tasks(self) -> tuple[StudyTask, ...]:
        """Its tasks, each once."""
        return tuple(dict.fromkeys(condition.task for condition in self.conditions))

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Its variants, each once; settings may differ between tasks, keys and labels are what counts."""
        return tuple({condition.variant.key: condition.variant for condition in self.conditions}.values())

    @property
    def contenders(self) -> tuple[str, ...]:
        """Its contenders, in the house's order."""
        return tuple(key for key in CONTENDERS if any(key in each.contenders for each in self.conditions))

    @property
    def said(self) -> tuple[str, ...]:
        """The notes on what is compared here."""
        there = {*(task.key for task in self.tasks), *self.contenders}
        return tuple(note.text for note in self.notes if not note.of or there.intersection(note.of))

    def groups(self) -> Iterator[tuple[StudyCondition, Group]]:
        """Every group with its condition."""
        for condition in self.conditions:
            for contender in condition.contenders:
                yield condition, Group(condition.task.key, condition.variant.key, contender)

    def only(self, groups: Collection[Group], so_far: str) -> Study:
        """The study of these groups alone.

        Args:
            groups: Of this study, at least one.
            so_far: See `so_far`.
        """
        left: dict[StudyCondition, list[str]] = {}
        for condition, group in self.groups():
            if group in groups:
                left.setdefault(condition, []).append(group.contender)
        conditions = tuple(replace(condition, contenders=tuple(who)) for condition, who in left.items())
        return replace(self, conditions=conditions, so_far=so_far)


@dataclass(frozen=True)
class Choice:
    """What the user asked for.

    Attributes:
        quick: The quick scenarios instead of the paper's.
        seeds: How many seeds, or None for the study's own number.
        algorithms: Keys of these contenders only; empty for all.
        tasks: Keys of these only; empty for all.
        settings: Put into every document, last.
        tuned: Settings by task or kind of environment, and contender, from a search.
        tuned_from: The file they are from, as the user called it.
    """

    quick: bool
    seeds: int | None = None
    algorithms: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    settings: Settings = ()
    tuned: Mapping[tuple[str, str], Settings] | None = None
    tuned_from: str = ""

    @property
    def compared(self) -> tuple[str, ...]:
        """Who is in a figure: with what a search found, AS with two weights too."""
        return COMPARED if self.tuned is None else _COMPARED_AND_TWO

    def first_seeds(self, quick: int, full: int) -> tuple[int, ...]:
        """Seeds from 1: as many as asked for, or as the study has at this size."""
        count = self.seeds if self.seeds is not None else quick if self.quick else full
        return tuple(range(1, count + 1))
