"""Helpers that start the real command and look at what it leaves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scenarios.results.folder import RunFolder
from scenarios.running.procfs import writers_of

LIMIT_S = 120.0
TINY = (
    "--set",
    "parallel_episodes=2",
    "--set",
    "learning.hidden=[8]",
)
DROPS = 'faults=[{kind="drop",probability=0.3}]'


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scenarios.commands.main", *arguments]


def foretell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env=os.environ | environment,
    )


def need_mosquitto() -> None:
    """A missing broker is a visible skip, and a failure where all must run."""
    if shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
        pytest.skip("mosquitto is not installed")


def simulate_here(out: Path, *arguments: str) -> dict[str, Any]:
    """`foretell simulate` in this process, which has torch already; gives the summary."""
    from scenarios.commands.main import foretell as commands

    commands(["simulate", *arguments, "--out", str(out)], standalone_mode=False)
    return summary(out)


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, as a terminal would."""
    return subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def summary(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return loaded


def until(condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait for an event, with a limit that only a broken program reaches."""
    give_up_at = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up_at, f"{what} did not happen in {limit_s} s"
        time.sleep(0.02)


def children_of(pid: int) -> dict[int, str]:
    """All living descendants of a process, with their command lines."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found: dict[int, str] = {}
    grown = True
    while grown:
        new = {child for child, parent in parents.items() if (parent == pid or parent in found) and child not in found}
        for child in new:
            try:
                found[child] = (Path("/proc") / str(child) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                found[child] = ""
        grown = bool(new)
    return found


def participant_pid(out: Path, name: str) -> int:
    """The process whose log is that of `name`."""
    log = RunFolder(out).log(name)
    pid = next(writers_of(log), None)
    assert pid is not None, f"no process writes to {log}"
    return pid
