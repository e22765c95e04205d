"""Checks what a neighbor shared before any of it is used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agent_node.learning.algorithm import Field, Kind
from broker.errors import ProtocolViolation

SUM_TOLERANCE = 1e-3
"""How far a distribution's sum may be from 1: ten times what float32 rounding gives for 1000 actions."""

_DTYPES = {Kind.DISTRIBUTION: np.float32, Kind.ACTIONS: np.int32, Kind.REAL: np.float32, Kind.BITS: np.uint8}


def check_share(arrays: Mapping[str, np.ndarray], fields: tuple[Field, ...]) -> None:
    """Refuse arrays that are not exactly the `fields` an algorithm shares.

    Raises:
        ProtocolViolation: Names the array, what was expected and what was found.
    """
    if arrays.keys() != {field.name for field in fields}:
        expected, found = sorted(field.name for field in fields), sorted(arrays)
        msg = f"expected arrays {expected}, found {found}"
        raise ProtocolViolation(msg)
    for field in fields:
        _check(arrays[field.name], field)


def count_bits(array: np.ndarray | None, field: Field) -> int:
    """Number of bits set in an array that must be `field` (bits).

    Raises:
        ProtocolViolation: It is not there, or not what `field` says.
    """
    if array is None:
        msg = f"expected an array {field.name}"
        raise ProtocolViolation(msg)
    _check(array, field)
    bits = np.unpackbits(array)
    if bits[field.limit :].any():
        msg = f"{field.name}: expected at most {field.limit} bits, found one behind them"
        raise ProtocolViolation(msg)
    return int(np.count_nonzero(bits))


def _check(array: np.ndarray, field: Field) -> None:
    dtype = _DTYPES[field.kind]
    if array.shape != field.shape or array.dtype != dtype:
        msg = f"{field.name}: expected {field.shape} {dtype.__name__}, found {array.shape} {array.dtype}"
        raise ProtocolViolation(msg)
    if not array.size:
        return
    if field.kind is Kind.DISTRIBUTION:
        _check_distribution(array, field.name)
    elif field.kind is Kind.ACTIONS and (array.min() < 0 or array.max() >= field.limit):
        msg = f"{field.name}: expected actions from 0 to {field.limit - 1}, found {array.min()} to {array.max()}"
        raise ProtocolViolation(msg)
    elif field.kind is Kind.REAL and not np.isfinite(array).all():
        msg = f"{field.name}: expected finite numbers, found NaN or infinity"
        raise ProtocolViolation(msg)


def _check_distribution(array: np.ndarray, name: str) -> None:
    if not array.min() >= 0:
        msg = f"{name}: expected non-negative probabilities, found {array.min()}"
        raise ProtocolViolation(msg)
    off = np.abs(array.sum(axis=-1) - 1).max()
    if not off <= SUM_TOLERANCE:
        msg = f"{name}: expected distributions that sum to 1, found one that is off by {off:.3g}"
        raise ProtocolViolation(msg)
