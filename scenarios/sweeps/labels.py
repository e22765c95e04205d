"""What labels are called in names of folders. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256

_LONGEST = 60
"""Characters of a key: a cell's name has up to three of them, and a file's name at most 255 bytes."""
_DIGITS = 8


def keys_of(labels: Sequence[str]) -> Mapping[str, str]:
    """For each label a key that can be the name of a folder.

    Where labels differ only in what a key cannot hold, or are long, the key bears a part of the label's SHA-256: it
    stays the same whatever stands beside it.
    """
    plain = {label: _plain(label) for label in labels}
    count = Counter(plain.values())
    return {
        label: key if key and count[key] == 1 and len(key) <= _LONGEST else _with_digest(key, label)
        for label, key in plain.items()
    }


def _plain(label: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-.")


def _with_digest(key: str, label: str) -> str:
    digest = sha256(label.encode()).hexdigest()[:_DIGITS]
    return f"{key[: _LONGEST - _DIGITS - 1].strip('-.')}-{digest}".strip("-")
