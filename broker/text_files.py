"""Text that somebody else wrote: read from regular files alone, up to a size, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_CHUNK_BYTES = 1 << 20
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def is_text(path: Path) -> bool:
    """Whether the whole path is UTF-8, as whoever gets it in a message or reads it in a document expects."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(said: object) -> str:
    r"""A path, or a sentence with one, as UTF-8 can hold it: bytes that are none are written out, `\udcff`."""
    return str(said).encode(errors="backslashreplace").decode()


def read_text(path: Path, most_bytes: int) -> str:
    """The text in a file, without the mark that editors of Windows put in front of it.

    Args:
        path: A regular file; what is none may never end, or wait for somebody.
        most_bytes: How long it may be.

    Raises:
        OSError: It cannot be read, is no regular file, is longer, or holds no text; `strerror` says which, a clause.
    """
    content = read_file(path, most_bytes)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(path, f"expected text in UTF-8, found byte 0x{error.object[error.start]:02x}") from None
    if "\0" in text:
        raise _refusal(path, "expected text, found a NUL character")
    return text


def read_file(path: Path, most_bytes: int) -> bytes:
    """The bytes in a file.

    Args:
        path: As for `read_text`.
        most_bytes: As for `read_text`.

    Raises:
        OSError: As for `read_text`, but for the text.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        found = os.fstat(descriptor)
        kind = stat.S_IFMT(found.st_mode)
        if kind != stat.S_IFREG:
            raise _refusal(path, f"expected a file, found {_KINDS.get(kind, 'something else')}")
        if found.st_size > most_bytes:
            raise _refusal(path, f"expected at most {most_bytes} bytes, found more")
        content = bytearray()
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            content += chunk
            if len(content) > most_bytes:
                raise _refusal(path, f"expected at most {most_bytes} bytes, found more")
        return bytes(content)
    finally:
        os.close(descriptor)


def _refusal(path: Path, why: str) -> OSError:
    return OSError(errno.EINVAL, why, str(path))
