"""Draws made of raw numbers: those of numpy today, of the right law, and the same bits for ever."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from scipy import stats

from broker.arithmetic.draws import flat_dirichlet, integers, orders, single_uniforms, uniforms
from broker.arithmetic.scalars import log
from broker.seeding import generator


def stream(*name):
    return generator(7, "draws", *name)


def digest(array):
    return sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("shape", [(0,), (1,), (4, 3), (5, 1, 7)])
def test_uniform_numbers_are_those_that_numpy_makes_today(shape):
    assert (uniforms(stream(), shape) == stream().random(shape)).all()
    assert (single_uniforms(stream(), shape) == stream().random(shape, np.float32)).all()
    assert single_uniforms(stream(), shape).dtype == np.float32


def test_an_odd_number_of_single_ones_leaves_no_half_behind():
    one, other = stream(), stream()
    single_uniforms(one, (3,))
    other.bit_generator.random_raw(2)
    assert one.random() == other.random()


def test_whole_numbers_are_alike_and_below_their_bound():
    found = integers(stream(), 5, (10_000,))
    assert stats.chisquare(np.bincount(found, minlength=5)).pvalue > 0.001
    assert integers(stream(), 2**31, (1000,)).max() < 2**31
    assert integers(stream(), 1, (100,)).max() == 0


def test_orders_hold_every_number_once_and_each_order_is_as_likely():
    found = orders(stream(), 6000, 3)
    assert (np.sort(found, axis=1) == np.arange(3)).all()
    counts = np.unique(found, axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 0.001
    assert orders(stream(), 2, 0).shape == (2, 0)


@pytest.mark.parametrize("actions", [1, 2, 6])
def test_distributions_are_flat_ones(actions):
    found = flat_dirichlet(stream(), actions, 4000)
    assert found.shape == (4000, actions)
    assert (found > 0).all()
    assert found.sum(axis=1) == pytest.approx(1)
    if actions > 1:
        assert stats.kstest(found[:, 0], stats.beta(1, actions - 1).cdf).pvalue > 0.001


def test_a_distribution_is_made_of_exponential_numbers_added_in_order():
    raw = stream().bit_generator.random_raw(12).reshape(3, 4).tolist()
    for row, numbers in zip(flat_dirichlet(stream(), 4, 3).tolist(), raw, strict=True):
        sizes = [-log(((number >> 12) + 0.5) * 2.0**-52) for number in numbers]
        total = ((sizes[0] + sizes[1]) + sizes[2]) + sizes[3]
        assert row == [size / total for size in sizes]


def test_bits_are_these_on_every_machine():
    assert digest(uniforms(stream(), (100,))) == "c5faa62a4e35fcff"
    assert digest(single_uniforms(stream(), (99,))) == "b0b6362d1646928c"
    assert digest(integers(stream(), 2**31, (100,))) == "9a0b2615e3c864cd"
    assert digest(orders(stream(), 32, 36)) == "1b6dd21556cf9bc4"
    assert digest(flat_dirichlet(stream(), 6, 500)) == "f2a5ca394c872ad2"
