"""What a share holds beside the algorithm's own arrays, and how it is checked before any of it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from agent_node.experience import masks, samples
from agent_node.learning import consensus
from agent_node.learning.algorithm import Algorithm
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from broker.errors import ProtocolViolation

SUM_TOLERANCE = 1e-3
"""How far a distribution's sum may be from 1: ten times what float32 rounding gives for 1000 actions."""

_DTYPES = {
    Kind.DISTRIBUTION: np.float32,
    Kind.ACTIONS: np.int32,
    Kind.REAL: np.float32,
    Kind.BITS: np.uint8,
    Kind.COUNT: np.int32,
    Kind.MASK: np.uint8,
}
HEAD_BYTES = 1024
"""What stands around the arrays in a frame, reckoned generously."""


@dataclass(frozen=True)
class ShareFormat:
    """All that crosses an edge under an algorithm.

    Attributes:
        algorithm: Says what its own arrays are.
        positions: Samples that an episode can have: time limit * copies.
        agents: How many agents there are.
        masked: Whether the environment says which actions are possible. A share then says so of its sender, if agents
            hold policies for each other.
    """

    algorithm: Algorithm
    positions: int
    agents: int
    masked: bool

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """The algorithm's own; the degree, with parameters; the mask; which samples they are about, if any has rows."""
        fields = self.algorithm.fields(edge)
        if fields and self.algorithm.shares_parameters:
            fields += (Field(consensus.NAME, Kind.COUNT, (1,), self.agents - 1, per_sample=False),)
        if fields and self.masked and self.algorithm.models != "self":
            bits = (edge.rows, masks.packed_bytes(edge.source_actions))
            fields += (Field(masks.NAME, Kind.MASK, bits, edge.source_actions),)
        if any(field.per_sample for field in fields):
            grid = (samples.packed_bytes(self.positions),)
            fields += (Field(samples.NAME, Kind.BITS, grid, self.positions, per_sample=False),)
        return fields

    def complete(
        self, own: Arrays, edge: ShareShape, *, index: np.ndarray, degree: int, possible: np.ndarray | None
    ) -> Arrays:
        """A whole share on `edge`.

        Args:
            own: The algorithm's arrays.
            edge: Where it shall cross.
            index: Positions of the samples that it is about.
            degree: How many partners the sender has in the round.
            possible: (rows, actions) bool, what the sender could do at these samples; None where nothing is masked.
        """
        names = {field.name for field in self.fields(edge)}
        beside = {samples.NAME: samples.pack(index, self.positions), consensus.NAME: consensus.pack(degree)}
        if possible is not None:
            beside[masks.NAME] = masks.pack(possible)
        return own | {name: array for name, array in beside.items() if name in names}

    def names_of_rows(self, edge: ShareShape) -> frozenset[str]:
        """The arrays that have a row per sample."""
        return frozenset(field.name for field in self.fields(edge) if field.per_sample)

    def check(self, arrays: Mapping[str, np.ndarray], edge: ShareShape) -> None:
        """Refuse arrays that are no share on `edge`, whose number of rows the share itself says.

        Raises:
            ProtocolViolation: Names the array, what was expected and what was found.
        """
        bits = [field for field in self.fields(edge) if field.kind is Kind.BITS]
        rows = count_bits(arrays.get(bits[0].name), bits[0]) if bits else 0
        fields = self.fields(replace(edge, rows=rows))
        check_share(arrays, fields)
        if masks.NAME in arrays:
            possible = masks.unpack(arrays[masks.NAME], edge.source_actions)
            for field in fields:
                if field.own_choice:
                    _check_choice(arrays[field.name], field, possible)

    def size_bytes(self, edge: ShareShape) -> int:
        """What a share on `edge` is on the wire, its head reckoned generously."""
        fields = self.fields(edge)
        return HEAD_BYTES + sum(math.prod(field.shape) * np.dtype(_DTYPES[field.kind]).itemsize for field in fields)


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
    elif field.kind is Kind.COUNT and (array.min() < 1 or array.max() > field.limit):
        msg = f"{field.name}: expected 1 to {field.limit}, found {array.min()}"
        raise ProtocolViolation(msg)
    elif field.kind is Kind.MASK:
        _check_mask(array, field)
    elif field.kind is Kind.REAL and not np.isfinite(array).all():
        msg = f"{field.name}: expected finite numbers, found NaN or infinity"
        raise ProtocolViolation(msg)


def _check_mask(array: np.ndarray, field: Field) -> None:
    if masks.unpack(array, 8 * array.shape[-1])[:, field.limit :].any():
        msg = f"{field.name}: expected {field.limit} bits in a row, found one behind them"
        raise ProtocolViolation(msg)
    if not array.any(axis=-1).all():
        msg = f"{field.name}: expected a possible action in every row, found none in row {array.any(axis=-1).argmin()}"
        raise ProtocolViolation(msg)


def _check_choice(array: np.ndarray, field: Field, possible: np.ndarray) -> None:
    """Refuse actions (rows,), or distributions (rows, actions), that are not among the `possible` (rows, actions)."""
    wrong = ~np.take_along_axis(possible, array[:, None], 1) if field.kind is Kind.ACTIONS else (array > 0) & ~possible
    if wrong.any():
        row = int(wrong.any(axis=-1).argmax())
        msg = f"{field.name}: expected only actions that the sender's own mask allows, found another in row {row}"
        raise ProtocolViolation(msg)


def _check_distribution(array: np.ndarray, name: str) -> None:
    if not array.min() >= 0:
        msg = f"{name}: expected non-negative probabilities, found {array.min()}"
        raise ProtocolViolation(msg)
    off = np.abs(array.sum(axis=-1) - 1).max()
    if not off <= SUM_TOLERANCE:
        msg = f"{name}: expected distributions that sum to 1, found one that is off by {off:.3g}"
        raise ProtocolViolation(msg)
