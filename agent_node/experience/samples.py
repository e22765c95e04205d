"""Which samples of an episode a share is about, and which rows of it are the receiver's own samples too.

Neighbors that saw the whole episode have the same samples. One that missed a timestep, or whose part of the task ended
earlier, has others, and row b of its share would be about another state. So a share says which samples it is about:
one bit for every step and copy of an episode.
"""

from __future__ import annotations

import numpy as np

NAME = "samples"
"""Name of the array in a share; the algorithm's own arrays have other names."""


def packed_bytes(positions: int) -> int:
    """Length of the array for an episode of `positions` = time limit * copies."""
    return (positions + 7) // 8


def pack(index: np.ndarray, positions: int) -> np.ndarray:
    """Bits (uint8) of the samples at `index`, positions in the flattened (steps, copies) grid."""
    flags = np.zeros(positions, np.uint8)
    flags[index] = 1
    return np.packbits(flags)


def unpack(bits: np.ndarray, positions: int) -> np.ndarray:
    """The positions whose bits are set, in order."""
    return np.flatnonzero(np.unpackbits(bits, count=positions))


def common_rows(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For the positions that both hold: their rows in `ours` and in `theirs` (both ascending)."""
    _, our_rows, their_rows = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    return our_rows, their_rows
