"""The screen: the one way by which text reaches it, with `rich_screen` for tables. Its loss ends nothing.

A terminal is a guest: when it is gone (`| head -1`, a closed ssh link), a command goes on without it.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

from broker.errors import UserError

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NOTES = 2


def say(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Show a line as it is."""
    stream = sys.stderr if err else sys.stdout
    print(plain(str(text)), file=stream, end="\n" if nl else "", flush=True)


def plain(text: str) -> str:
    r"""A text with what would control a terminal, or is no character at all, written out, such as `\x1b`."""
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


@contextmanager
def guests() -> Iterator[None]:
    """Let nothing that happens to the terminal end what is done meanwhile."""
    with ExitStack() as restored:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            guest = _guest(stream)
            if guest is not None:
                setattr(sys, name, guest)
                restored.callback(setattr, sys, name, stream)
                restored.callback(guest.flush)
        yield


def _guest(stream: TextIO | None) -> TextIO | None:
    """The same stream, which may be lost, and writes out what its encoding has not; None where nothing can be lost."""
    try:
        descriptor = stream.fileno() if stream is not None else None
    except (OSError, ValueError):
        return None
    if stream is None or descriptor is None:
        return None
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Guest(descriptor)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=descriptor == _NOTES or os.isatty(descriptor),
        write_through=bool(getattr(stream, "write_through", False)),
    )


class _Guest(io.RawIOBase):
    """A file descriptor to which nothing more is written once it is lost."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
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
                if self._descriptor != _NOTES:
                    return None
            except OSError as error:
                self._lost = True
                if self._descriptor != _NOTES and not self._is_gone(error):
                    msg = f"cannot write to standard output: {error.strerror}"
                    raise UserError(msg) from None
        return memoryview(data).nbytes

    def _is_gone(self, error: OSError) -> bool:
        """Whether nobody looks any more; a file that cannot be written is another matter."""
        return not stat.S_ISREG(os.fstat(self._descriptor).st_mode) and error.errno in (errno.EPIPE, errno.EIO)
