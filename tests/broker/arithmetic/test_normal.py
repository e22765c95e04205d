"""The normal distribution both ways: near the true numbers, and the same bits everywhere."""

from __future__ import annotations

import random
import struct
from decimal import Context, Decimal, localcontext
from hashlib import sha256
from math import isnan, nan
from statistics import NormalDist

import pytest

from broker.arithmetic.normal import probability, quantile

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798")


def density(z):
    return (-z * z / 2).exp() / (2 * PI).sqrt()


def below(z):
    """The probability below z <= 0: by a series next to 0, by Laplace's continued fraction in the tail."""
    if z > -5:
        term = total = -z
        odd = 1
        while total and term > total * Decimal(10) ** -55:
            odd += 2
            term = term * z * z / odd
            total += term
        return Decimal("0.5") - total * density(z)
    fraction = Decimal(0)
    for n in range(600, 0, -1):
        fraction = n / (-z + fraction)
    return density(z) / (-z + fraction)


def below_any(z):
    return below(z) if z <= 0 else 1 - below(-z)


def off(found, true):
    return float(abs(Decimal(found) - true) / abs(true))


def test_probabilities_are_true_to_fifteen_digits_in_both_tails():
    draws = random.Random(1)
    scores = [draws.uniform(low, high) for low, high in ((-37.4, -9), (-9, 9), (-2, 2)) for _ in range(300)]
    with localcontext(Context(prec=60, Emin=-(10**6))):
        assert max(off(probability(score), below_any(Decimal(score))) for score in scores) < 1e-15


def test_quantiles_are_true_to_fifteen_digits_from_the_smallest_draw_to_the_largest():
    draws = random.Random(2)
    given = [draws.random() for _ in range(150)] + [draws.random() * 2.0 ** -draws.randint(1, 54) for _ in range(150)]
    given += [1 - 2.0 ** -draws.randint(2, 53) for _ in range(50)] + [2.0**-1074, 1e-300]
    with localcontext(Context(prec=60, Emin=-(10**6))):
        for each in given:
            guess = Decimal(quantile(each))
            step = (below_any(guess) - Decimal(each)) / density(guess)  # Newton's, by which the guess is off
            assert abs(step / guess) < Decimal("1e-15"), each


def test_both_agree_with_pythons_own():
    standard = NormalDist()
    for n in range(1, 2000):
        assert quantile(n / 2000) == pytest.approx(standard.inv_cdf(n / 2000), rel=1e-13, abs=1e-15)
        assert probability(n / 100 - 10) == pytest.approx(standard.cdf(n / 100 - 10), rel=1e-9)


def test_each_undoes_the_other_and_mirrors_itself():
    for n in range(1, 512):
        assert quantile(n / 1024) == -quantile(1 - n / 1024)
        assert probability(quantile(n / 1024)) == pytest.approx(n / 1024, rel=4e-15)


def test_ends_and_middle_are_exact():
    assert quantile(0.5) == 0
    assert probability(0.0) == 0.5
    assert [probability(score) for score in (9.0, 50.0, float("inf"))] == [1, 1, 1]
    assert [probability(score) for score in (-39.0, -1e9, float("-inf"))] == [0, 0, 0]
    assert isnan(probability(nan))


def test_bits_are_these_on_every_machine():
    assert quantile(0.975).hex() == "0x1.f5c0331eeff82p+0"
    found = [quantile(n / 3001) for n in range(1, 3001)] + [quantile(2.0**-n) for n in range(1, 60)]
    found += [probability((n - 1500) / 40) for n in range(3000)]
    assert sha256(struct.pack(f"<{len(found)}d", *found)).hexdigest()[:16] == "32d6ad6cfb911790"
