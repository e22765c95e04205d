"""Helpers for commands that run many scenarios."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pages.door import Door
from runs import children_of, foretell, start, until

from scenarios.running.batch.crew import LocalCrew
from scenarios.running.procfs import is_alive, writers_of


@functools.cache
def forking() -> str:
    """For FORETELL_DOOR: what a command starts to start itself anew, whose imports are there already."""
    door = Door()
    atexit.register(door.__exit__)
    return str(door.program)


def forking_crew() -> LocalCrew:
    """Runs cells so."""
    return LocalCrew((sys.executable, "-IS", forking()))


def foretell_forking(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of many runs to its end, neither it nor they import all anew."""
    return foretell(*arguments, FORETELL_DOOR=forking())


def finished(out: Path) -> dict[str, int]:
    """Cells whose run is complete, with the time of the last change of its summary."""
    found = {}
    for path in out.glob("runs/*/summary.json"):
        try:
            if json.loads(path.read_text())["complete"]:
                found[path.parent.name] = path.stat().st_mtime_ns
        except json.JSONDecodeError:
            continue
    return found


def stop_in_the_middle_of_a_cell(
    out: Path, arguments: Sequence[str], signal_number: int, done: int
) -> tuple[int | None, str]:
    """Start a command, signal it once `done` cells are done and another one runs, and see that nobody is left."""
    with start(*arguments, "--jobs", "1", "--out", str(out), FORETELL_DOOR=forking()) as process:

        def is_in_the_middle() -> bool:
            # What an earlier process left of a cell is removed before the cell's process starts.
            is_going_on = bool(children_of(process.pid))
            return is_going_on and len(list(out.glob("runs/*/run.sqlite"))) > len(finished(out)) >= done

        until(is_in_the_middle, f"{done} cells and a half")
        children = children_of(process.pid)
        assert children
        os.kill(process.pid, signal_number)
        _, stderr = process.communicate()
    until(lambda: not any(is_alive(child) for child in children), "the end of what the command has started")
    until(lambda: not any(pid for log in out.glob("logs/*.log") for pid in writers_of(log)), "the end of the cells")
    assert "Traceback" not in stderr
    return process.returncode, stderr
