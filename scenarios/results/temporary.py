"""Folders in the system's folder for temporary files, which anybody may write to."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from broker.errors import UserError
from broker.text_files import is_text

Made = TypeVar("Made")
_PREFIX = "foretell_"
"""No scenario's name has an underscore, so nobody's folder for slices is taken for one of these."""
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for this process alone, gone afterwards; if it is killed, whoever makes the next removes it.

    Raises:
        UserError: It cannot be made.
    """
    for left in temporary_place().glob(f"{_PREFIX}*"):
        if (lock := _hold(left)) is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)
    lock = None
    while lock is None:  # somebody took it for one that was left
        folder = Path(_sentence(lambda: tempfile.mkdtemp(prefix=_PREFIX)))
        lock = _hold(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def temporary_file() -> Iterator[IO[bytes]]:
    """A file for this process alone, without a name; gone afterwards, however that comes.

    Raises:
        UserError: It cannot be made.
    """
    with _sentence(tempfile.TemporaryFile) as file:
        yield file


def temporary_place() -> Path:
    """The system's folder for temporary files.

    Raises:
        UserError: There is none that can be written to.
    """
    place = Path(_sentence(tempfile.gettempdir))
    if not is_text(place):
        msg = f"expected a temporary folder whose path is UTF-8, found {str(place)!r}: set TMPDIR to another place"
        raise UserError(msg)
    return place


def own_folder(folder: Path) -> None:
    """Make a folder whose name everybody can foresee, or see that the one that is there is ours alone.

    Raises:
        OSError: It cannot be made.
        UserError: It is a link, somebody else's, or open to others.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
        if not ours or found.st_mode & _WRITABLE_BY_OTHERS:
            msg = (
                f"expected a folder of yours that nobody else can write to, found {folder} "
                f"({stat.filemode(found.st_mode)}, user {found.st_uid}). Remove it, or set TMPDIR to another place."
            )
            raise UserError(msg) from None


def _sentence(make: Callable[[], Made]) -> Made:
    try:
        return make()
    except OSError as error:
        msg = f"cannot make a temporary file or folder: {error.strerror}. Make room, or set TMPDIR to another place."
        raise UserError(msg) from None


def _hold(folder: Path) -> int | None:
    """Lock a folder of ours until the process ends, however it does; None if it is gone, or somebody has it."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_uid == os.getuid() and folder.exists():
            return lock
    except OSError:
        pass
    os.close(lock)
    return None
