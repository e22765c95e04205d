"""What commands write where a user says: files of others stay as they are, and that is seen before the work begins."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from broker.counting import listed
from broker.errors import UserError
from broker.files import whole_file

_MOST_NAMED = 3


def require_new(path: Path) -> None:
    """See that a file can be made, before it is known what stands in it.

    Raises:
        UserError: It cannot.
    """
    if path.exists() or path.is_symlink():
        raise UserError(f"{path} is there already: expected the name of a new file")
    if not path.parent.is_dir():
        raise UserError(f"cannot write {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path}: its folder is not yours to write to")


def make_own_folder(folder: Path, marks: Collection[str]) -> None:
    """Make a command's folder, or see that the one that is there is one of its own, in which it writes its files again.

    Args:
        folder: It.
        marks: Names of files of which every such folder has one.

    Raises:
        UserError: It holds files of somebody else, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}") from None
    if found and not {*marks} & {*found}:
        raise UserError(
            f"expected a new or empty folder, or one that this command has made, found {folder} with "
            f"{listed(found, _MOST_NAMED)} in it. Choose another --out."
        )


def write(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        UserError: It cannot be written.
    """
    try:
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
