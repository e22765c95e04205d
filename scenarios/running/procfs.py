"""Processes of a run, seen from outside: who writes a log, what it said last, and who is still there."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from os import SEEK_END
from pathlib import Path

from broker.driving.process import RAISED, REFUSED, WRONG
from broker.own_clock import OwnClock

_PROC = Path("/proc")
_ENDED, _STOPPED = "Z", "T"
_STOP_WITHIN_S = 10.0
_END_BYTES = 1 << 20
_KNOWING = (WRONG, RAISED, REFUSED)
LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
"""Of what a process says into its log."""
_DATE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
_OWN_LINE = re.compile(rf"{_DATE} (?:WARNING|ERROR|CRITICAL) (.*)")
"""One that may say why its process ends; an environment may have printed something without an end before it."""
_NOTE = re.compile(rf"{_DATE} (?:DEBUG|INFO) .*")
"""One that tells how things are, and so never why they end."""


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


def size_of(log: Path) -> int:
    """Bytes that there are of a log, which a process goes on with; 0 where there is none."""
    with suppress(OSError):
        return log.stat().st_size
    return 0


def last_line(log: Path, code: int, begin: int) -> str:
    """What it said last: where it knew why it ends, the last line of its own, whatever was printed in it since.

    Notes are passed over: what an environment noted at its beginning is not why it died without a word.

    The end of the log is read, however long it is: whoever asks has others to look after.

    Args:
        log: Its log, and that of those who had its name in earlier lives.
        code: The exit code that it ended with.
        begin: Bytes of the log that those have left.
    """
    try:
        with log.open("rb") as opened:
            opened.seek(max(begin, opened.seek(0, SEEK_END) - _END_BYTES))
            text = _NOTE.sub("", opened.read(_END_BYTES).decode("utf-8", errors="replace"))
    except OSError:
        return ""
    if code in _KNOWING and (own := _OWN_LINE.findall(text)):
        return str(own[-1])
    said = next((line for line in reversed(text.split("\n")) if line.strip()), "")
    own_line = _OWN_LINE.fullmatch(said)
    return said if own_line is None else own_line[1]
