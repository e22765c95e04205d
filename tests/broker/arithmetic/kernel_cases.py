"""Random input for kernels, and the comparison of two sets of them in every bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from broker.arithmetic.adam import Adam
from broker.arithmetic.kernels import Acting, Kernels, Pass
from broker.arithmetic.sizes import Sizes

SPECIAL = np.array(
    [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 1.1754942e-38, 3.4028235e38, -3.4028235e38, 1e-30, 1.0],
    np.float32,
)


@dataclass(frozen=True)
class Numbers:
    """Where numbers of a case come from.

    Attributes:
        generator: Of all of them.
        magnitude: Powers of ten they spread over, to both sides of 1.
        special: Which part of them is one of `SPECIAL`.
        zeros: Which part of them is 0, of either sign.
    """

    generator: np.random.Generator
    magnitude: float
    special: float
    zeros: float

    def array(self, *shape: int) -> np.ndarray:
        draw = self.generator
        with np.errstate(all="ignore"):
            x = (draw.standard_normal(shape) * 10.0 ** draw.uniform(-self.magnitude, self.magnitude, shape)).astype(
                np.float32
            )
        x = np.where(draw.random(shape) < self.zeros, np.where(x < 0, np.float32(-0.0), np.float32(0)), x)
        return np.where(draw.random(shape) < self.special, draw.choice(SPECIAL, shape), x).astype(np.float32)

    def mask(self, *shape: int) -> np.ndarray:
        return self.generator.random(shape) < 0.7


def numbers(seed: int) -> Numbers:
    generator = np.random.Generator(np.random.Philox(seed))
    magnitude, special, zeros = generator.choice([0.0, 1.0, 20.0, 40.0]), generator.choice([0.0, 0.0, 0.02]), 0.1
    return Numbers(generator, float(magnitude), float(special), zeros)


def same_bits(one: object, other: object) -> bool:
    """Whether two results have one shape, one type and the same bits; NaN is as good as NaN."""
    if isinstance(one, float) or isinstance(other, float) or isinstance(one, bool):
        return type(one) is type(other) and same_bits(np.array(one), np.array(other))
    left, right = np.asarray(one), np.asarray(other)
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.dtype.kind != "f":
        return bool((left == right).all())
    nan = np.isnan(left)
    words = np.uint32 if left.dtype == np.float32 else np.uint64
    equal = np.ascontiguousarray(left).view(words) == np.ascontiguousarray(right).view(words)
    return bool((nan == np.isnan(right)).all() and (nan | equal.reshape(nan.shape)).all())


Results = dict[str, object]


def network_results(kernels: Kernels, seed: int, sizes: Sizes, samples: int, networks: int) -> Results:
    """Everything a stack of networks goes through in one update."""
    some = numbers(seed)
    draw = some.generator
    inputs = some.array(samples, sizes.inputs)
    rows = tuple(int(row) for row in draw.permutation(networks)[: draw.integers(1, networks + 1)])
    positions = [int(at) for at in draw.permutation(len(rows))[: draw.integers(0, len(rows) + 1)]]
    output_gradient = some.array(len(rows), samples, sizes.outputs)
    adam = Adam(
        some.array(networks, sizes.size),
        some.array(networks, sizes.size) * np.float32(1e-3),
        np.abs(some.array(networks, sizes.size)),
        draw.integers(0, 3000, networks),
        learning_rate=3e-4,
        epsilon=1e-5,
    )
    passed = kernels.evaluate(sizes, adam.parameters, rows, inputs)
    results: Results = {"hidden": passed.hidden, "outputs": passed.outputs}
    results["gradient"] = gradient = kernels.gradient(passed, adam.parameters, positions, output_gradient)
    results["descended"] = kernels.descend(passed, adam, positions, output_gradient)
    results |= {"after descend": _copied(adam)}
    kernels.move(adam, [rows[at] for at in positions], gradient)
    return results | _copied(adam)


def _copied(adam: Adam) -> Results:
    return {
        "parameters": adam.parameters.copy(),
        "first": adam.first.copy(),
        "second": adam.second.copy(),
        "steps": adam.steps.copy(),
    }


def row_results(kernels: Kernels, seed: int, rows: int, width: int) -> Results:
    """All that takes a few numbers a row."""
    some = numbers(seed)
    logits, gradient, mask = some.array(rows, width), some.array(rows, width), some.mask(rows, width)
    deep = some.array(2, rows, width)
    return {
        "exponentials": kernels.exponentials(logits),
        "logarithms": kernels.logarithms(logits),
        "total": kernels.total(logits),
        "summed first": kernels.summed_first(deep),
        "summed last": kernels.summed_last(deep),
        "summed first of one axis": kernels.summed_first(logits[:, 0].copy()),
        "summed last of one axis": kernels.summed_last(logits[:, 0].copy()),
        "normalized": kernels.normalized(logits[:, 0].copy(), 1e-8),
        "discounted": kernels.discounted(logits, gradient),
        "log softmax": kernels.log_softmax(deep),
        "log softmax gradient": kernels.log_softmax_gradient(kernels.log_softmax(logits), gradient),
        "weights": kernels.weights(logits, None),
        "weights of what is possible": kernels.weights(logits, mask),
    }


def acting_results(kernels: Kernels, seed: int, sizes: Sizes, copies: int, *, masked: bool) -> Results:
    """What a life draws, from views as a life has them."""
    some = numbers(seed)
    steps, count = 3, int(some.generator.integers(1, sizes.outputs + 1))
    shared = some.array(steps + 1, 2, copies, sizes.inputs)
    possible = some.mask(steps + 1, copies, 2, count)[:, :, 1] if masked else None
    uniforms = some.generator.random((copies, steps), np.float32).T
    actions = np.full((steps, copies, 2), -1, np.int64)[:, :, 0]
    acting = Acting(sizes, some.array(sizes.size), shared[:, 1], possible, uniforms, actions, count)
    drawn = [kernels.act(acting, step) for step in range(steps)]
    return {"actions": actions, **{f"drawn {step}": each for step, each in enumerate(drawn)}}


def different(results: Callable[[Kernels], Results], one: Kernels, other: Kernels) -> list[str]:
    """Names of the results in which two sets of kernels are not the same in every bit."""
    return list(_different(results(one), results(other)))


def _different(one: Results, other: Results) -> Iterator[str]:
    for name, value in one.items():
        if isinstance(value, dict):
            yield from (f"{name}: {each}" for each in _different(value, other[name]))  # type: ignore[arg-type]
        elif not same_bits(value, other[name]):
            yield name


def passed_of(kernels: Kernels, sizes: Sizes, samples: int, seed: int = 0) -> tuple[np.ndarray, Pass]:
    some = numbers(seed)
    parameters = some.array(2, sizes.size)
    return parameters, kernels.evaluate(sizes, parameters, (0, 1), some.array(samples, sizes.inputs))
