"""Whether a folder is one that a study, sweep or twin has made, so that it may write there.

Its lock says so from the beginning. Older versions left none that does, and who hands results on leaves it out; then it
is known by a cell in it, or by holding nothing but what is made before the first cell.
"""

from __future__ import annotations

import json
import re
import tomllib
from contextlib import suppress
from pathlib import Path

from broker.errors import UserError
from broker.text_files import read_file, read_text
from scenarios.document.loading import MOST_BYTES
from scenarios.document.text.toml_text import parse_toml

LOCK = ".lock"
PARTS = ("runs", "logs", "documents", "outcomes")
_MARK = b"foretell: a study, sweep or twin\n"
_CELL = re.compile(r"(?:.*--)?seed(\d+)")
_MOST_OUTCOME_BYTES = 1 << 20


def is_own(root: Path) -> bool:
    """Whether a folder was made by a study, sweep or twin, of whatever version, killed at whatever moment.

    Raises:
        OSError: It cannot be read.
    """
    if _said_by(root / LOCK) == _MARK:
        return True
    documents, outcomes = (root / "documents").glob("*.toml"), (root / "outcomes").glob("*.json")
    return any(map(_is_document, documents)) or any(map(_is_outcome, outcomes)) or _has_just_begun(root)


def mark(root: Path) -> None:
    """Let a folder's lock, which this process holds, say what the folder is.

    Raises:
        OSError: It cannot be written.
    """
    if _said_by(root / LOCK) != _MARK:
        (root / LOCK).write_bytes(_MARK)  # not in one step: another file in its place would not be locked


def _said_by(lock: Path) -> bytes | None:
    """What a lock says; None if it is none of ours."""
    with suppress(OSError):
        return read_file(lock, len(_MARK))
    return None


def _is_document(path: Path) -> bool:
    """Whether a file is the resolved document of a cell."""
    named = _CELL.fullmatch(path.stem)
    with suppress(OSError, UserError, tomllib.TOMLDecodeError):
        found = parse_toml(read_text(path, MOST_BYTES))
        return named is not None and found.get("seed") == int(named[1]) and {"environment", "algorithm"} <= found.keys()
    return False


def _is_outcome(path: Path) -> bool:
    """Whether a file is what is kept of a cell's run."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_text(path, _MOST_OUTCOME_BYTES))
        named = _CELL.fullmatch(path.stem) is not None
        return named and isinstance(found, dict) and {"format", "foretell", "arithmetic"} <= found.keys()
    return False


def _has_just_begun(root: Path) -> bool:
    """Whether there is nothing but documents of a sweep and what is made before the first cell's document is whole."""
    there = {path.name: path for path in root.iterdir() if path.suffix != ".toml"}
    if not there:
        return False
    said = _said_by(there.pop(LOCK)) if LOCK in there else b""
    if said is None or not _MARK.startswith(said) or not there.keys() <= {*PARTS}:
        return False
    left = [inner for path in there.values() for inner in path.iterdir()]
    return all(_CELL.fullmatch(path.name.removesuffix(".toml.new")) for path in left)
