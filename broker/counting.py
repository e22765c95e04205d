"""Numbers of things, in words."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """So many of something: `1 task`, `2 tasks`.

    Args:
        number: How many.
        noun: One of them.
        plural: Several of them, where an s is not enough.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
