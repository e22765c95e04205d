"""How rewards and returns are written beside a picture."""

from __future__ import annotations


def shown(value: float) -> str:
    """A number with two digits behind the point, and never a minus before zero."""
    return f"{round(value, 2) + 0.0:.2f}"
