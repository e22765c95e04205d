"""`foretell twin`: a scenario with its faults and without, over the same seeds, and what the faults cost.

Every draw is named, so exploration is the same in both; twins differ only where a fault made them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from rich.table import Table

from broker.counting import counted
from broker.errors import UserError
from scenarios.document.loading import load_scenario, parse_settings
from scenarios.reports.statistics import Estimate, paired
from scenarios.results.answers import EpisodeRow, RoundRow
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.results.run_result import RunResult, read_run
from scenarios.running.batch.cell import Cell, Group
from scenarios.running.batch.folder import Folder

_Row = TypeVar("_Row", EpisodeRow, RoundRow)

FAULTY, FAULT_FREE = "with faults", "without"


@dataclass(frozen=True)
class Pair:
    """The two runs of one seed.

    Attributes:
        seed: It.
        faulty: With the scenario's faults.
        fault_free: Without any.
        parted_at: The first episode of which a return differs, or what was heard or learned in a round; None where all
            is equal, bit for bit.
    """

    seed: int
    faulty: RunResult
    fault_free: RunResult
    parted_at: int | None


def twin_cells(scenario: str, seeds: int, assignments: Sequence[str]) -> list[Cell]:
    """The runs of a twin study, the first seed being the scenario's.

    Args:
        scenario: Catalogue name or path.
        seeds: How many.
        assignments: Settings of both, `path=value`.

    Raises:
        UserError: The scenario cannot work, or has no faults.
    """
    document = load_scenario(scenario, parse_settings(assignments))
    if not document.faults:
        msg = (
            f"{document.name} has no faults, so its twin would be itself: give it some, under [[faults]] or with --set"
        )
        raise UserError(msg)
    settings = tuple((path.strip(), value) for path, _, value in (each.partition("=") for each in assignments))
    return [
        Cell(Group(document.name, variant, document.algorithm.name), seed, scenario, (*settings, *changed))
        for seed in range(document.seed, document.seed + seeds)
        for variant, changed in ((FAULTY, ()), (FAULT_FREE, (("faults", "[]"),)))
    ]


def read_pairs(folder: Folder, cells: Sequence[Cell]) -> list[Pair]:
    """The finished runs of `cells`, by seed."""
    runs = {(cell.seed, cell.group.variant): read_run(folder.run(cell).root) for cell in cells}
    seeds = dict.fromkeys(cell.seed for cell in cells)
    pairs = [(seed, runs[seed, FAULTY], runs[seed, FAULT_FREE]) for seed in seeds]
    return [Pair(seed, one, other, _parted_at(one.folder, other.folder)) for seed, one, other in pairs]


def _parted_at(one: Path, other: Path) -> int | None:
    with read_store(RunFolder(one).store) as here, read_store(RunFolder(other).store) as there:
        returns = _first_apart(here.episodes(), there.episodes())
        rounds = _first_apart(here.rounds_in_order(), there.rounds_in_order())
    return min((episode for episode in (returns, rounds) if episode is not None), default=None)


def _first_apart(one: Iterator[_Row], other: Iterator[_Row]) -> int | None:
    """The episode of the first rows that differ; both have theirs in the order of episodes."""
    apart = next((rows for rows in zip_longest(one, other) if rows[0] != rows[1]), ())
    return min((row.episode for row in apart if row is not None), default=None)


def difference(pairs: Sequence[Pair]) -> Estimate:
    """What the faults changed in the final team return: IQM of the differences of twins, with its interval."""
    faulty, fault_free = (
        [_last(run) for run in runs] for runs in zip(*((p.faulty, p.fault_free) for p in pairs), strict=True)
    )
    return paired(faulty, fault_free, "twin", pairs[0].faulty.scenario.name)


def twin_table(pairs: Sequence[Pair]) -> Table:
    """A line for each seed."""
    table = Table(title="final team return of twins", title_justify="left", caption_justify="left")
    for column in ("seed", FAULTY, FAULT_FREE, "difference", "shares heard", "equal until episode"):
        table.add_column(column, justify="right")
    for pair in pairs:
        faulty, fault_free, heard = _last(pair.faulty), _last(pair.fault_free), pair.faulty.traffic.heard_share
        table.add_row(
            str(pair.seed),
            f"{faulty:.2f}",
            f"{fault_free:.2f}",
            f"{faulty - fault_free:+.2f}",
            "" if heard is None else f"{heard:.1%}",
            "the end" if pair.parted_at is None else str(pair.parted_at),
        )
    table.caption = "sum over agents, mean over the last tenth of the training episodes"
    return table


def sentence(pairs: Sequence[Pair]) -> str:
    """The outcome in one line."""
    found = difference(pairs)
    of_equal = f" ({found.equal}: no interval)" if found.equal else ""
    interval = of_equal if found.low is None else f" (95% interval {found.low:+.2f} to {found.high:+.2f})"
    seeds = counted(len(pairs), "seed")
    return f"the faults changed the final team return by {found.value:+.2f}{interval}, over {seeds}"


def _last(run: RunResult) -> float:
    value = run.summary.team_return_last
    assert value is not None  # noqa: S101 - a finished run has episodes
    return value
