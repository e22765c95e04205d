"""Exp, log and powers: near the true numbers, and the same bits everywhere."""

from __future__ import annotations

import random
import struct
from decimal import Context, Decimal
from fractions import Fraction
from hashlib import sha256
from math import copysign, factorial, frexp, inf, isnan, ldexp, nan, nextafter, ulp

import pytest

from broker.arithmetic.constants import EXP_COEFFICIENTS, LN2, LN2_HIGH, LN2_LOW, LOG_COEFFICIENTS, SQRT_HALF
from broker.arithmetic.scalars import exp, integer_power, log, log1p, power

EXACT = Context(prec=60, Emin=-(10**6), Emax=10**6)
SMALLEST, LARGEST = 2.0**-1074, (2.0 - 2.0**-52) * 2.0**1023


def ulps(found, true):
    """How far a float is from a true number, in units of its last place."""
    return float(abs(Decimal(found) - true) / Decimal(ulp(float(true))))


def wide(count, low, high, of=0):
    """Numbers of either sign and of every size from 2^low to 2^high."""
    draws = random.Random(of)
    return [draws.uniform(-1, 1) * 2.0 ** draws.randint(low, high) for _ in range(count)]


def test_the_constants_stand_for_what_they_are_called():
    ln2 = Decimal(2).ln(EXACT)
    assert float(ln2) == LN2
    assert float(EXACT.subtract(ln2, Decimal(LN2_HIGH))) == LN2_LOW
    assert struct.unpack("<Q", struct.pack("<d", LN2_HIGH))[0] % 2**32 == 0
    assert float(Decimal("0.5").sqrt(EXACT)) == SQRT_HALF
    assert all(Fraction(c) == float(Fraction(1, factorial(n))) for n, c in enumerate(EXP_COEFFICIENTS))
    assert all(Fraction(c) == float(Fraction(1, 2 * n + 1)) for n, c in enumerate(LOG_COEFFICIENTS))


def test_exp_is_within_one_and_a_half_ulp_of_the_truth():
    inputs = [number for number in wide(4000, -60, 10) if -708 < number < 709.7]
    assert max(ulps(exp(number), Decimal(number).exp(EXACT)) for number in inputs) < 1.5


def test_log_is_within_three_ulp_of_the_truth_next_to_one_too():
    inputs = [abs(number) for number in wide(2000, -1074, 1023) if number]
    inputs += [1 + number for number in wide(2000, -52, -1)]
    assert max(ulps(log(number), Decimal(number).ln(EXACT)) for number in inputs if number != 1) < 3


def test_log1p_is_within_five_ulp_of_the_truth_however_small_its_input():
    inputs = [number for number in wide(4000, -200, 60) if number > -1 and number]
    context = Context(prec=150)
    for number in inputs:
        assert ulps(log1p(number), context.add(1, Decimal(number)).ln(context)) < 5, number


def test_powers_lose_no_more_than_exp_log_and_one_product_do():
    draws = random.Random(3)
    cases = [(0.6451071799149256, -4.728205969213305)]
    cases += [(abs(draws.uniform(-1, 1)) * 2.0 ** draws.randint(-54, 4), draws.uniform(-4, 4)) for _ in range(2000)]
    cases += [(2.0 ** draws.uniform(-3, 3), draws.uniform(-8, 8)) for _ in range(4000)]
    for base, exponent in cases:
        y = EXACT.multiply(Decimal(exponent), Decimal(base).ln(EXACT))
        true = y.exp(EXACT)
        off = float(abs(Decimal(power(base, exponent)) - true) / true)
        assert off < (3 + 7 * abs(float(y))) * 2.0**-53, (base, exponent)


