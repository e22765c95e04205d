"""What an MQTT broker's log says of those it refused.

`... | python -P -m broker.servers.mqtt_log LOG` keeps of mosquitto's log what somebody may want to read. Mosquitto
tells of a refused publish only among all that it receives and sends, two lines a message; those are left out. Of
refusals the first few are kept and the others counted, so that nobody can fill the disk with them. It ends when
mosquitto does.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

TURNED_AWAY = "turned away: "
"""What our amqtt says of a connection or a message that it refused."""
REFUSED_IN_ALL = "refused in all: "
"""Begins the line that says how many there were so far."""

_TOLD = 50
_CHUNK_BYTES = 1 << 20
_LOOK_EVERY_S = 0.02  # woken for each line, it would cost as much as the message
_COUNT_EVERY_S = 1.0
# Topics and names in a line are those of strangers, so only how it begins says what it is.
_ROUTINE = re.compile(rb"^[^\n ]*: (?:Received|Sending) [A-Z]+ (?:from|to) [^\n]*\n", re.MULTILINE)
_REFUSAL = re.compile(r"\S*: (?:Denied PUBLISH from |Client .*not authorised)|(?:\S+ \S+ )?turned away: ")
_COUNT = re.compile(rf"(?:\S+ \S+ )?{REFUSED_IN_ALL}(\d+)")


class Sieve:
    """Takes the log in pieces and gives what is to be kept.

    Attributes:
        refused: Refusals so far.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._rest = b""
        self._counted = 0

    def take(self, piece: bytes) -> bytes:
        """What is to be kept of the lines that are whole by now."""
        whole, newline, self._rest = (self._rest + piece).rpartition(b"\n")
        kept = []
        for line in _ROUTINE.sub(b"", whole + newline).splitlines(keepends=True):
            if _REFUSAL.match(line.decode(errors="replace")):
                self.refused += 1
                if self.refused > _TOLD:
                    continue
                self._counted = self.refused
            kept.append(line)
        return b"".join(kept)

    def count(self) -> bytes:
        """A line with the refusals so far, if some have been left out since the last one."""
        if self.refused == self._counted:
            return b""
        self._counted = self.refused
        return f"{REFUSED_IN_ALL}{self.refused}\n".encode()


class Refusals:
    """Tells of the first few refusals, and counts all.

    Args:
        tell: Takes a line for the log.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._refused = 0
        self._counted_at = 0.0

    def note(self, text: str) -> None:
        """Somebody was refused something."""
        self._refused += 1
        if self._refused <= _TOLD:
            self._tell(f"{TURNED_AWAY}{text}")
        elif time.monotonic() - self._counted_at >= _COUNT_EVERY_S:
            self.count()

    def count(self) -> None:
        """Say how many there were so far, if some have been left out."""
        if self._refused > _TOLD:
            self._tell(f"{REFUSED_IN_ALL}{self._refused}")
            self._counted_at = time.monotonic()


def refusals_in(log: str) -> int:
    """How many refusals a log tells of; all of them once the broker has ended."""
    lines = log.splitlines()
    counts = [int(found[1]) for line in lines if (found := _COUNT.fullmatch(line))]
    return counts[-1] if counts else sum(_REFUSAL.match(line) is not None for line in lines)


def keep(read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
    """Sieve what `read` gives until it gives nothing any more."""
    sieve, counted_at = Sieve(), time.monotonic()
    while piece := read(_CHUNK_BYTES):
        write(sieve.take(piece))
        if (now := time.monotonic()) - counted_at >= _COUNT_EVERY_S:
            write(sieve.count())
            counted_at = now
        time.sleep(_LOOK_EVERY_S)
    write(sieve.take(b"\n"))
    write(sieve.count())


if __name__ == "__main__":
    with Path(sys.argv[1]).open("ab", buffering=0) as log:
        keep(partial(os.read, sys.stdin.fileno()), log.write)
