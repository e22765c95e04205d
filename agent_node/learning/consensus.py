"""Agreement by averaging over a graph: Metropolis weights, and the step toward what others hold.

The weight of an edge needs the degrees of both of its ends, and an agent knows only its own: who exchanges with whom in
a round may depend on who was in range. So a share of parameters says how many partners its sender has in the round.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

NAME = "degree"
"""Name of the array in a share; the algorithm's own arrays have other names."""


def pack(degree: int) -> np.ndarray:
    """The array that says how many partners the sender has in this round."""
    return np.array([degree], np.int32)


def unpack(array: np.ndarray) -> int:
    """The degree that a checked array says."""
    return int(array[0])


def metropolis_weight(degree: int, other: int) -> float:
    """c_ij of an edge whose ends have these degrees; both ends find the same, and what is left of 1 is c_ii."""
    return 1 / (1 + max(degree, other))


def step_toward(own: np.ndarray, others: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """The sum over j of c_ij (theta_j - theta_i), so that whoever is missing leaves its weight with the agent itself.

    Written with differences, equal parameters stay equal to the last bit.

    Args:
        own: theta_i, any shape.
        others: theta_j by name, in the order in which they are added, each of the same shape.
        weights: c_ij by name.
    """
    step, apart = np.zeros_like(own), np.empty_like(own)
    for name, array in others.items():
        np.subtract(array, own, out=apart)
        apart *= np.float32(weights[name])
        step += apart
    return step
