"""Which actions are possible: what a share says of its sender, and what is left of policies under it.

The environment tells every agent, for each of its samples, which of its actions it could have taken. A policy is a
distribution over these alone: the softmax of their logits,

    pi(a|s) = exp(z_a) / sum of exp(z_b) over the possible b,    and 0 for an impossible a.

In logarithms an impossible action stands at `IMPOSSIBLE`, which is finite: its exp is exactly 0 in float32, so 0 log 0
is 0, and a gradient through it is 0 where minus infinity would give NaN.

B samples, R policies, A actions.
"""

from __future__ import annotations

import numpy as np

from broker.arithmetic.chosen import kernels

NAME = "mask"
"""Name of the array in a share; the algorithm's own arrays have other names."""

IMPOSSIBLE = -1e9
"""The log-probability of what cannot be done."""


def packed_bytes(actions: int) -> int:
    """Length of a row of the array for that many actions: one bit for each."""
    return (actions + 7) // 8


def pack(possible: np.ndarray) -> np.ndarray:
    """Bits (B, bytes) uint8 of which actions are `possible` (B, A)."""
    return np.packbits(possible, axis=-1)


def unpack(bits: np.ndarray, actions: int) -> np.ndarray:
    """Which actions are possible, (B, A) bool."""
    possible: np.ndarray = np.unpackbits(bits, axis=-1, count=actions).view(np.bool_)
    return possible


def among(logits: np.ndarray, possible: np.ndarray) -> np.ndarray:
    """Logits (..., A) as log-probabilities over the `possible` actions (..., A) bool alone."""
    return kernels.log_softmax(np.where(possible, logits, np.float32(IMPOSSIBLE)))


def renormalized(probabilities: np.ndarray, possible: np.ndarray) -> np.ndarray:
    """Distributions (..., A) over the `possible` actions (..., A) bool alone.

    One that has nothing left says nothing of them: all possible actions are alike in it.
    """
    kept = np.where(possible, probabilities, np.float32(0))
    total = kernels.summed_last(kept)[..., None]
    alike = possible / np.count_nonzero(possible, axis=-1)[..., None].astype(np.float32)
    nothing = total == 0
    over: np.ndarray = np.where(nothing, alike, kept / np.where(nothing, np.float32(1), total))
    return over
