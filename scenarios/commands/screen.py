"""The screen: the one way by which text reaches it, with `rich_screen` for tables. Its loss ends nothing.

A terminal is a guest: when it is gone (`| head -1`, a closed ssh link), a command goes on without it. While it takes
nothing (Ctrl-S), nobody waits for notes to be shown; results, which come last, wait for it. What code that somebody
brought prints is no text of ours: while such code is called, standard output and error are lent to it.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Any, TextIO

from broker.errors import UserError
from scenarios.commands.notes import Notes

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NAMES = ("stdout", "stderr")
_NUMBERS = (1, 2)
_kept: dict[str, TextIO | None] = {}
"""The screen while standard output and error are lent to somebody's code."""
_commands: list[ExitStack] = []
"""What is put back when the command is done that runs in this process."""


def say(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Show a line as it is."""
    stream = shown_on(err=err)
    if stream is not None:
        print(plain(str(text)), file=stream, end="\n" if nl else "", flush=True)


def show_bytes(content: bytes) -> None:
    """Give a file's content as it is, to whatever standard output is.

    Raises:
        UserError: It is closed: nobody would get what was asked for.
    """
    stream = shown_on(err=False)
    if stream is None:
        msg = "cannot write to standard output: it is closed. Name a file with --out"
        raise UserError(msg)
    stream.flush()
    stream.buffer.write(content)
    stream.buffer.flush()


def shown_on(*, err: bool) -> TextIO | None:
    """Where notes (`err`) or results appear; None where there is nothing."""
    name = _NAMES[err]
    return _kept[name] if _kept else getattr(sys, name)


def plain(text: str) -> str:
    r"""A text with what would control a terminal, or is no character at all, written out, such as `\x1b`."""
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


@contextmanager
def guests() -> Iterator[None]:
    """Let nothing that happens to the terminal end or hold up what is done meanwhile."""
    with ExitStack() as restored:
        notes = _number_of(sys.stderr)
        shown = None if notes is None else _NotesGuest(os.dup(notes))
        results = _number_of(sys.stdout)
        if results is not None:
            _replace("stdout", _Guest(os.dup(results), None if shown is None else shown.drain), restored)
        if shown is not None:
            _replace("stderr", shown, restored)
        _commands.append(restored)
        restored.callback(_commands.remove, restored)
        yield


@contextmanager
def output_lent(file: IO[bytes]) -> Iterator[None]:
    """Let all that code of others writes meanwhile go to a file, whatever way it takes; ours goes to the screen.

    What such code still writes later, when an object of it is deleted or the process ends, is shown to nobody.
    """
    with ExitStack() as restored:
        if not _kept:
            _lend(_commands[-1] if _commands else restored)
        _point_to(file)
        try:
            yield
        finally:
            _point_to_nothing()


def _lend(restored: ExitStack) -> None:
    """Keep the screen apart from standard output and error."""
    for name, number in zip(_NAMES, _NUMBERS, strict=True):
        stream: TextIO | None = getattr(sys, name)
        restored.callback(setattr, sys, name, stream)
        _kept[name] = _beside(stream, number, restored)
        restored.callback(_put_back, number, _copy(number))
    restored.callback(_kept.clear)
    if _commands:
        restored.callback(atexit.register, _point_to_nothing)  # last, and so before what those others have registered


def _point_to(file: IO[bytes]) -> None:
    for name, number in zip(_NAMES, _NUMBERS, strict=True):
        _flush(getattr(sys, name))
        os.dup2(file.fileno(), number)
        lent = io.FileIO(number, "w", closefd=False)
        setattr(sys, name, io.TextIOWrapper(lent, "utf-8", "backslashreplace", write_through=True))


def _point_to_nothing() -> None:
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - pathlib takes 10 ms
        _point_to(nowhere)


def _beside(stream: TextIO | None, number: int, restored: ExitStack) -> TextIO | None:
    """The same screen, on a descriptor that is not lent."""
    if stream is None or _number_of(stream) != number:
        return stream
    beside = _text(stream, (_NotesGuest if number == _NUMBERS[1] else _Guest)(os.dup(number)))
    restored.callback(beside.close)
    return beside


def _copy(number: int) -> int | None:
    try:
        return os.dup(number)
    except OSError:
        return None  # it is closed


def _put_back(number: int, copy: int | None) -> None:
    if copy is None:
        os.close(number)
        return
    os.dup2(copy, number)
    os.close(copy)


def _flush(stream: TextIO | None) -> None:
    with suppress(AttributeError, ValueError, OSError):  # that code has put something else there, or closed it
        stream.flush()  # type: ignore[union-attr]  # see above


def _number_of(stream: TextIO | None) -> int | None:
    """Where a stream writes to; None where there is none, or nothing that can be lost."""
    try:
        return stream.fileno() if stream is not None else None
    except (OSError, ValueError):
        return None


def _replace(name: str, guest: _Guest, restored: ExitStack) -> None:
    """Write with a guest what was written to one of `sys`'s streams, until `restored` is called."""
    stream: TextIO = getattr(sys, name)
    text = _text(stream, guest)
    setattr(sys, name, text)
    restored.callback(text.close)
    restored.callback(setattr, sys, name, stream)


def _text(stream: TextIO, guest: _Guest) -> TextIO:
    """The same stream, which may be lost, and writes out what its encoding has not."""
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(guest),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=guest.may_be_left_out or guest.isatty(),
        write_through=bool(getattr(stream, "write_through", False)),
    )


class _Guest(io.RawIOBase):
    """A file descriptor, its own, to which nothing more is written once it is lost.

    Attributes:
        may_be_left_out: Whether what is written may be lost wherever it goes: results may not, notes may.

    Args:
        descriptor: Where it writes; closed with it.
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

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._descriptor)

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

    def close(self) -> None:
        if not self.closed:
            self._notes.close()
        super().close()

    def _write_now(self, data: bytes) -> int:
        written = super().write(data)
        return len(data) if written is None else written
