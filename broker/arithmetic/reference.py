"""What each kernel computes, in numpy and to the bit: slow, and the definition of all others.

IEEE 754 fixes the result of one addition, multiplication, division, square root, comparison and rounding. Three things
it leaves open, and they are fixed here:

1. Sums are taken in the order of their index, each number added to what came before.
2. A product is rounded before it is added; there is no fused multiply-add.
3. exp and log are written out in float64 (`exponential`, `logarithm`) and rounded once.

So only operations of single elements and `np.add.accumulate`, which goes in order, are used on this page.

Axes: N networks of a stack, R of them in use, P parameters of one network, B samples, I inputs, O outputs, A actions,
T steps, E copies; float32 and contiguous unless it says otherwise. A product of matrices starts from what is given (a
bias, or 0) and adds one product after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TypeVar, cast

import numpy as np

from broker.arithmetic.adam import SMALLEST_MOMENT, Adam
from broker.arithmetic.constants import EXP_COEFFICIENTS, LN2, LN2_HIGH, LN2_LOW, LOG_COEFFICIENTS, SQRT_HALF
from broker.arithmetic.kernels import Acting, Array, Pass
from broker.arithmetic.sizes import Sizes
from broker.errors import FlushToZero

_EXP_LIMIT = 150.0
"""Beyond it exp in float32 is infinite or 0, and in float64 still an ordinary number."""


_SMALL, _HALF = np.float32(2.0**-126), np.float32(0.5)
_Kernel = TypeVar("_Kernel", bound=Callable[..., object])


def _as_ieee_754_says(kernel: _Kernel) -> _Kernel:
    """A kernel in which numbers below 2^-126 count, what overflows becomes infinite and what has no value NaN.

    Raises:
        FlushToZero: Such numbers are taken as 0 in this thread.
    """

    @wraps(kernel)
    def checked(*arguments: object) -> object:
        if _SMALL * _HALF == 0:
            raise FlushToZero
        with np.errstate(all="ignore"):
            return kernel(*arguments)

    return cast("_Kernel", checked)


class Reference:
    """The definition, as kernels; see `broker.arithmetic.kernels.Kernels`."""

    name = "reference"

    @_as_ieee_754_says
    def exponentials(self, x: Array) -> Array:
        """See `Kernels`."""
        return exponential(x.astype(np.float64)).astype(np.float32)

    @_as_ieee_754_says
    def logarithms(self, x: Array) -> Array:
        """See `Kernels`."""
        return logarithm(x.astype(np.float64)).astype(np.float32)

    @_as_ieee_754_says
    def total(self, x: Array) -> float:
        """See `Kernels`."""
        return float(_total(x.reshape(-1).astype(np.float64)))

    @_as_ieee_754_says
    def summed_first(self, x: Array) -> Array:
        """See `Kernels`."""
        return _in_order(x, 0)

    @_as_ieee_754_says
    def summed_last(self, x: Array) -> Array:
        """See `Kernels`."""
        return _in_order(x, -1)

    @_as_ieee_754_says
    def normalized(self, x: Array, epsilon: float) -> Array:
        """See `Kernels`."""
        exact = x.astype(np.float64)
        deviations = exact - _total(exact) / max(1, len(x))
        scale = np.sqrt(_total(deviations * deviations) / max(1, len(x))) + epsilon
        normal: Array = (deviations / scale).astype(np.float32)
        return normal

    @_as_ieee_754_says
    def discounted(self, terms: Array, discounts: Array) -> Array:
        """See `Kernels`."""
        sums = terms.copy()
        for step in range(len(terms) - 2, -1, -1):
            sums[step] += discounts[step] * sums[step + 1]
        return sums

    @_as_ieee_754_says
    def log_softmax(self, x: Array) -> Array:
        """See `Kernels`."""
        shifted = x - _largest(x)
        total = _in_order(self.exponentials(shifted), -1)
        normal: Array = shifted - self.logarithms(total)[..., None]
        return normal

    @_as_ieee_754_says
    def log_softmax_gradient(self, log_probabilities: Array, gradient: Array) -> Array:
        """See `Kernels`."""
        total = _in_order(gradient, -1)[..., None]
        logit_gradient: Array = gradient - self.exponentials(log_probabilities) * total
        return logit_gradient

    @_as_ieee_754_says
    def evaluate(self, sizes: Sizes, parameters: Array, rows: Sequence[int], inputs: Array) -> Pass:
        """See `Kernels`."""
        passed = Pass.empty(sizes, tuple(rows), inputs)
        for position, row in enumerate(rows):
            x, layers = inputs, sizes.layers_of(parameters[row])
            for number, (weight, bias) in enumerate(layers):
                x = _products(x, weight, np.broadcast_to(bias, (len(x), len(bias))))
                if number < len(layers) - 1:
                    x = np.where(x < 0, np.float32(0), x)
                    passed.hidden_of(position, number)[...] = x
            passed.outputs[position] = x
        return passed

    @_as_ieee_754_says
    def gradient(self, passed: Pass, parameters: Array, positions: Sequence[int], output_gradient: Array) -> Array:
        """See `Kernels`."""
        sizes = passed.sizes
        gradients = np.zeros((len(positions), sizes.size), np.float32)
        for out, position in zip(gradients, positions, strict=True):
            weights = sizes.layers_of(parameters[passed.rows[position]])
            gradient = output_gradient[position]
            for number in reversed(range(len(weights))):
                x = passed.inputs if number == 0 else passed.hidden_of(position, number - 1)
                weight_gradient, bias_gradient = sizes.layers_of(out)[number]
                weight_gradient[...] = _products(x.T, gradient, np.zeros_like(weight_gradient))
                bias_gradient[...] = _in_order(gradient, 0)
                if number > 0:
                    weight = weights[number][0]
                    through = _products(gradient, weight.T, np.zeros(x.shape, np.float32))
                    gradient = np.where(x > 0, through, np.float32(0))
        return gradients

    @_as_ieee_754_says
    def move(self, adam: Adam, rows: Sequence[int], gradient: Array) -> None:
        """See `Kernels`."""
        for row, own in zip(rows, gradient, strict=True):
            adam.steps[row] += 1
            size, added = adam.scales(int(adam.steps[row]))
            first, second = adam.first[row], adam.second[row]
            first += (own - first) * np.float32(1 - adam.BETA1)
            first[np.abs(first) < SMALLEST_MOMENT] = 0
            second[...] = second * np.float32(adam.BETA2) + own * own * np.float32(1 - adam.BETA2)
            second[second < SMALLEST_MOMENT] = 0
            adam.parameters[row] -= size * (first / (np.sqrt(second) + added))

    @_as_ieee_754_says
    def descend(self, passed: Pass, adam: Adam, positions: Sequence[int], output_gradient: Array) -> bool:
        """See `Kernels`."""
        gradient = self.gradient(passed, adam.parameters, positions, output_gradient)
        if not np.isfinite(gradient * gradient).all():
            return False
        self.move(adam, [passed.rows[position] for position in positions], gradient)
        return True

    @_as_ieee_754_says
    def weights(self, logits: Array, possible: np.ndarray | None) -> Array:
        """See `Kernels`."""
        if possible is not None:
            logits = np.where(possible, np.nan_to_num(logits), np.float32(-np.inf))
        return self.exponentials(logits - _largest(logits))

    @_as_ieee_754_says
    def act(self, acting: Acting, step: int) -> np.ndarray:
        """See `Kernels`."""
        observed = acting.observations[step]
        logits = self.evaluate(acting.sizes, acting.parameters[None], [0], observed).outputs[0, :, : acting.count]
        possible = None if acting.possible is None else acting.possible[step]
        cumulative = np.add.accumulate(self.weights(logits, possible), axis=1)
        threshold = acting.uniforms[step][:, None] * cumulative[:, -1:]
        acting.actions[step] = np.count_nonzero(cumulative[:, :-1] <= threshold, axis=1)
        drawn: np.ndarray = acting.actions[step].astype(np.int32)
        return drawn


def _total(x: np.ndarray) -> np.float64:
    """The sum of float64 numbers (n,) in order, from 0."""
    return np.float64(0) if not len(x) else 0.0 + np.add.accumulate(x)[-1]


def _in_order(x: Array, axis: int) -> Array:
    """Sums along an axis in order, from 0."""
    if not x.shape[axis]:
        return np.zeros(np.delete(x.shape, axis), np.float32)
    sums: Array = np.float32(0) + np.take(np.add.accumulate(x, axis=axis), -1, axis=axis)
    return sums


def _products(left: Array, right: Array, start: Array) -> Array:
    """`start` (m, n) + `left` (m, k) times `right` (k, n), product after product in the order of k."""
    sums = np.array(start, np.float32)
    for k in range(left.shape[1]):
        sums += left[:, k, None] * right[k]
    return sums


def _largest(x: Array) -> Array:
    """The largest along the last axis, which is kept: the first of equal ones, and NaN only if it is the first."""
    largest = x[..., 0]
    for number in range(1, x.shape[-1]):
        largest = np.where(x[..., number] > largest, x[..., number], largest)
    return largest[..., None]


def exponential(x: np.ndarray) -> np.ndarray:
    """Exp in float64: x = k ln 2 + r, then 2^k times the series of exp(r) up to r^13."""
    within = np.where(x > _EXP_LIMIT, _EXP_LIMIT, np.where(x < -_EXP_LIMIT, -_EXP_LIMIT, x))
    twos = np.rint(within / LN2)
    rest = (within - twos * LN2_HIGH) - twos * LN2_LOW
    series = np.full_like(rest, EXP_COEFFICIENTS[-1])
    for coefficient in reversed(EXP_COEFFICIENTS[:-1]):
        series = series * rest + coefficient
    powers = np.ldexp(1.0, np.where(np.isnan(twos), 0, twos).astype(np.int32))
    return series * powers


def logarithm(x: np.ndarray) -> np.ndarray:
    """Log in float64: x = 2^k m with m next to 1, then k ln 2 plus the series of log(m) in s = (m - 1) / (m + 1)."""
    ordinary = (x > 0) & (x < np.inf)
    mantissa, twos = np.frexp(np.where(ordinary, x, 1.0))
    low = mantissa < SQRT_HALF
    mantissa, twos = np.where(low, mantissa + mantissa, mantissa), (twos - low).astype(np.float64)
    s = (mantissa - 1) / (mantissa + 1)
    square = s * s
    series = np.full_like(s, LOG_COEFFICIENTS[-1])
    for coefficient in reversed(LOG_COEFFICIENTS[:-1]):
        series = series * square + coefficient
    result = (2 * s * series + twos * LN2_LOW) + twos * LN2_HIGH
    special = np.where(x == 0, -np.inf, np.where(x > 0, x, np.nan))
    return np.where(ordinary, result, special)
