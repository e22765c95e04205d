"""Exp, log and powers of plain floats, with the same bits on every machine.

Only additions, multiplications, divisions and comparisons of float64 and exact scaling by powers of two: one way to
round each, so one result. `math.exp`, `math.log`, `math.pow` and `x ** y` ask the C library, and each has its own.
"""

from __future__ import annotations

from math import frexp, inf, isnan, ldexp, nan

from broker.arithmetic.constants import (
    EXP_COEFFICIENTS,
    LN2,
    LN2_HIGH,
    LN2_LOW,
    LOG_COEFFICIENTS,
    SQRT_HALF,
)

_TOO_LARGE, _TOO_SMALL = 710.0, -746.0
"""Beyond them exp is infinite, or rounds to 0."""


def polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """The sum of coefficients[n] * x^n, by Horner's rule from the last one on."""
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def exp(x: float) -> float:
    """e^x within 1.5 ulp: e^x = 2^k e^r with |r| <= ln(2)/2, whose power series is taken to degree 13."""
    if not _TOO_SMALL <= x <= _TOO_LARGE:
        return x if isnan(x) else inf if x > 0 else 0.0
    k = round(x / LN2)  # half to even
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    power = polynomial(EXP_COEFFICIENTS, r)
    return ldexp(power, k - 1) * 2.0 if k > 0 else ldexp(power, k)  # a product overflows to infinity, ldexp raises


def log(x: float) -> float:
    """The natural logarithm within 3 ulp: that of 2^k m is k ln 2 + log m, with m from sqrt(1/2) to sqrt(2).

    Log m is 2 artanh s with s = (m - 1) / (m + 1), by its power series. That of 0 is -infinity, below it is NaN.
    """
    if not 0.0 < x < inf:
        return -inf if x == 0 else x if x > 0 else nan
    m, k = frexp(x)
    if m < SQRT_HALF:
        m, k = 2.0 * m, k - 1
    s = (m - 1.0) / (m + 1.0)
    return (2.0 * s * polynomial(LOG_COEFFICIENTS, s * s) + k * LN2_LOW) + k * LN2_HIGH


def log1p(x: float) -> float:
    """The logarithm of 1 + x within 5 ulp, also where 1 + x has lost most of x (Kahan's quotient)."""
    shifted = 1.0 + x
    lost = shifted - 1.0
    return x if lost == 0 or shifted == inf else log(shifted) * (x / lost) if shifted > 0 else log(shifted)


def power(base: float, exponent: float) -> float:
    """`base` >= 0 to any power: e^y with y = exponent log(base), off by at most (3 + 7 |y|) 2^-53 of itself.

    Of these 3 are of exp (1.5 ulp), 6 |y| of log (3 ulp) and |y| of the product. Below 2^-1022 it is rounded once more.
    """
    if exponent == 0 or base == 1:
        return 1.0
    return exp(exponent * log(base))


def integer_power(base: float, exponent: int) -> float:
    """`base` to a whole power, by squaring: the bits of the exponent from the lowest on; negative ones divide 1."""
    total, square, bits = 1.0, base, abs(exponent)
    while bits:
        if bits & 1:
            total *= square
        square *= square
        bits >>= 1
    return total if exponent >= 0 else 1.0 / total
