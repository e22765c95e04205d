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


def short_names(paths: Iterable[str], between: str = ".") -> Mapping[str, str]:
    """For each path, as few of its last parts as tell it from the others.

    Args:
        paths: Of settings, dotted, or of files.
        between: What stands between the parts.
    """
    known = tuple(dict.fromkeys(paths))
    return {path: _shortest(path, known, between) for path in known}


def _shortest(path: str, others: Sequence[str], between: str) -> str:
    parts = path.split(between)
    for count in range(1, len(parts)):
        end = between.join(parts[-count:])
        ending = between + end
        if end and len([other for other in others if (between + other).endswith(ending)]) == 1:
            return end
    return path
