"""What settings are called where people read of several. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def by_path(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a document, those in tables by their dotted path; lists are one value."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{path}": each for path, each in by_path(value).items()}
        else:
            found[name] = value
    return found


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
