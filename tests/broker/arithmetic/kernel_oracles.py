"""Small cases by hand: loops over plain numbers, each rounded to float32 by `struct` after every operation."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]


def single(x: float) -> float:
    """The float32 next to a float64: what one operation of float32 gives when float64 computed it."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", x))[0])
    except OverflowError:
        return math.copysign(math.inf, x)


def product(left: Matrix, right: Matrix, start: Matrix) -> list[list[float]]:
    """`start` + `left` times `right`, in the order of the sum, each product rounded before it is added."""
    result = [list(row) for row in start]
    for m, row in enumerate(result):
        for n in range(len(row)):
            for k in range(len(right)):
                row[n] = single(row[n] + single(left[m][k] * right[k][n]))
    return result


def turned(x: Matrix) -> list[list[float]]:
    return [list(column) for column in zip(*x, strict=True)]


def adam(
    parameter: float, first: float, second: float, gradient: float, steps: int, *, learning_rate: float, epsilon: float
) -> tuple[float, float, float]:
    """Step number `steps` of one parameter: it and its moments."""
    powers = [1.0, 1.0]
    for at, base in enumerate((0.9, 0.999)):
        square, exponent = base, steps
        while exponent:
            powers[at] *= square if exponent % 2 else 1.0
            square, exponent = square * square, exponent // 2
    correction = math.sqrt(1 - powers[1])
    size, added = single(learning_rate * correction / (1 - powers[0])), single(epsilon * correction)
    first = single(first + single(single(gradient - first) * single(1 - 0.9)))
    first = 0.0 if abs(first) < 2.0**-100 else first
    grown = single(single(gradient * gradient) * single(1 - 0.999))
    second = single(single(second * single(0.999)) + grown)
    second = 0.0 if second < 2.0**-100 else second
    root = single(single(math.sqrt(second)) + added)
    return single(parameter - single(size * single(first / root))), first, second
