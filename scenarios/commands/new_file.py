"""New files that commands write where a user says; that they can be written is seen before the work begins."""

from __future__ import annotations

import os
from pathlib import Path

from broker.errors import UserError
from broker.files import whole_file


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
