"""A run's folder on a host belongs to one launcher at a time; one whose launcher is gone gives it up to the next.

Whether a launcher is gone shows only after a while, where its connection stays half open. So the next one waits until
either shows: that the first is heard again, or that it is heard no more.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from broker.errors import UserError
from broker.files import write_whole
from broker.own_clock import OwnClock
from scenarios.results.folder import locked

_GIVES_UP_WITHIN_S = 15.0
_LOOK_EVERY_S = 0.1
_LOCK, _HOLDER = "host.lock", "host.json"


class HostClaim:
    """That this process works in a folder.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._alone: bool | None = None

    def say(self, *, alone: bool) -> None:
        """Note whether the launcher is gone, for the next one to read."""
        if alone == self._alone:
            return
        with suppress(OSError):  # of a full disk, which may have room later
            write_whole(self._root / _HOLDER, json.dumps({"pid": os.getpid(), "alone": alone}).encode())
            self._alone = alone

    def hear(self) -> None:
        """Note that the launcher has just been heard."""
        with suppress(OSError):  # somebody has removed the folder
            os.utime(self._root / _HOLDER)


@contextmanager
def claimed(root: Path) -> Iterator[HostClaim]:
    """Work in a folder that nobody else works in, or whose last launcher is gone: that one's processes are ended.

    Raises:
        UserError: The folder cannot be made, or another launcher works in it.
    """
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        msg = f"cannot make the run's folder {root}: {error.strerror}"
        raise UserError(msg) from None
    msg = f"another launcher works on this run, in {root}: wait for it, or end it"
    clock, heard_at, asked = OwnClock(), _heard_at(root), False
    give_up_at = clock() + _GIVES_UP_WITHIN_S
    while True:
        try:
            with locked(root / _LOCK, msg):
                claim = HostClaim(root)
                claim.say(alone=False)
                yield claim
                return
        except UserError as error:
            is_heard = _heard_at(root) > heard_at  # looked at first: to say that the launcher is gone is a sign too
            holder = _abandoned(root)
            if str(error) != msg or clock() > give_up_at or (is_heard and holder is None and not asked):
                raise
            if holder is not None and not asked:
                asked = True
                with suppress(ProcessLookupError):
                    os.kill(holder, signal.SIGTERM)
        time.sleep(_LOOK_EVERY_S)


def _heard_at(root: Path) -> int:
    """When the launcher of the process that holds the folder was last heard, in nanoseconds of the files' clock."""
    try:
        return (root / _HOLDER).stat().st_mtime_ns
    except OSError:
        return 0


def _abandoned(root: Path) -> int | None:
    """The process that holds the folder without a launcher."""
    try:
        holder = json.loads((root / _HOLDER).read_bytes())
        return int(holder["pid"]) if holder["alone"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
