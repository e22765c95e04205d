"""The logs in a run's folder, read from where the reader has come to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SUFFIX = ".log"
_MOST_BYTES = 1 << 18


def new_in_logs(folder: Path, begin: Mapping[str, int]) -> dict[str, bytes]:
    """What logs say from a place on, of each no more than fits into an answer; left out where that is nothing new.

    Args:
        folder: Of the logs.
        begin: Bytes that have been read already, by name of a log; what is not named is read from its beginning.

    Raises:
        OSError: A log cannot be read.
    """
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            file.seek(begin.get(path.stem, 0))
            content = file.read(_MOST_BYTES)
        if content or path.stem not in begin:
            found[path.stem] = content
    return found
