"""What a set of kernels is: the arithmetic of learning and acting, of which every set gives the same bits.

Axes: N networks of a stack, R of them in use, P parameters of one network, B samples, I inputs, O outputs, A actions,
T steps, E copies. Arrays are float32 and contiguous unless it says otherwise; none is changed unless it says so. What
is computed, to the bit, stands in `broker.arithmetic.reference`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from broker.arithmetic.adam import Adam
from broker.arithmetic.sizes import Sizes

Array = np.ndarray


@dataclass(frozen=True)
class Pass:
    """Networks evaluated at the same inputs, and what their gradient needs of it.

    Attributes:
        sizes: Of every network.
        rows: Which rows of the stack, R of them.
        inputs: (B, I).
        hidden: Flat: for each network, for each hidden layer, what it gave (B, width).
        outputs: (R, B, O).
    """

    sizes: Sizes
    rows: tuple[int, ...]
    inputs: Array
    hidden: Array
    outputs: Array

    @classmethod
    def empty(cls, sizes: Sizes, rows: tuple[int, ...], inputs: Array) -> Pass:
        """Room for what `evaluate` finds."""
        samples = len(inputs)
        hidden = np.empty(len(rows) * samples * sum(sizes.hidden), np.float32)
        return cls(sizes, rows, inputs, hidden, np.empty((len(rows), samples, sizes.outputs), np.float32))

    def hidden_of(self, position: int, layer: int) -> Array:
        """What hidden layer `layer` of the network at `position` gave, (B, width); a view."""
        samples, widths = len(self.inputs), self.sizes.hidden
        start = samples * (position * sum(widths) + sum(widths[:layer]))
        view: Array = self.hidden[start : start + samples * widths[layer]].reshape(samples, widths[layer])
        return view


@dataclass(frozen=True)
class Acting:
    """What an agent acts with for a whole life: arrays that stay where they are.

    Attributes:
        sizes: Of the network.
        parameters: Its own (P,).
        observations: (T + 1, E, I), where timesteps are written; contiguous but for the first axis.
        possible: (T + 1, E, A) bool, which actions are possible at each timestep, contiguous in the last axis alone;
            None where the environment masks none.
        uniforms: (T, E), a draw in [0, 1) for every action.
        actions: (T, E) int64, where the actions are written.
        count: A, the number of own actions; outputs behind them belong to nobody.
    """

    sizes: Sizes
    parameters: Array
    observations: Array
    possible: np.ndarray | None
    uniforms: Array
    actions: np.ndarray
    count: int


class Kernels(Protocol):
    """A set of kernels.

    Attributes:
        name: What it was built for, or `reference`.
    """

    name: str

    def exponentials(self, x: Array) -> Array:
        """Exp of each number, of any shape."""
        ...

    def logarithms(self, x: Array) -> Array:
        """Log of each number, of any shape."""
        ...

    def total(self, x: Array) -> float:
        """The sum of all numbers, in float64 and in order."""
        ...

    def summed_first(self, x: Array) -> Array:
        """Sums over the first axis, in order: (n, ...) gives (...)."""
        ...

    def summed_last(self, x: Array) -> Array:
        """Sums over the last axis, in order: (..., n) gives (...)."""
        ...

    def normalized(self, x: Array, epsilon: float) -> Array:
        """(B,) shifted to mean 0 and divided by the standard deviation plus `epsilon`, in float64 and rounded once."""
        ...

    def discounted(self, terms: Array, discounts: Array) -> Array:
        """(T, E): each term plus its discount times the sum that begins at the next step."""
        ...

    def log_softmax(self, x: Array) -> Array:
        """Logits (..., A) as log-probabilities."""
        ...

    def log_softmax_gradient(self, log_probabilities: Array, gradient: Array) -> Array:
        """The gradient by the logits (..., A) of a scalar whose gradient by `log_probabilities` is `gradient`."""
        ...

    def weights(self, logits: Array, possible: np.ndarray | None) -> Array:
        """(B, A) of logits (B, A): how much likelier than the likeliest action each is, at most 1.

        Where `possible` (B, A) bool is given, what is not possible has weight 0.
        """
        ...

    def evaluate(self, sizes: Sizes, parameters: Array, rows: Sequence[int], inputs: Array) -> Pass:
        """The networks `rows` of `parameters` (N, P) at `inputs` (B, I)."""
        ...

    def gradient(self, passed: Pass, parameters: Array, positions: Sequence[int], output_gradient: Array) -> Array:
        """Gradient (n, P) of a scalar whose gradient by the outputs is `output_gradient` (R, B, O).

        Args:
            passed: What `evaluate` gave.
            parameters: (N, P), as they were then.
            positions: Of the n networks asked for, in 0 to R - 1.
            output_gradient: By all outputs; those of other networks are not looked at.
        """
        ...

    def move(self, adam: Adam, rows: Sequence[int], gradient: Array) -> None:
        """One step of the networks `rows` down their `gradient` (n, P), whose squares are finite, in place."""
        ...

    def descend(self, passed: Pass, adam: Adam, positions: Sequence[int], output_gradient: Array) -> bool:
        """`gradient`, then `move`, if the square of each of its numbers is finite; says whether that was so."""
        ...

    def act(self, acting: Acting, step: int) -> np.ndarray:
        """Actions (E,) int32 drawn at a step, also written to `acting.actions`."""
        ...
