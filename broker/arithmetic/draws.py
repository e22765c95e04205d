"""Random arrays with the same bits on every machine and of every version of numpy.

numpy promises the raw 64-bit numbers of a bit generator for good; what a `Generator` makes of them it may change (NEP
19), and its normal, exponential and Dirichlet numbers hang on the C library today. So everything here is made of raw
numbers, by exact operations and logarithms as they are defined here.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from broker.arithmetic.reference import logarithm

Shape = tuple[int, ...]


def uniforms(stream: Generator, shape: Shape) -> NDArray[np.float64]:
    """Multiples of 2^-53 in [0, 1), float64 of `shape`, each of one raw number."""
    return ((_raw(stream, prod(shape)) >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def single_uniforms(stream: Generator, shape: Shape) -> NDArray[np.float32]:
    """Multiples of 2^-24 in [0, 1), float32 of `shape`; two of each raw number, its lower half first."""
    count = prod(shape)
    halves = _raw(stream, -(-count // 2)).astype("<u8").view("<u4")[:count]
    return ((halves >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)


def integers(stream: Generator, below: int, shape: Shape) -> NDArray[np.int64]:
    """Whole numbers from 0 to `below` - 1, int64 of `shape`; `below` is at most 2^53."""
    return (uniforms(stream, shape) * below).astype(np.int64)


def orders(stream: Generator, rows: int, count: int) -> NDArray[np.int64]:
    """In each row the numbers 0 to `count` - 1 in a random order, (rows, count) int64."""
    return uniforms(stream, (rows, count)).argsort(axis=1, kind="stable").astype(np.int64)


def flat_dirichlet(stream: Generator, actions: int, rows: int) -> NDArray[np.float64]:
    """Distributions over `actions`, all equally likely, (rows, actions) float64: exponential numbers over their sum."""
    whole = (_raw(stream, rows * actions) >> np.uint64(12)).astype(np.float64)
    sizes = -logarithm(((whole + 0.5) * 2.0**-52).reshape(rows, actions))  # of numbers between 0 and 1, both left out
    shares: NDArray[np.float64] = sizes / np.add.accumulate(sizes, axis=1)[:, -1:]
    return shares


def _raw(stream: Generator, count: int) -> NDArray[np.uint64]:
    raw: NDArray[np.uint64] = stream.bit_generator.random_raw(count)
    return raw
