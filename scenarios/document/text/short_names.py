"""What settings are called where people read of several. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def short_names(paths: Iterable[str]) -> Mapping[str, str]:
    """For each dotted path, as few of its last parts as tell it from the others."""
    known = tuple(dict.fromkeys(paths))
    return {path: _shortest(path, known) for path in known}


def _shortest(path: str, others: Sequence[str]) -> str:
    parts = path.split(".")
    for count in range(1, len(parts)):
        end = ".".join(parts[-count:])
        if len([other for other in others if f".{other}".endswith(f".{end}")]) == 1:
            return end
    return path
