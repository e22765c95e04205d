"""Files that are there whole or not at all, whatever ends the process that writes them: a signal, no room, no power."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal


def write_whole(path: Path, content: bytes) -> None:
    """Put content in the place of what was there, in one step; the folder is one of ours, where `PATH.new` is free.

    Whoever reads the file finds the old content or the new one, and no part of either. After a loss of power it may be
    the old one, until the folder is brought to the disk with `sync`.

    Raises:
        OSError: It cannot be written; what was there before is there still. Its `filename` says which.
    """
    with _put_in_place(path, path.with_name(f"{path.name}.new"), "wb") as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of what was there when all is written.

    The folder may be anybody's: until then it has a name that no file there has.

    Raises:
        OSError: It cannot be written; what was there before is there still. Its `filename` says which.
    """
    with _put_in_place(path, path.with_name(f".{path.name}-{secrets.token_hex(4)}"), "xb") as file:
        yield file


@contextmanager
def _put_in_place(path: Path, beside: Path, mode: Literal["wb", "xb"]) -> Iterator[BinaryIO]:
    file = beside.open(mode)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):  # a write that finds no room names no file, and a move both
            error.filename = error.filename2 or error.filename or str(path)
        raise


def write_where_asked(path: Path, content: bytes) -> None:
    """Put content where a user wants it: into a file in one step, and to a link, a pipe or a device as they are.

    Raises:
        OSError: It cannot be written. Its `filename` says which.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(content)
    else:
        with whole_file(path) as file:
            file.write(content)


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's list of files, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Bring a folder and all that is in it to the disk."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
