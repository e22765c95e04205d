"""What one call of the kernels costs, beside torch with the same work and the reference that defines it.

All sets take turns, call by call, and the least of each counts: whatever else the machine does only adds to it.

Axes: R networks, B samples, I inputs, O outputs, E copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from broker.arithmetic.adam import Adam
from broker.arithmetic.kernels import Acting, Kernels
from broker.arithmetic.sizes import Sizes
from broker.seeding import generator

TORCH = "torch"
SHAPES = ((1, 20, 15), (3, 50, 20), (3, 640, 15), (12, 30, 12))
"""(R, B, I) of what is learned: one network, an agent with two neighbors at one copy and at 32, one with eleven."""
COPIES = (1, 32)
_HIDDEN, _OUTPUTS, _STEPS = (128, 64), 5, 4
_Calls = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class CallCost:
    """One kind of call.

    Attributes:
        call: What it computes, and of which size.
        least_us: Microseconds, the least of all calls, by the name of who computes.
    """

    call: str
    least_us: dict[str, float]

    def ratio(self, name: str) -> float:
        """To torch."""
        return self.least_us[name] / self.least_us[TORCH]


def measure_kernels(possible: Mapping[str, Kernels], calls: int) -> list[CallCost]:
    """Measure what learning and acting call, by every set of kernels and by torch.

    Args:
        possible: Sets of kernels by name.
        calls: How often each is called.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        costs = [cost for shape in SHAPES for cost in _learning(possible, shape, calls)]
        return [*costs, *(_acting(possible, copies, calls) for copies in COPIES)]
    finally:
        torch.set_num_threads(threads)


def _learning(possible: Mapping[str, Kernels], shape: tuple[int, int, int], calls: int) -> list[CallCost]:
    networks, samples, inputs = shape
    sizes, draw = Sizes(inputs, _HIDDEN, _OUTPUTS), _Numbers()
    parameters, seen = draw(networks, sizes.size) * np.float32(0.1), draw(samples, inputs)
    by_outputs, logits = draw(networks, samples, _OUTPUTS), draw(networks, samples, _OUTPUTS)
    in_torch = _TorchStack(sizes, parameters)
    tensors = [torch.from_numpy(each) for each in (seen, by_outputs, logits)]
    descents: dict[str, Callable[[], object]] = {TORCH: lambda: in_torch.descend(*tensors[:2])}
    softmaxes: dict[str, Callable[[], object]] = {TORCH: lambda: torch.log_softmax(tensors[2], -1)}
    for name, kernels in possible.items():
        descents[name] = _descent(kernels, sizes, parameters, seen, by_outputs)
        softmaxes[name] = lambda kernels=kernels: kernels.log_softmax(logits)  # type: ignore[misc]
    name = f"R={networks}, B={samples}, I={inputs}"
    return [_least(f"evaluate, descend: {name}", descents, calls), _least(f"log_softmax: {name}", softmaxes, calls)]


def _descent(
    kernels: Kernels, sizes: Sizes, parameters: np.ndarray, seen: np.ndarray, by_outputs: np.ndarray
) -> Callable[[], object]:
    moments = np.zeros_like(parameters), np.zeros_like(parameters)
    adam = Adam(parameters.copy(), *moments, np.zeros(len(parameters), np.int64), learning_rate=1e-9, epsilon=1e-5)
    rows = tuple(range(len(parameters)))
    return lambda: kernels.descend(kernels.evaluate(sizes, adam.parameters, rows, seen), adam, rows, by_outputs)


def _acting(possible: Mapping[str, Kernels], copies: int, calls: int) -> CallCost:
    sizes, draw = Sizes(15, _HIDDEN, _OUTPUTS), _Numbers()
    parameters, seen = draw(1, sizes.size) * np.float32(0.1), draw(_STEPS + 1, copies, 15)
    uniforms, actions = np.abs(draw(_STEPS, copies)) % 1, np.zeros((_STEPS, copies), np.int64)
    in_torch, tensor, drawn = _TorchStack(sizes, parameters), torch.from_numpy(seen), torch.from_numpy(uniforms)

    def act_in_torch() -> np.ndarray:
        sums = torch.softmax(in_torch.evaluate(tensor[1])[-1][0], dim=-1).cumsum(dim=-1)[:, :-1]
        return (sums <= drawn[1][:, None]).sum(dim=-1).numpy()

    acting = Acting(sizes, parameters[0], seen, None, uniforms, actions, _OUTPUTS)
    acts: dict[str, Callable[[], object]] = {TORCH: act_in_torch}
    for name, kernels in possible.items():
        acts[name] = lambda kernels=kernels: kernels.act(acting, 1)  # type: ignore[misc]
    return _least(f"act: E={copies}", acts, calls)


class _Numbers:
    """Draws of one stream, (…) float32 around 0."""

    def __init__(self) -> None:
        self._stream = generator(0, "bench", "arithmetic")

    def __call__(self, *shape: int) -> np.ndarray:
        drawn: np.ndarray = self._stream.standard_normal(shape, np.float32)
        return drawn


def _least(call: str, calls: _Calls, times: int) -> CallCost:
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(times):
        for name, each in calls.items():
            for _ in range(3):  # the first one finds the others' numbers in the caches
                began_at = perf_counter()
                each()
                least[name] = min(least[name], perf_counter() - began_at)
    return CallCost(call, {name: seconds * 1e6 for name, seconds in least.items()})


class _TorchStack:
    """Networks side by side, evaluated, differentiated by hand and moved with torch's batched products."""

    @torch.no_grad()
    def __init__(self, sizes: Sizes, parameters: np.ndarray) -> None:
        self._parameters = torch.from_numpy(parameters.copy())
        self._first, self._second = torch.zeros_like(self._parameters), torch.zeros_like(self._parameters)
        lengths = [length for rows, columns in pairwise(sizes.widths) for length in (rows * columns, columns)]
        pieces = torch.split(self._parameters, lengths, dim=1)
        self._layers = [
            (pieces[2 * number].view(-1, rows, columns), pieces[2 * number + 1].view(-1, 1, columns))
            for number, (rows, columns) in enumerate(sizes.layers)
        ]
        self._steps = 0

    @torch.no_grad()
    def evaluate(self, seen: Tensor) -> list[Tensor]:
        """What each layer was given, and the outputs (R, B, O)."""
        given = [seen.expand(len(self._parameters), *seen.shape)]
        for weight, bias in self._layers:
            given.append(torch.baddbmm(bias, given[-1], weight))
            if len(given) <= len(self._layers):
                torch.relu_(given[-1])
        return given

    @torch.no_grad()
    def descend(self, seen: Tensor, by_outputs: Tensor) -> None:
        """A step of Adam."""
        given, gradient, pieces = self.evaluate(seen), by_outputs, list[Tensor]()
        for number in reversed(range(len(self._layers))):
            pieces = [torch.bmm(given[number].mT, gradient).flatten(1), gradient.sum(dim=1), *pieces]
            if number:
                gradient = torch.bmm(gradient, self._layers[number][0].mT).mul_(given[number] > 0)
        own, self._steps = torch.cat(pieces, dim=1), self._steps + 1
        self._first.lerp_(own, 1 - Adam.BETA1)
        self._second.mul_(Adam.BETA2).addcmul_(own, own, value=1 - Adam.BETA2)
        root = self._second.sqrt().div_((1 - Adam.BETA2**self._steps) ** 0.5).add_(1e-5)
        self._parameters.addcdiv_(self._first, root, value=-1e-9 / (1 - Adam.BETA1**self._steps))
