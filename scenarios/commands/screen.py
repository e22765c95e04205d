"""The screen: the one way by which text reaches it, with `rich_screen` for tables. Its loss ends nothing.

A terminal is a guest: when it is gone (`| head -1`, a closed ssh link), a command goes on without it. What code that
somebody brought prints is no text of ours: while such code is called, standard output and error are lent to it.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, BinaryIO, TextIO

from broker.errors import UserError

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


def shown_on(*, err: bool) -> TextIO | None:
    """Where notes (`err`) or results appear; None where there is nothing."""
    name = _NAMES[err]
    return _kept[name] if _kept else getattr(sys, name)


def plain(text: str) -> str:
    r"""A text with what would control a terminal, or is no character at all, written out, such as `\x1b`."""
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


@contextmanager
def guests() -> Iterator[None]:
    """Let nothing that happens to the terminal end what is done meanwhile."""
    with ExitStack() as restored:
        for name in _NAMES:
            stream = getattr(sys, name)
            guest = _guest(stream, notes=name == "stderr")
            if guest is not None:
                setattr(sys, name, guest)
                restored.callback(guest.close)
                restored.callback(setattr, sys, name, stream)
        _commands.append(restored)
        restored.callback(_commands.remove, restored)
        yield


@contextmanager
def output_lent(file: BinaryIO) -> Iterator[None]:
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


def _point_to(file: BinaryIO) -> None:
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
    beside = _guest(stream, notes=number == _NUMBERS[1])
    if beside is not None:
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


def _number_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def _guest(stream: TextIO | None, *, notes: bool) -> TextIO | None:
    """The same stream, which may be lost, and writes out what its encoding has not; None where nothing can be lost."""
    number = None if stream is None else _number_of(stream)
    if stream is None or number is None:
        return None
    stream.flush()
    guest = _Guest(os.dup(number), notes=notes)
    return io.TextIOWrapper(
        io.BufferedWriter(guest),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=notes or guest.isatty(),
        write_through=bool(getattr(stream, "write_through", False)),
    )


class _Guest(io.RawIOBase):
    """A file descriptor, its own, to which nothing more is written once it is lost."""

    def __init__(self, descriptor: int, *, notes: bool) -> None:
        self._descriptor = descriptor
        self._notes = notes
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
            UserError: Results cannot be written to a file; notes may be lost wherever they go.
        """
        if not self._lost:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                if not self._notes:
                    return None
            except OSError as error:
                self._lost = True
                if not self._notes and not self._is_gone(error):
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
