"""Files that commands write where a user says; that a new one can be written is seen before the work begins."""

from __future__ import annotations

import os
from pathlib import Path

from broker.errors import UserError
from broker.files import file_where_asked


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


def write_where_asked(path: Path, content: bytes) -> None:
    """Write a file where a user wants it; see `file_where_asked`.

    Raises:
        UserError: It cannot be written.
    """
    try:
        with file_where_asked(path) as file:
            file.write(content)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise UserError(msg) from None
