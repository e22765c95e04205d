"""The folder of an export, a file an agent: there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from broker.errors import UserError
from broker.files import sync_tree


def require_new_folder(out: Path) -> None:
    """See that a folder can be made, before it is known what stands in it.

    Raises:
        UserError: It cannot.
    """
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is there already: expected the name of a new folder")
    if not out.absolute().parent.is_dir():
        raise UserError(f"cannot make {out}: there is no folder {out.parent}")


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder with files, by name.

    Raises:
        UserError: It cannot be made.
    """
    place = out.absolute()
    beside = place.with_name(f".{place.name}-{os.getpid()}")
    try:
        beside.mkdir()
        for name, content in files.items():
            (beside / name).write_bytes(content)
        sync_tree(beside)
        beside.rename(place)
    except OSError as error:
        raise UserError(f"cannot make {out}: {error.strerror}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
