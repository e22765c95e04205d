"""Writes what a study or sweep keeps of its runs again, from its numbers: `documents/` and `outcomes/`.

python tools/outcomes.py docs/results/fig3 --without calibrated

Then the command on the page, with `--out` that folder, writes figure, page and numbers anew, with the statistics and
words of today, without a run. Runs whose name has a word of `--without` are left out: the command plays them again.
Their seconds are those of `provenance.json`; keep that file (`git checkout`) where nothing was run.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from broker.arithmetic.version import ARITHMETIC
from broker.release import FORETELL
from scenarios.commands.experiments.group import study
from scenarios.commands.experiments.study import Wish, make_choice, make_study
from scenarios.results.run_result import EdgeTraffic
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.outcomes import FORMAT, KeptRun
from scenarios.running.batch.runner import document
from scenarios.studies.cells import study_cells
from scenarios.sweeps.reading import read_sweep


def main(root: Path, without: tuple[str, ...]) -> None:
    """Write them."""
    [numbers] = [path for path in root.glob("*.json") if path.name != "provenance.json"]
    read = json.loads(numbers.read_text(encoding="utf-8"))
    provenance = json.loads((root / "provenance.json").read_text(encoding="utf-8"))
    runs = {run["id"]: run for group in read["groups"] for run in group["runs"]}
    hours = provenance["hours"]["cells"]
    folder = Folder(root)
    written = 0
    for cell in _cells(root, shlex.split(read["command"])[1:]):
        run = runs.get(cell.id)
        if run is None or any(word in cell.id for word in without):
            continue
        scenario = document(cell)
        for path, content in (
            (folder.document(cell), scenario.to_toml().encode()),
            (folder.outcome(cell), msgspec.json.encode(_kept(run, hours[cell.id], scenario.episodes, provenance))),
        ):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        written += 1
    print(f"{written} of {len(runs)} runs; now: {read['command']} --out {root}")  # noqa: T201


def _cells(root: Path, words: list[str]) -> Iterator[Cell]:
    if words[0] == "sweep":
        yield from read_sweep(root / words[1]).cells
        return
    given = study.make_context("study", words[1:]).params
    choice = make_choice(Wish(given.pop("name"), **given))
    yield from study_cells(make_study(words[1], choice), choice)


def _kept(run: dict[str, Any], hours: float, episodes: int, provenance: dict[str, Any]) -> KeptRun:
    counts = ("edges", "rounds", "sent", "sent_bytes", "heard", "missing", "late")
    counted = {"edges": "edges", "rounds": "rounds", "sent_bytes": "edge_bytes"}
    return KeptRun(
        format=FORMAT,
        foretell=FORETELL,
        arithmetic=ARITHMETIC,
        episodes=episodes,
        wall_s=hours * 3600,
        ended=provenance["last_cell_done"],
        first=run["start"],
        last=run["final"],
        played=run["played"],
        curve=run["curve"],
        env_steps=run["env_steps"],
        traffic=EdgeTraffic(**{name: run[counted.get(name, f"shares_{name}")] for name in counts}),
        curve_digest=run["curve_digest"],
        weights_digest=run["weights_digest"],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the study or sweep")
    parser.add_argument("--without", action="append", default=[], help="word in the names of groups; repeatable")
    asked = parser.parse_args()
    sys.exit(main(asked.folder, tuple(asked.without)))
