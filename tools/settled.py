"""Says at which length the curves of a study have settled, by the rule of docs/results/full-size.md.

    python tools/settled.py docs/results/fig1-full

Reads the outcomes of seeds 1 and 2 of each group in a study's folder. A group's curve is their mean. At a length its
change is the mean over the last tenth less the mean over the tenth that lies a fifth of the length before it, over the
range between the two references of the task. A task has settled at the least length at which no group changes by a
hundredth or more.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.document.loading import load_scenario
from scenarios.reports.references import references

LENGTHS = (4000, 6000, 8000, 10_000)
LARGEST_CHANGE = 0.01
PILOTS = (1, 2)

Curves = dict[str, dict[str, list[NDArray[np.float64]]]]


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


def read(folder: Path) -> tuple[Curves, dict[str, int]]:
    """Normalized curves of the pilots by task and contender, and the episodes that each task was played for."""
    curves: Curves = defaultdict(lambda: defaultdict(list))
    episodes: dict[str, int] = {}
    for path in sorted((folder / "outcomes").glob("*.json")):
        task, contender, seed = path.stem.split("--")
        scale = references(load_scenario(str(folder / "documents" / f"{path.stem}.toml")).environment)
        if int(seed.removeprefix("seed")) not in PILOTS or scale is None:
            continue
        kept = json.loads(path.read_bytes())
        episodes[task] = kept["episodes"]
        curves[task][contender].append(np.array([scale.normalized(each) for each in kept["curve"]]))
    return curves, episodes


def main() -> None:
    """Print a table for each task, and where it has settled."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    curves, episodes = read(parser.parse_args().folder)
    if not curves:
        sys.exit("there are no outcomes of seeds 1 and 2: run the study first")
    for task, groups in curves.items():
        sys.stdout.write("\n".join(table(task, groups, episodes[task])) + "\n\n")


def table(task: str, groups: Mapping[str, list[NDArray[np.float64]]], episodes: int) -> Iterator[str]:
    """The changes of each group at each length, and the decision.

    Args:
        task: Its key.
        groups: Normalized curves of the pilots.
        episodes: That they were played for.
    """
    lengths = [length for length in LENGTHS if length <= episodes]
    means = {name: np.mean(found, axis=0) for name, found in groups.items() if len(found) == len(PILOTS)}
    changes = {length: {name: change(mean, length / episodes) for name, mean in means.items()} for length in lengths}
    yield f"{task:40}" + "".join(f"{length:>8}" for length in lengths)
    for name in means:
        yield f"{name:40}" + "".join(f"{changes[length][name]:>8.3f}" for length in lengths)
    waiting = [name for name in groups if name not in means]
    if waiting:
        yield f"not all pilots are done: {', '.join(waiting)}"
    else:
        yield f"settled at {settled(changes) or 'none of these'}"


if __name__ == "__main__":
    main()
