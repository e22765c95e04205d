"""Makes the wheels of a fleet where Foretell's sources are: its own for each machine, and those that a node needs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from broker.errors import UserError
from broker.isolated import isolated_module
from scenarios.running.bundles.wheels import NEWEST_GLIBC, Board

_SOURCES = Path(__file__).parents[3]
_NEEDS = _SOURCES / "requirements-node.lock"
_OLDEST_GLIBC = 5
_SHOWN = 300


def build_wheels(boards: Iterable[Board], into: Path) -> None:
    """Fill a folder with wheels.

    Args:
        boards: For whom.
        into: The folder.

    Raises:
        UserError: Foretell's sources are not here, or `pip` could not do it.
    """
    if not (_SOURCES / "setup.py").is_file() or not _NEEDS.is_file():
        msg = (
            f"--wheels build: expected Foretell's sources with {_NEEDS.name} in {_SOURCES}, found an installed "
            "Foretell. Give a folder of wheels: --wheels DIR"
        )
        raise UserError(msg)
    wanted = sorted(boards, key=str)
    for machine in sorted({board.machine for board in wanted}):
        _pip(("wheel", "--no-deps", "--wheel-dir", str(into), str(_SOURCES)), machine)
    for board in wanted:
        words = ("download", "--no-deps", "--only-binary", ":all:", "--dest", str(into), *_tags(board))
        _pip((*words, "--requirement", str(_NEEDS)), board.machine)


def _tags(board: Board) -> Iterator[str]:
    """What `pip` shall take for another machine than this one."""
    version = f"{board.python[0]}{board.python[1]}"
    yield from ("--implementation", "cp", "--python-version", f"{board.python[0]}.{board.python[1]}")
    for binary in (f"cp{version}", "abi3", "none"):
        yield from ("--abi", binary)
    for glibc in range(_OLDEST_GLIBC, NEWEST_GLIBC + 1):
        yield from ("--platform", f"manylinux_2_{glibc}_{board.machine}")
    yield from ("--platform", f"manylinux2014_{board.machine}")


def _pip(words: tuple[str, ...], machine: str) -> None:
    command = isolated_module("pip", *words, "--quiet", "--disable-pip-version-check")
    environment = os.environ | {"FORETELL_MACHINE": machine}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - our own
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
        msg = f"--wheels build: pip {words[0]} for {machine} failed and said: {said[-1][:_SHOWN]}"
        raise UserError(msg)
