"""Long series in few points, to be drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def thinned(values: NDArray[np.float64], points: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A long series as at most so many points: means over equal windows, the last of which may be shorter.

    Args:
        values: (episodes,) float64.
        points: At most.

    Returns:
        The middle of each window, counted from 1, and the mean over it; both (points,) float64.
    """
    window = max(1, -(-len(values) // points))
    firsts = np.arange(0, len(values), window)
    if not len(firsts):
        return np.zeros(0), np.zeros(0)
    lengths = np.minimum(window, len(values) - firsts)
    return firsts + (lengths + 1) / 2, np.add.reduceat(values, firsts) / lengths
