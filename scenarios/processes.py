"""Processes of a run, seen from outside: who writes a log, and who is still there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_ENDED = "Z"


def writers_of(log: Path) -> Iterator[int]:
    """Ids of the processes whose standard output is this file."""
    wanted = log.resolve()
    for link in _PROC.glob("[0-9]*/fd/1"):
        with suppress(OSError):
            if link.readlink() == wanted:
                yield int(link.parts[2])


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        return (_PROC / str(pid) / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != _ENDED
    except OSError:
        return False
