"""A square grid: numbered cells, moves and distinct places.

Cells are numbered row by row; a coordinate is (row, column) and row 0 is the upper one. Units are cells.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.random import Generator

from broker.arithmetic.draws import orders
from env_service.environments.task import Float, Integer


class Move(IntEnum):
    """The actions that move an agent; a task numbers its further actions from 4 on."""

    UP = 0
    DOWN = 1
    LEFT = 2
    RIGHT = 3


_STEPS = {Move.UP: (-1, 0), Move.DOWN: (1, 0), Move.LEFT: (0, -1), Move.RIGHT: (0, 1)}


class Grid:
    """A square of `side` times `side` cells.

    Attributes:
        side: Cells along one side, at least 2.
        coordinates: (cells, 2) int64, row and column of each cell.
        scaled: (cells, 2) float32, the same from -1 (upper or left edge) to 1.
    """

    def __init__(self, side: int) -> None:
        self.side = side
        self.coordinates: Integer = np.stack(np.divmod(np.arange(side * side), side), axis=1)
        self.scaled: Float = (2 * self.coordinates / (side - 1) - 1).astype(np.float32)
        self._places: Float = self.coordinates.astype(np.float32)

    def transitions(self, actions: int) -> Integer:
        """Where each action leads from each cell, (actions, cells) int64.

        The first four actions are those of `Move`, all others stay. A move off the grid stays too.
        """
        table = np.tile(np.arange(self.side**2), (actions, 1))
        for move, step in _STEPS.items():
            rows, columns = np.clip(self.coordinates + step, 0, self.side - 1).T
            table[move] = rows * self.side + columns
        return table

    def moved(self, transitions: Integer, actions: Integer, cells: Integer) -> Integer:
        """Where `actions` lead from `cells`, int64 of their shape, by the table that `transitions` made."""
        return transitions.take(actions * self.side**2 + cells)

    def places_of(self, cells: Integer) -> Float:
        """Row and column of each of `cells` (E, N), (E, N, 2) float32."""
        return self._places.take(cells, axis=0)

    def scaled_places(self, cells: Integer) -> Float:
        """The same of -1 to 1, one cell behind the other, (E, 2N) float32."""
        return self.scaled.take(cells, axis=0).reshape(len(cells), -1)

    def distances(self, cells: Integer, others: Integer) -> Integer:
        """L1 distance in cells from each of `cells` to its counterpart in `others`, int64 of their shape."""
        distances: Integer = np.abs(self.coordinates[cells] - self.coordinates[others]).sum(axis=-1)
        return distances

    def places(self, generator: Generator, copies: int, count: int) -> Integer:
        """`count` random distinct cells for each copy, (copies, count) int64."""
        return np.ascontiguousarray(orders(generator, copies, self.side**2)[:, :count])
