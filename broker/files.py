"""Files that are there whole or not at all, whatever ends the process that writes them: a signal, no room, no power."""

from __future__ import annotations

import os
import secrets
import stat
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
        OSError: It cannot be written; what was there before is there still. Its `filename` is that of `path`.
    """
    with _put_in_place(path, path.with_name(f".{path.name}-{secrets.token_hex(4)}"), "xb") as file:
        yield file


@contextmanager
def _put_in_place(path: Path, beside: Path, mode: Literal["wb", "xb"]) -> Iterator[BinaryIO]:
    try:
        file = beside.open(mode)
    except OSError as error:
        if mode == "xb":  # its name means nothing to anybody
            error.filename = str(path)
        raise
    try:
        with file:
            yield file
            file.flush()
            with suppress(FileNotFoundError):  # who may read it stays as it was
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):  # a write that finds no room names no file, and a move both
            error.filename = error.filename2 or error.filename or str(path)
        raise


@contextmanager
def file_where_asked(path: Path) -> Iterator[BinaryIO]:
    """A file to write to where a user wants it: a whole one, while a link, a pipe or a device stays what it is.

    Raises:
        OSError: It cannot be written. Its `filename` is that of `path`.
    """
    as_it_is = path.is_symlink() or (path.exists() and not path.is_file())
    with path.open("wb") if as_it_is else whole_file(path) as file:
        yield file


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