def test_special_values_are_those_of_ieee_754():
    assert [exp(number) for number in (0.0, -0.0, -inf, inf, 709.79, 1e300, -1e300)] == [1, 1, 0, inf, inf, inf, 0]
    assert exp(709.78) < LARGEST
    assert exp(-745.2) == 0 < exp(-745.1) == SMALLEST
    assert [log(number) for number in (0.0, -0.0, 1.0, inf, 2.0)] == [-inf, -inf, 0, inf, LN2]
    assert [log1p(number) for number in (-1.0, inf)] == [-inf, inf]
    assert copysign(1, log1p(-0.0)) == -1
    assert [power(0.0, 2.5), power(0.0, -2.5), power(1.0, inf), power(0.0, 0.0), power(inf, 0.5)] == [0, inf, 1, 1, inf]
    for odd in (exp(nan), log(nan), log(-1.0), log(-inf), log1p(-1.5), log1p(nan), power(-1.0, 0.5), power(2.0, nan)):
        assert isnan(odd)


def test_subnormal_numbers_are_rounded_once():
    for number in wide(300, -3, -1):
        true = (Decimal(-720) + Decimal(number)).exp(EXACT)
        found = exp(-720 + number)
        assert found == float(true) or abs(Fraction(found) - Fraction(true)) <= Fraction(SMALLEST), number


@pytest.mark.parametrize("function", [exp, log, log1p])
def test_what_is_larger_by_a_few_ulp_gives_no_less(function):
    for number in wide(4000, -20, 9, of=7):
        start = abs(number)
        more = start
        for _ in range(8):
            more = nextafter(more, inf)
        assert function(start) <= function(more), start


def rounded(number):
    """An exact number as a float, which is how IEEE 754 rounds every result."""
    return Fraction(float(number))


def test_every_operation_of_exp_and_log_is_rounded_and_none_is_fused():
    """Both once more in fractions, rounding after each operation: a fused multiply-add or longer registers show."""
    for number in wide(200, -12, 8):
        k = round(rounded(Fraction(number) / Fraction(LN2)))
        r = rounded(rounded(number - rounded(k * Fraction(LN2_HIGH))) - rounded(k * Fraction(LN2_LOW)))
        assert exp(number) == ldexp(float(horner(EXP_COEFFICIENTS, r)), k)
    for number in map(abs, wide(200, -12, 8)):
        m, k = frexp(number)
        m, k = (Fraction(m), k) if m >= SQRT_HALF else (Fraction(2 * m), k - 1)
        s = rounded(rounded(m - 1) / rounded(m + 1))
        series = rounded(rounded(2 * s) * horner(LOG_COEFFICIENTS, rounded(s * s)))
        low = rounded(series + rounded(k * Fraction(LN2_LOW)))
        assert log(number) == float(low + rounded(k * Fraction(LN2_HIGH)))


def horner(coefficients, x):
    total = Fraction(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = rounded(rounded(total * x) + Fraction(coefficient))
    return total


def test_whole_powers_are_products_by_squaring():
    assert [integer_power(3.0, n) for n in range(5)] == [1, 3, 9, 27, 81]
    assert integer_power(0.9, 5) == (0.9 * ((0.9 * 0.9) * (0.9 * 0.9)))
    assert integer_power(2.0, -3) == 0.125
    assert integer_power(0.999, 1000) == pytest.approx(0.999**1000, rel=1e-12)
    assert integer_power(10.0, 400) == inf


def test_bits_are_these_on_every_machine():
    assert exp(1.0).hex() == "0x1.5bf0a8b14576ap+1"  # the float next to e is one less
    assert log(10.0).hex() == "0x1.26bb1bbb55516p+1"
    assert power(2.0, 0.5).hex() == "0x1.6a09e667f3bccp+0"
    inputs = [(n - 500) / 7 for n in range(1000)]
    found = [exp(x) for x in inputs] + [log(abs(x) + 1 / 3) for x in inputs] + [log1p(x / 80) for x in inputs]
    found += [power(abs(x), x / 40) for x in inputs if x]
    assert (
        sha256(struct.pack(f"<{len(found)}d", *(0.0 if isnan(x) else x for x in found))).hexdigest()[:16]
        == "64d83dc37ebee6d8"
    )
