"""Processes of a run, seen from outside: who writes a log, and who is still there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from broker.own_clock import OwnClock

_PROC = Path("/proc")
_ENDED, _STOPPED = "Z", "T"
_STOP_WITHIN_S = 10.0


def writers_of(log: Path) -> Iterator[int]:
    """Ids of the processes whose standard output is this file."""
    wanted = log.resolve()
    for link in _PROC.glob("[0-9]*/fd/1"):
        with suppress(OSError):
            if link.readlink() == wanted:
                yield int(link.parts[2])


def await_stopped(pid: int) -> bool:
    """Wait until the system says that a process is stopped; False if it ends, or is not within ten seconds."""
    clock = OwnClock()
    give_up_at = clock() + _STOP_WITHIN_S
    while clock() < give_up_at and (state := _state(pid)) != _ENDED:
        if state == _STOPPED:
            return True
        time.sleep(0.001)
    return False


def parent_of(pid: int) -> int | None:
    """The process that started it; None if it has ended."""
    stat = _stat(pid)
    return int(stat[1]) if stat else None


def _state(pid: int) -> str:
    """The letter that stands for it in /proc."""
    stat = _stat(pid)
    return stat[0] if stat else _ENDED


def _stat(pid: int) -> list[str]:
    """What /proc says of a process, from its state on; nothing if it has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    return _state(pid) != _ENDED
