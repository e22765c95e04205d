"""Sizes of a multilayer perceptron, and where its weights and biases lie within its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

Layer = tuple[np.ndarray, np.ndarray]
"""Weight (I, O) and bias (O,) of a layer: its outputs are `inputs @ weight + bias`."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a perceptron with ReLU between its layers.

    Attributes:
        inputs: I.
        hidden: Widths of the hidden layers.
        outputs: O.
    """

    inputs: int
    hidden: tuple[int, ...]
    outputs: int

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Of all layers, the inputs first."""
        return (self.inputs, *self.hidden, self.outputs)

    @cached_property
    def table(self) -> np.ndarray:
        """`widths` as int64, for kernels."""
        return np.array(self.widths, np.int64)

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        return list(pairwise(self.widths))

    @cached_property
    def size(self) -> int:
        """P."""
        return sum(rows * columns + columns for rows, columns in self.layers)

    def layers_of(self, parameters: np.ndarray) -> list[Layer]:
        """The layers of a network, first to last, as views into its parameters (P,): a weight and then its bias."""
        layers, start = [], 0
        for rows, columns in self.layers:
            middle, end = start + rows * columns, start + rows * columns + columns
            layers.append((parameters[start:middle].reshape(rows, columns), parameters[middle:end]))
            start = end
        return layers
