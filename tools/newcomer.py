"""Walks a newcomer's path from a clean clone, times it, and prints docs/results/newcomer.md.

    .venv/bin/python tools/newcomer.py ["What else ran here meanwhile."] > docs/results/newcomer.md

What the pages tell a newcomer is done, in the order in which they tell it: clone, `make demo` to the first learning
curve, and then, with the blocks of the pages as they stand, the first run, an environment, an algorithm and a fault
test of one's own. It clones what is committed, and downloads what requirements.lock names. What a command says goes
to standard error, so that one sees what a newcomer sees.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Timed(NamedTuple):
    """A command, and what it took.

    Attributes:
        command: As a newcomer types it.
        wall_s: Seconds until it was done.
        processor_s: Seconds of processor time, of all that it started and waited for.
    """

    command: str
    wall_s: float
    processor_s: float


@dataclass
class Walk:
    """A newcomer's folder and what took how long.

    Attributes:
        clone: The clone.
        desk: An empty folder, for files of one's own.
        steps: Title of a step, and its commands with their times.
    """

    clone: Path
    desk: Path
    steps: list[tuple[str, list[Timed]]]

    def step(self, title: str) -> None:
        """Begin another one."""
        self.steps.append((title, []))

    def do(self, line: str, folder: Path) -> None:
        """Run a line in a shell, and take its time; ends where it fails, as a newcomer's patience does."""
        began_at, used_s = time.monotonic(), _processor_s()
        sys.stderr.write(f"$ {line}\n")
        path = f"{self.clone / '.venv' / 'bin'}:{os.environ['PATH']}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            ["bash", "-c", line], cwd=folder, env=clean | {"PATH": path}, stdout=sys.stderr, check=False
        )
        if done.returncode:
            sys.exit(f"`{line}` ended with {done.returncode}")
        self.steps[-1][1].append(Timed(line, time.monotonic() - began_at, _processor_s() - used_s))

    def blocks(self, page: str, *languages: str) -> list[str]:
        """The blocks of a page of the clone."""
        text = (self.clone / "docs" / page).read_text(encoding="utf-8")
        return [block for language, block in _BLOCK.findall(text) if language in languages]

    def write(self, page: str, *names: str) -> None:
        """Write files that the page shows."""
        for block in self.blocks(page, "python", "toml"):
            first = block.split("\n")[0].removeprefix("# ")
            if first in names:
                (self.desk / first).write_text(block, encoding="utf-8")

    def lines(self, page: str) -> list[str]:
        """What a page has a shell do."""
        return [
            line.split("  #")[0].rstrip() for block in self.blocks(page, "sh") for line in block.splitlines() if line
        ]


def main() -> None:
    """Walk, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("note", nargs="*", help="a line of the page")
    notes = parser.parse_args().note
    with tempfile.TemporaryDirectory(prefix="newcomer-") as root:
        walk = Walk(Path(root) / "foretell", Path(root) / "desk", [])
        walk.desk.mkdir()
        began_at = time.monotonic()
        for part in _PARTS:
            part(walk)
        sys.stdout.write(_page(walk, time.monotonic() - began_at, notes))


def _first_figure(walk: Walk) -> None:
    walk.step("Clone, set up, and the first learning curve")
    walk.do(f"git clone --quiet {ROOT} {walk.clone.name}", walk.clone.parent)
    walk.do("make demo", walk.clone)
    walk.do("ls runs/*/learning_curve.png", walk.clone)


def _first_run(walk: Walk) -> None:
    walk.step("[A first run](../first-run.md): the same digests, a fault, a kill, what was learned")
    for line in walk.lines("first-run.md"):
        if line != "make demo":
            walk.do(line, walk.desk)


def _own_environment(walk: Walk) -> None:
    walk.step("[An environment of one's own](../environments.md#bring-your-own)")
    walk.write("environments.md", "my_game.py", "my_game.toml")
    for line in walk.lines("environments.md"):
        walk.do(line, walk.desk)


def _own_algorithm(walk: Walk) -> None:
    walk.step("[An algorithm of one's own](../algorithms.md#adding-one-from-another-package)")
    walk.write("algorithms.md", "altruism.py", "pyproject.toml")
    for line in walk.lines("algorithms.md"):
        walk.do(line, walk.desk)


def _fault_test(walk: Walk) -> None:
    walk.step("[A test of what faults do](../testing.md)")
    tests = "\n\n".join(walk.blocks("testing.md", "python"))
    (walk.desk / "test_faults.py").write_text(tests, encoding="utf-8")
    walk.do("pip install --quiet pytest", walk.desk)
    walk.do("pytest -q test_faults.py", walk.desk)


_PARTS: tuple[Callable[[Walk], None], ...] = (_first_figure, _first_run, _own_environment, _own_algorithm, _fault_test)


def _page(walk: Walk, total_s: float, notes: list[str]) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=walk.clone, capture_output=True, text=True, check=True
    )
    lines = [
        "# A newcomer's path, timed",
        "",
        "From a clean clone to an environment, an algorithm and fault tests of one's own, with the commands and files",
        "of the pages as they stand: `.venv/bin/python tools/newcomer.py`. Reading and writing are not in it.",
        "",
        f"{_machine()}; commit {commit.stdout.strip()}; {total_s:.0f} s in all.",
        "",
        *(line for note in notes for line in (note, "")),
    ]
    for title, commands in walk.steps:
        lines += [f"## {title}", "", "| command | s | processor s |", "|---|---|---|"]
        together = Timed("together", sum(each.wall_s for each in commands), sum(each.processor_s for each in commands))
        lines += [f"| {_shown(each)} | {each.wall_s:.1f} | {each.processor_s:.1f} |" for each in (*commands, together)]
        lines += [""]
    return "\n".join(lines)


def _shown(timed: Timed) -> str:
    if timed.command == "together":
        return timed.command
    return f"`{timed.command.replace('|', chr(92) + '|').replace(str(ROOT), 'FORETELL')}`"


def _processor_s() -> float:
    """Of all commands so far."""
    used = os.times()
    return used.children_user + used.children_system


def _machine() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.findall(r"^model name\s*: (.*)$", text, re.MULTILINE)
    memory = re.findall(r"^MemTotal: +(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8"), re.MULTILINE)
    cores, load = os.cpu_count(), os.getloadavg()[1]
    return (
        f"{model[0] if model else platform.machine()}, {cores} cores, {int(memory[0]) / 2**20:.0f} GiB, "
        f"Python {platform.python_version()}; a load of {load:.1f} at the end, {cores} would be all of the machine"
    )


if __name__ == "__main__":
    main()
