"""Sums of arrays in order, with the same bits on every machine.

`np.sum` and what is made of it add in an order that depends on the processor's vectors and on the version of numpy, and
Python's `sum` rounds otherwise since 3.12. Here each number is added to the sum of those before it, in float64.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Exact = NDArray[np.float64]


def total(values: np.ndarray, axis: int = 0) -> Exact:
    """The sums of `values` along an axis, from the first number to the last, float64; of none it is 0."""
    if not values.shape[axis]:
        return np.zeros(np.delete(values.shape, axis), np.float64)
    sums: Exact = np.add.accumulate(values, axis=axis, dtype=np.float64).take(-1, axis=axis)
    return sums


def mean(values: np.ndarray, axis: int = 0) -> Exact:
    """The sums over the number of what was added, of which there must be something."""
    means: Exact = total(values, axis) / values.shape[axis]
    return means


def added(numbers: Iterable[float]) -> float:
    """The sum of some plain floats, from the first to the last."""
    together = 0.0
    for number in numbers:
        together += number
    return together
