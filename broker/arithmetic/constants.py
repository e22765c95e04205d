"""The numbers in the definitions of exp and log, for plain floats, arrays and kernels alike.

Each is the float64 next to the number it stands for. `float.hex` writes them for other languages.
"""

from __future__ import annotations

from math import factorial

LN2 = float.fromhex("0x1.62e42fefa39efp-1")
"""ln 2, by which exp divides to find the power of two."""
LN2_HIGH = float.fromhex("0x1.62e42p-1")
"""ln 2 cut to 21 bits: its product with an integer below 2^32 is exact."""
LN2_LOW = float.fromhex("0x1.fdf473de6af28p-22")
"""ln 2 less `LN2_HIGH`."""
SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")
"""The square root of 1/2, from which log takes its significands to twice as much."""
EXP_COEFFICIENTS = tuple(1 / factorial(n) for n in range(14))
"""1/n! for n = 0 to 13: e^r = sum of r^n / n!, for |r| <= ln(2)/2 with a relative error below 2^-57."""
LOG_COEFFICIENTS = tuple(1 / (2 * n + 1) for n in range(11))
"""1/(2n+1) for n = 0 to 10: log((1+s)/(1-s)) = 2s times the sum of (s^2)^n / (2n+1), for s up to 0.172 with a
relative error below 2^-60."""
