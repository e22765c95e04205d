"""The screen: the one way by which text reaches it, with `rich_screen` for tables. Its loss ends nothing.

A terminal is a guest: when it is gone (`| head -1`, a closed ssh link), a command goes on without it. While it takes
nothing (Ctrl-S), nobody waits for notes to be shown; results, which come last, wait for it.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

import click

from broker.errors import UserError
from scenarios.commands.notes import Notes

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def say(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Show a line as it is."""
    click.echo(plain(str(text)), err=err, nl=nl)


def plain(text: str) -> str:
    r"""A text with what would control a terminal written out, such as `\x1b`."""
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


@contextmanager
def guests() -> Iterator[None]:
    """Let nothing that happens to the terminal end or hold up what is done meanwhile."""
    with ExitStack() as restored:
        notes = _descriptor_of(sys.stderr)
        shown = None if notes is None else _NotesGuest(notes)
        results = _descriptor_of(sys.stdout)
        if results is not None:
            drain = None if shown is None else shown.drain
            _replace("stdout", _Guest(results, drain), restored)
        if shown is not None:
            restored.callback(shown.drain)
            _replace("stderr", shown, restored)
        yield


def _descriptor_of(stream: TextIO | None) -> int | None:
    """Where a stream writes to; None where there is none, or nothing that can be lost."""
    try:
        return stream.fileno() if stream is not None else None
    except (OSError, ValueError):
        return None


def _replace(name: str, guest: _Guest, restored: ExitStack) -> None:
    """Write with a guest what was written to one of `sys`'s streams, until `restored` is called."""
    stream: TextIO = getattr(sys, name)
    stream.flush()
    text = io.TextIOWrapper(
        io.BufferedWriter(guest),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=guest.may_be_left_out or guest.isatty(),
        write_through=bool(getattr(stream, "write_through", False)),
    )
    setattr(sys, name, text)
    restored.callback(setattr, sys, name, stream)
    restored.callback(text.flush)


class _Guest(io.RawIOBase):
    """A file descriptor to which nothing more is written once it is lost.

    Attributes:
        may_be_left_out: Whether what is written may be lost wherever it goes: results may not, notes may.

    Args:
        descriptor: Where it writes.
        first: Waits until what belongs before it is written.
    """

    may_be_left_out = False

    def __init__(self, descriptor: int, first: Callable[[], None] | None = None) -> None:
        self._descriptor = descriptor
        self._first = first
        self._lost = False

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int | None:
        """Write, or let it be where there is nobody to see it.

        Raises:
            UserError: Results cannot be written to a file.
        """
        if self._first is not None:
            self._first()
        if not self._lost:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                if not self.may_be_left_out:
                    return None
            except OSError as error:
                self._lost = True
                if not (self.may_be_left_out or self._is_gone(error)):
                    msg = f"cannot write to standard output: {error.strerror}"
                    raise UserError(msg) from None
        return memoryview(data).nbytes

    def _is_gone(self, error: OSError) -> bool:
        """Whether nobody looks any more; a file that cannot be written is another matter."""
        return not stat.S_ISREG(os.fstat(self._descriptor).st_mode) and error.errno in (errno.EPIPE, errno.EIO)


class _NotesGuest(_Guest):
    """A guest whose writing nobody waits for."""

    may_be_left_out = True

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._notes = Notes(self._write_now)

    def write(self, data: Any, /) -> int:
        """Have it written."""
        self._notes.put(bytes(data))
        return memoryview(data).nbytes

    def drain(self) -> None:
        """Wait until all is written, or lost."""
        self._notes.drain()

    def _write_now(self, data: bytes) -> int:
        written = super().write(data)
        return len(data) if written is None else written
