"""Curves in text: each character is two points wide and four high. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FIRST = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Of the left and the right column, from the top."""


def braille(values: NDArray[np.float64], width: int, height: int, low: float, high: float) -> list[str]:
    """A curve as lines of characters, the topmost first.

    Args:
        values: (points,) float64, at most two for a character; neighbors are joined.
        width: Characters of a line.
        height: Lines.
        low: What the lowest point means.
        high: What the highest point means; not below `low`.
    """
    cells = np.zeros((height, width), np.int64)
    rows = 4 * height
    span = high - low
    before: int | None = None
    for place, value in enumerate(values[: 2 * width]):
        part = 0.5 if span <= 0 else min(1.0, max(0.0, (float(value) - low) / span))
        row = min(rows - 1, int((1.0 - part) * rows))
        first, last = (row, row) if before is None else (min(row, before), max(row, before))
        for each in range(first, last + 1):
            cells[each // 4, place // 2] |= _DOTS[place % 2][each % 4]
        before = row
    return ["".join(chr(_FIRST + int(cell)) for cell in line) for line in cells]


def curve_text(values: NDArray[np.float64], width: int, height: int) -> str:
    """A curve with the numbers of its top and its bottom on the left.

    Args:
        values: (points,) float64, finite; as many as `curve_points` says, or fewer.
        width: Characters of a line.
        height: Lines.
    """
    if not len(values):
        return "no episode is over yet"
    low, high = float(values.min()), float(values.max())
    titles = ("team", "return")[: max(0, height - 2)]
    labels = [f"{high:.2f}", *titles, *([""] * (height - 2 - len(titles))), f"{low:.2f}"][:height]
    room = max(map(len, labels))
    across = max(1, width - room - 1)
    lines = braille(stretched(values, 2 * across), across, height, low, high)
    return "\n".join(f"{label:>{room}} {line}" for label, line in zip(labels, lines, strict=True))


def stretched(values: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    """A series over so many points, each value as often as its neighbors, or nearly."""
    return values[np.arange(points) * len(values) // points]


def curve_points(width: int) -> int:
    """How many points fit into a width, beside labels of usual length."""
    return max(2, 2 * (width - 9))
