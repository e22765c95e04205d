"""Says at which length the curves of a study have settled, by the rule of docs/results/full-size.md.

    python tools/settled.py STUDY FOLDER [--task TASK] [--algorithm ALGORITHM]
    python tools/settled.py fig1 docs/results/fig1-full

Takes a study without variants, such as fig1 and fig5, and its folder at full size, of which it reads `documents/` and
`outcomes/` of seeds 1 and 2. All groups that the study has are waited for, AS with two weights among them, or those of
the tasks and algorithms that are named; both options are repeatable. A group's curve is the mean of both seeds. At a
length its change is the mean over the last tenth less the mean over the tenth that lies a fifth of the length before
it, over the range between the two references of the task. A task has settled at the least length at which no group
changes by a hundredth or more. Where there is nothing to judge it says so in a sentence, and ends with 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from broker.counting import listed
from broker.errors import ForetellError, UserError
from scenarios.commands.experiments.study import PAGES, make_study
from scenarios.reports.references import references
from scenarios.running.batch.cell import Cell, Group
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.keeping import given_document
from scenarios.running.batch.outcomes import Outcomes
from scenarios.studies.study import Choice, Study

LENGTHS = (4000, 6000, 8000, 10_000)
LARGEST_CHANGE = 0.01
PILOTS = (1, 2)
_SHOWN = 12


@dataclass(frozen=True)
class Pilots:
    """What there is of a task.

    Attributes:
        task: Its key.
        episodes: That all were played for; 0 where there are none.
        curves: By contender the normalized curves of its pilots that are done, (points,) each; all that are waited for.
    """

    task: str
    episodes: int
    curves: Mapping[str, Sequence[NDArray[np.float64]]]


def change(curve: NDArray[np.float64], part: float) -> float:
    """What a curve changes over the last fifth of a part of it.

    Args:
        curve: (points,) evenly spaced.
        part: Of its length, at most 1.
    """
    points = round(len(curve) * part)
    tenth = max(1, points // 10)
    last, before = curve[points - tenth : points], curve[points - 3 * tenth : points - 2 * tenth]
    return float(last.mean() - before.mean())


def settled(changes: Mapping[int, Mapping[str, float]]) -> int | None:
    """The least length at which no group changes; None if there is none.

    Args:
        changes: By length and group, over the range of the task.
    """
    good = [length for length, of in changes.items() if all(abs(each) < LARGEST_CHANGE for each in of.values())]
    return min(good, default=None)


def study_of(name: str, tasks: tuple[str, ...], algorithms: tuple[str, ...]) -> Study:
    """The study at full size, with all that a search gives it.

    Raises:
        UserError: It has no such task or algorithm, or variants.
    """
    study = make_study(name, Choice(quick=False, tasks=tasks, algorithms=algorithms, tuned={}))
    if len(study.variants) > 1:
        labels = listed([each.label for each in study.variants], _SHOWN)
        msg = f"{name} has variants ({labels}): the rule is about studies with one way to play each task"
        raise UserError(msg)
    return study


def read(study: Study, folder: Folder) -> list[Pilots]:
    """What there is of each task.

    Raises:
        UserError: There is nothing, it cannot be read, or it cannot be judged.
    """
    groups = [group for _, group in study.groups()]
    found = [_pilots(folder, task.key, [each for each in groups if each.task == task.key]) for task in study.tasks]
    if not any(each.episodes for each in found):
        msg = f"there are no outcomes of {study.name} with seeds 1 and 2 in {folder.root}: run the study first"
        raise UserError(msg)
    return found


def _pilots(folder: Folder, task: str, groups: Sequence[Group]) -> Pilots:
    kept, curves = Outcomes(folder), {}
    played: dict[int, str] = {}
    for group in groups:
        cells = [Cell(group, seed, "", ()) for seed in PILOTS]
        done = [cell for cell in cells if folder.outcome(cell).exists()]
        played |= {kept.of(cell).episodes: cell.id for cell in done}
        curves[group.contender] = [_normalized(folder, cell) for cell in done]
    if len(played) > 1:
        each = ", ".join(f"{episodes} ({cell})" for episodes, cell in sorted(played.items()))
        msg = f"{task}: expected that all were played for equally many episodes, found {each}"
        raise UserError(msg)
    episodes = next(iter(played), 0)
    if played and episodes < min(LENGTHS):
        msg = f"{task}: was played for {episodes} episodes, and the least length of the rule is {min(LENGTHS)}"
        raise UserError(msg)
    return Pilots(task, episodes, curves)


def _normalized(folder: Folder, cell: Cell) -> NDArray[np.float64]:
    scale = references(given_document(folder, cell).environment)
    if scale is None:
        msg = f"cell {cell.id}: there are no references that its returns could be normalized by"
        raise UserError(msg)
    return np.array([scale.normalized(each) for each in Outcomes(folder).of(cell).curve])


def main() -> None:
    """Print a table for each task, and where it has settled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=PAGES, help="Its name.")
    parser.add_argument("folder", type=Path, help="Its folder at full size.")
    parser.add_argument("--task", action="append", default=[], help="Only this one; repeatable.")
    parser.add_argument("--algorithm", action="append", default=[], help="Only this one; repeatable.")
    chosen = parser.parse_args()
    try:
        study = study_of(chosen.study, tuple(chosen.task), tuple(chosen.algorithm))
        for pilots in read(study, Folder(chosen.folder)):
            sys.stdout.write("\n".join(table(pilots)) + "\n\n")
    except ForetellError as error:
        sys.stderr.write(f"settled: {error}\n")
        sys.exit(2)


def table(pilots: Pilots) -> Iterator[str]:
    """The changes of each group of a task at each length, and the decision."""
    lengths = [length for length in LENGTHS if length <= pilots.episodes]
    means = {name: np.mean(found, axis=0) for name, found in pilots.curves.items() if len(found) == len(PILOTS)}
    parts = {length: length / pilots.episodes for length in lengths}
    changes = {length: {name: change(mean, part) for name, mean in means.items()} for length, part in parts.items()}
    yield f"{pilots.task:40}" + "".join(f"{length:>8}" for length in lengths)
    for name in means:
        yield f"{name:40}" + "".join(f"{changes[length][name]:>8.3f}" for length in lengths)
    waiting = [name for name in pilots.curves if name not in means]
    found = settled(changes) if means else None
    if not waiting:
        yield f"settled at {found or 'none of these'}"
    elif means and found is None:
        yield f"settled at none of these, whatever others do that are not done: {', '.join(waiting)}"
    else:
        yield f"not decided: not all pilots are done of {', '.join(waiting)}"


if __name__ == "__main__":
    main()
