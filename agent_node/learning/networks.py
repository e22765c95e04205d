"""Multilayer perceptrons in stacks: many networks of one layout, evaluated and updated together.

Axes: R networks, P parameters of one network, B samples, I inputs, O outputs; float32 throughout.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from agent_node.learning.network_sizes import Sizes
from agent_node.learning.perceptron import Perceptron, layers_of


def initial_parameters(layout: Sizes, generator: Generator) -> Tensor:
    """Parameters (P,) drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as PyTorch's Linear does (our choice)."""
    pieces = []
    for rows, columns in layout.layers:
        bound = rows**-0.5
        pieces += [generator.uniform(-bound, bound, length) for length in (rows * columns, columns)]
    return torch.cat([torch.from_numpy(piece).float() for piece in pieces])


def widened(layout: Sizes, parameters: Tensor, outputs: int) -> Tensor:
    """The same network with more outputs, the new ones without weights: parameters of the wider layout."""
    *inner, weight, bias = torch.split(parameters, layout.pieces)
    missing = (0, outputs - layout.outputs)
    wide = torch.nn.functional.pad(weight.view(-1, layout.outputs), missing)
    return torch.cat([*inner, wide.reshape(-1), torch.nn.functional.pad(bias, missing)])


class Evaluation:
    """The networks with `parameters` (R, P), evaluated at the same `inputs` (B, I).

    The gradient is written out instead of left to autograd: it is three products a layer, and on the small batches of a
    node autograd's bookkeeping costs more than they do.

    Attributes:
        outputs: (R, B, O), without gradient.
    """

    @torch.no_grad()
    def __init__(self, layout: Sizes, parameters: Tensor, inputs: Tensor) -> None:
        self._weights: list[Tensor] = []
        self._inputs: list[Tensor] = []
        networks = parameters.shape[0]
        pieces = torch.split(parameters, layout.pieces, dim=1)
        x = inputs.expand(networks, *inputs.shape)
        last = len(layout.layers) - 1
        for number, (rows, columns) in enumerate(layout.layers):
            weight = pieces[2 * number].view(networks, rows, columns)
            self._weights.append(weight)
            self._inputs.append(x)
            x = torch.baddbmm(pieces[2 * number + 1].view(networks, 1, columns), x, weight)
            if number < last:
                x = torch.relu_(x)
        self.outputs = x

    @torch.no_grad()
    def gradient(self, output_gradient: Tensor) -> Tensor:
        """Gradient (R, P) of a scalar whose gradient by the outputs is `output_gradient` (R, B, O)."""
        pieces: list[Tensor] = []
        gradient = output_gradient
        for number in reversed(range(len(self._weights))):
            weight_gradient = torch.bmm(self._inputs[number].transpose(1, 2), gradient)
            pieces = [weight_gradient.flatten(1), gradient.sum(dim=1), *pieces]
            if number > 0:
                # The inputs of a layer are what the ReLU before it let through.
                gradient = torch.bmm(gradient, self._weights[number].transpose(1, 2)).mul_(self._inputs[number] > 0)
        return torch.cat(pieces, dim=1)


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

    def __init__(self, layout: Sizes, rows: Sequence[Tensor], learning_rate: float, epsilon: float) -> None:
        self.layout = layout
        self.parameters = torch.stack(list(rows))
        self._learning_rate = learning_rate
        self._epsilon = epsilon
        # Zeros of numpy's take no memory until the first update writes to them.
        self._first, self._second = (torch.from_numpy(np.zeros(self.parameters.shape, np.float32)) for _ in range(2))
        self._steps = [0] * len(rows)

    def pick(self, rows: Sequence[int]) -> Tensor:
        """A copy (len(rows), P) of some networks' parameters."""
        return self._pick(self.parameters, rows)

    @torch.no_grad()
    def step(self, rows: Sequence[int], gradient: Tensor) -> None:
        """Move the networks `rows` one Adam step down `gradient` (len(rows), P)."""
        for row in rows:
            self._steps[row] += 1
        if self._is_whole(rows) and len(set(self._steps)) == 1:
            self._move(self.parameters, self._first, self._second, gradient, steps=self._steps[0])
            return
        for position, row in enumerate(rows):
            own = (self.parameters[row], self._first[row], self._second[row])
            self._move(*own, gradient[position], steps=self._steps[row])

    def state(self) -> dict[str, np.ndarray]:
        """Parameters, moments (R, P) and steps (R,) int64; views of the first three."""
        moments = {"first": self._first.numpy(), "second": self._second.numpy()}
        return {"parameters": self.parameters.numpy(), "steps": np.array(self._steps, np.int64)} | moments

    @torch.no_grad()
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take up what `state` once gave, in place: whoever holds views sees it."""
        self.parameters.copy_(torch.from_numpy(state["parameters"]))
        self._first.copy_(torch.from_numpy(state["first"]))
        self._second.copy_(torch.from_numpy(state["second"]))
        self._steps = state["steps"].tolist()

    def _move(self, parameters: Tensor, first: Tensor, second: Tensor, gradient: Tensor, *, steps: int) -> None:
        """One Adam step, in place, of networks that have taken equally many (`steps`, this one included)."""
        first.lerp_(gradient, 1 - self.BETA1)
        second.mul_(self.BETA2).addcmul_(gradient, gradient, value=1 - self.BETA2)
        root = second.sqrt().div_(math.sqrt(1 - self.BETA2**steps)).add_(self._epsilon)
        parameters.addcdiv_(first, root, value=-self._learning_rate / (1 - self.BETA1**steps))

    def _pick(self, tensor: Tensor, rows: Sequence[int]) -> Tensor:
        return tensor.clone() if self._is_whole(rows) else tensor[list(rows)]

    def _is_whole(self, rows: Sequence[int]) -> bool:
        return list(rows) == list(range(len(self._steps)))


class Policy(Perceptron):
    """The network of one row of a stack, for acting: it sees every update at once.

    Args:
        stack: Holds the parameters.
        row: Which network.
    """

    def __init__(self, stack: Stack, row: int = 0) -> None:
        super().__init__(layers_of(stack.layout, stack.parameters[row].numpy()))
