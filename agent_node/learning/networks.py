"""Multilayer perceptrons in stacks: many networks of one layout, evaluated and updated together.

Axes: R networks, P parameters of one network, B samples, I inputs, O outputs; float32 throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import Generator

from broker.arithmetic.adam import Adam
from broker.arithmetic.chosen import kernels
from broker.arithmetic.draws import uniforms
from broker.arithmetic.kernels import Pass
from broker.arithmetic.sizes import Sizes


def initial_parameters(sizes: Sizes, generator: Generator) -> np.ndarray:
    """Parameters (P,) drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as PyTorch's Linear does (our choice)."""
    pieces = []
    for rows, columns in sizes.layers:
        bound = 1 / np.sqrt(rows)
        pieces += [2 * bound * uniforms(generator, (length,)) - bound for length in (rows * columns, columns)]
    return np.concatenate(pieces).astype(np.float32)


def widened(sizes: Sizes, parameters: np.ndarray, outputs: int) -> np.ndarray:
    """The same network with more outputs, the new ones without weights: parameters of the wider layout."""
    wider = Sizes(sizes.inputs, sizes.hidden, outputs)
    wide = np.zeros(wider.size, np.float32)
    for (weight, bias), (narrow_weight, narrow_bias) in zip(
        wider.layers_of(wide), sizes.layers_of(parameters), strict=True
    ):
        weight[:, : len(narrow_bias)] = narrow_weight
        bias[: len(narrow_bias)] = narrow_bias
    return wide


class Stack:
    """Networks of one layout with their Adam moments, one network a row.

    A row that takes no part in an update keeps its parameters, moments and step count untouched.

    Args:
        sizes: Of every network.
        rows: Initial parameters of each network, each (P,).
        learning_rate: Adam's step size.
        epsilon: Adam's, added to the root of the second moment.
    """

    def __init__(self, sizes: Sizes, rows: Sequence[np.ndarray], learning_rate: float, epsilon: float) -> None:
        self.sizes = sizes
        self.parameters = np.stack(list(rows))
        # Zeros of numpy's take no memory until the first update writes to them.
        first, second = (np.zeros(self.parameters.shape, np.float32) for _ in range(2))
        steps = np.zeros(len(self.parameters), np.int64)
        self._adam = Adam(self.parameters, first, second, steps, learning_rate, epsilon)

    def evaluate(self, rows: Sequence[int], inputs: np.ndarray) -> Pass:
        """The networks `rows` at `inputs` (B, I)."""
        return kernels.evaluate(self.sizes, self.parameters, rows, inputs)

    def descend(self, passed: Pass, positions: Sequence[int], output_gradient: np.ndarray) -> bool:
        """Move networks one Adam step down the gradient of a scalar, if all squares of it are finite; else none moves.

        Args:
            passed: What `evaluate` gave; parameters have not changed since.
            positions: Of those to move, among the R networks evaluated.
            output_gradient: (R, B, O), of the scalar by all outputs.

        Returns:
            Whether they moved.
        """
        return kernels.descend(passed, self._adam, positions, output_gradient)

    def state(self) -> dict[str, np.ndarray]:
        """Parameters, moments (R, P) and steps (R,) int64; views."""
        adam = self._adam
        return {"parameters": adam.parameters, "steps": adam.steps, "first": adam.first, "second": adam.second}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take up what `state` once gave, in place: whoever holds views sees it."""
        for name, array in self.state().items():
            array[...] = state[name]
