"""Multilayer perceptrons in stacks: many networks of one layout, evaluated and updated together.

Axes: R networks, P parameters of one network, B samples, I inputs, O outputs; float32 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from numpy.random import Generator
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Sizes of a perceptron with ReLU between its layers.

    Attributes:
        inputs: I.
        hidden: Widths of the hidden layers.
        outputs: O.
    """

    inputs: int
    hidden: tuple[int, ...]
    outputs: int

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        return list(pairwise((self.inputs, *self.hidden, self.outputs)))

    @property
    def pieces(self) -> list[int]:
        """Lengths of the weights and biases within a network's parameters, layer by layer."""
        return [length for rows, columns in self.layers for length in (rows * columns, columns)]

    @property
    def size(self) -> int:
        """P."""
        return sum(self.pieces)


def initial_parameters(layout: Layout, generator: Generator) -> Tensor:
    """Parameters (P,) drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as PyTorch's Linear does (our choice)."""
    pieces = []
    for rows, columns in layout.layers:
        bound = rows**-0.5
        pieces += [generator.uniform(-bound, bound, length) for length in (rows * columns, columns)]
    return torch.cat([torch.from_numpy(piece).float() for piece in pieces])


def widened(layout: Layout, parameters: Tensor, outputs: int) -> Tensor:
    """The same network with more outputs, the new ones without weights: parameters of the wider layout."""
    *inner, weight, bias = torch.split(parameters, layout.pieces)
    missing = (0, outputs - layout.outputs)
    wide = torch.nn.functional.pad(weight.view(-1, layout.outputs), missing)
    return torch.cat([*inner, wide.reshape(-1), torch.nn.functional.pad(bias, missing)])


def forward(layout: Layout, parameters: Tensor, inputs: Tensor) -> Tensor:
    """Outputs (R, B, O) of the networks with `parameters` (R, P) for the same `inputs` (B, I)."""
    networks = parameters.shape[0]
    pieces = torch.split(parameters, layout.pieces, dim=1)
    x = inputs.expand(networks, *inputs.shape)
    last = len(layout.layers) - 1
    for number, (rows, columns) in enumerate(layout.layers):
        weight = pieces[2 * number].view(networks, rows, columns)
        bias = pieces[2 * number + 1].view(networks, 1, columns)
        x = torch.baddbmm(bias, x, weight)
        if number < last:
            x = torch.relu_(x)
    return x


class Stack:
    """Networks of one layout with their Adam moments, one network a row.

    A row that takes no part in an update keeps its parameters, moments and step count untouched.

    Args:
        layout: Of every network.
        rows: Initial parameters of each network, each (P,).
        learning_rate: Adam's step size.
        epsilon: Adam's, added to the root of the second moment.
    """

    BETA1 = 0.9
    BETA2 = 0.999

    def __init__(self, layout: Layout, rows: Sequence[Tensor], learning_rate: float, epsilon: float) -> None:
        self.layout = layout
        self.parameters = torch.stack(list(rows))
        self._learning_rate = learning_rate
        self._epsilon = epsilon
        self._first = torch.zeros_like(self.parameters)
        self._second = torch.zeros_like(self.parameters)
        self._steps = [0] * len(rows)

    def leaf(self, rows: Sequence[int]) -> Tensor:
        """A copy (len(rows), P) of some networks that gradients can be taken of."""
        return self._pick(self.parameters, rows).requires_grad_()

    @torch.no_grad()
    def step(self, rows: Sequence[int], gradient: Tensor) -> None:
        """Move the networks `rows` one Adam step down `gradient` (len(rows), P)."""
        whole = self._is_whole(rows)
        first, second, parameters = (
            (tensor if whole else self._pick(tensor, rows)) for tensor in (self._first, self._second, self.parameters)
        )
        for row in rows:
            self._steps[row] += 1
        steps = torch.tensor([[self._steps[row]] for row in rows], dtype=torch.float64)
        step_size = (self._learning_rate / (1 - self.BETA1**steps)).float()
        root = (1 - self.BETA2**steps).sqrt().float()
        first.lerp_(gradient, 1 - self.BETA1)
        second.mul_(self.BETA2).addcmul_(gradient, gradient, value=1 - self.BETA2)
        parameters.sub_(first * step_size / (second.sqrt().div_(root).add_(self._epsilon)))
        if not whole:
            index = torch.tensor(list(rows))
            for target, source in ((self._first, first), (self._second, second), (self.parameters, parameters)):
                target.index_copy_(0, index, source)

    def _pick(self, tensor: Tensor, rows: Sequence[int]) -> Tensor:
        return tensor.clone() if self._is_whole(rows) else tensor[list(rows)]

    def _is_whole(self, rows: Sequence[int]) -> bool:
        return list(rows) == list(range(len(self._steps)))


class Policy:
    """The network of one row of a stack, for acting: it sees every update at once.

    Args:
        stack: Holds the parameters.
        row: Which network.
    """

    def __init__(self, stack: Stack, row: int = 0) -> None:
        pieces = torch.split(stack.parameters[row], stack.layout.pieces)
        self._layers = [
            (pieces[2 * number].view(rows, columns), pieces[2 * number + 1])
            for number, (rows, columns) in enumerate(stack.layout.layers)
        ]

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Tensor:
        """Outputs (B, O) for `inputs` (B, I), without a gradient."""
        *hidden, (weight, bias) = self._layers
        x = inputs
        for inner_weight, inner_bias in hidden:
            x = torch.relu_(torch.addmm(inner_bias, x, inner_weight))
        return torch.addmm(bias, x, weight)
