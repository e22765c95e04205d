"""Sums in order: each number is added to the sum of those before it."""

from __future__ import annotations

import numpy as np
import pytest

from broker.arithmetic.sums import added, mean, total

DRAWS = np.random.Generator(np.random.Philox(3))


def one_by_one(numbers):
    together = 0.0
    for number in numbers:
        together += float(number)
    return together


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 129, 5000])
def test_numbers_are_added_from_the_first_to_the_last_along_either_axis(length, dtype):
    values = (DRAWS.normal(size=(length, 3)) * 10.0 ** DRAWS.integers(-8, 8, (length, 3))).astype(dtype)
    for table in (values, np.asfortranarray(values)):
        assert total(table).tolist() == [one_by_one(column) for column in values.T]
        assert total(table.T, axis=1).tolist() == total(table).tolist()
        assert mean(table).tolist() == [one_by_one(column) / length for column in values.T]
    assert added(values[:, 0].tolist()) == one_by_one(values[:, 0])


def test_the_order_shows():
    numbers = [1e16, 1.0, -1e16, 1.0]
    assert added(numbers) == total(np.array(numbers)) == 1
    assert added(reversed(numbers)) == 0 + (((1.0 - 1e16) + 1.0) + 1e16)


def test_of_nothing_the_sum_is_zero():
    assert added([]) == 0
    assert total(np.zeros((0, 2))).tolist() == [0, 0]
    assert total(np.zeros((3, 0)), axis=1).tolist() == [0, 0, 0]
    assert total(np.zeros(0)).shape == ()
