"""Numbers and names of things, in words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


def counted(number: int, noun: str, plural: str = "") -> str:
    """So many of something: `1 task`, `2 tasks`.

    Args:
        number: How many.
        noun: One of them.
        plural: Several of them, where an s is not enough.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def listed(names: Sequence[str], most: int) -> str:
    """The names, or so many of them and how many more there are: `a, b and 3 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def meant(name: str, known: Mapping[str, str]) -> str:
    """What is meant by a name that is nearly a known one; empty if none is near.

    Args:
        name: What somebody wrote.
        known: What each name stands for, itself perhaps.
    """
    names = {_plainly(each): own for each, own in known.items()}
    close = difflib.get_close_matches(_plainly(name), names, n=1)
    return names[close[0]] if close else ""


def _plainly(name: str) -> str:
    """A name as it differs from others: how its words are joined, and their capitals, tell nothing."""
    return name.lower().replace("_", "-").replace(" ", "-")


def shown_bytes(number: int) -> str:
    """A number of bytes for people."""
    shown, unit = float(number), 0
    while shown >= 1000 and unit + 1 < len(_UNITS):
        shown, unit = shown / 1000, unit + 1
    return f"{shown:.3g} {_UNITS[unit]}" if shown < 1000 else f"{shown:.0f} {_UNITS[unit]}"
