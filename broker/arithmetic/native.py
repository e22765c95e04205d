"""Kernels in C, as libraries that are loaded; what each computes is said in `broker.arithmetic.kernels`.

A call costs about a microsecond, so arrays are handed over as they are (`id(array)`), and the C code looks where their
numbers lie and whether they have the type, shape and layout it expects (`source/arrays.h`). It holds the interpreter's
lock meanwhile: nobody can resize an array under its hands.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from broker.arithmetic.adam import Adam
from broker.arithmetic.kernels import Acting, Array, Pass
from broker.arithmetic.sizes import Sizes
from broker.errors import FlushToZero

_DONE, _NOT_FINITE, _MISUSED, _FLUSHING, _NO_MEMORY = range(5)
_OBJECT, _WHOLE, _REAL = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_double
_TYPES = {np.bool_: 0, np.int32: 5, np.int64: 7, np.float32: 11, np.float64: 12}
"""numpy's numbers of them."""
_ARGUMENTS = {
    "exponentials": [_OBJECT] * 2,
    "logarithms": [_OBJECT] * 2,
    "total": [_OBJECT] * 2,
    "summed_first": [_OBJECT] * 2,
    "summed_last": [_OBJECT] * 2,
    "normalized": [_OBJECT, _REAL, _OBJECT],
    "discounted": [_OBJECT] * 3,
    "log_softmax": [_OBJECT] * 2,
    "log_softmax_gradient": [_OBJECT] * 3,
    "weights": [_OBJECT] * 3,
    "evaluate": [_OBJECT] * 6,
    "gradient": [_OBJECT] * 8,
    "move": [*[_OBJECT] * 4, _REAL, _REAL, *[_OBJECT] * 2],
    "descend": [*[_OBJECT] * 10, _REAL, _REAL],
    "act": [*[_OBJECT] * 6, _WHOLE, _WHOLE, _OBJECT],
}


class Unusable(Exception):
    """A library that cannot be used here; its text says why, as a clause."""


class Native:
    """Kernels of a library, see `broker.arithmetic.kernels.Kernels`.

    Args:
        name: What it was built for.
        path: The library.
        source: Digest of the source that it has to be built from.

    Raises:
        Unusable: It cannot be loaded, was built from another source, or does not know how numpy lays arrays out.
    """

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name = name
        self._library = library = _opened(path)
        if library.source() != source.encode():
            msg = f"{path} was built from another source"
            raise Unusable(msg)
        if not all(_understands(library, kind) for kind in _TYPES):
            msg = f"arrays of numpy {np.__version__} are laid out in a way that {path} does not know"
            raise Unusable(msg)
        self._exponentials, self._logarithms = library.exponentials, library.logarithms
        self._total, self._summed_first, self._summed_last = library.total, library.summed_first, library.summed_last
        self._normalized, self._discounted = library.normalized, library.discounted
        self._log_softmax, self._log_softmax_gradient = library.log_softmax, library.log_softmax_gradient
        self._weights, self._act = library.weights, library.act
        self._evaluate, self._gradient = library.evaluate, library.gradient
        self._move, self._descend = library.move, library.descend

    @property
    def known_here(self) -> int:
        """Bits of instruction sets that this processor knows; see `Target.needs`."""
        return int(self._library.known_here())

    def exponentials(self, x: Array) -> Array:
        """See `Kernels`."""
        return self._same_shape(self._exponentials, x)

    def logarithms(self, x: Array) -> Array:
        """See `Kernels`."""
        return self._same_shape(self._logarithms, x)

    def total(self, x: Array) -> float:
        """See `Kernels`."""
        result = np.empty(1)
        self._require(self._total(id(x), id(result)))
        return float(result[0])

    def summed_first(self, x: Array) -> Array:
        """See `Kernels`."""
        result = np.empty(x.shape[1:], np.float32)
        self._require(self._summed_first(id(x), id(result)))
        return result

    def summed_last(self, x: Array) -> Array:
        """See `Kernels`."""
        result = np.empty(x.shape[:-1], np.float32)
        self._require(self._summed_last(id(x), id(result)))
        return result

    def normalized(self, x: Array, epsilon: float) -> Array:
        """See `Kernels`."""
        result = np.empty(x.shape, np.float32)
        self._require(self._normalized(id(x), epsilon, id(result)))
        return result

    def discounted(self, terms: Array, discounts: Array) -> Array:
        """See `Kernels`."""
        result = np.empty(terms.shape, np.float32)
        self._require(self._discounted(id(terms), id(discounts), id(result)))
        return result

    def log_softmax(self, x: Array) -> Array:
        """See `Kernels`."""
        return self._same_shape(self._log_softmax, x)

    def log_softmax_gradient(self, log_probabilities: Array, gradient: Array) -> Array:
        """See `Kernels`."""
        result = np.empty(gradient.shape, np.float32)
        self._require(self._log_softmax_gradient(id(log_probabilities), id(gradient), id(result)))
        return result

    def weights(self, logits: Array, possible: np.ndarray | None) -> Array:
        """See `Kernels`."""
        result = np.empty(logits.shape, np.float32)
        self._require(self._weights(id(logits), _or_null(possible), id(result)))
        return result

    def evaluate(self, sizes: Sizes, parameters: Array, rows: Sequence[int], inputs: Array) -> Pass:
        """See `Kernels`."""
        passed = Pass.empty(sizes, tuple(rows), inputs)
        indices = _indices(passed.rows)
        objects = id(sizes.table), id(parameters), id(indices), id(inputs), id(passed.hidden), id(passed.outputs)
        self._require(self._evaluate(*objects))
        return passed

    def gradient(self, passed: Pass, parameters: Array, positions: Sequence[int], output_gradient: Array) -> Array:
        """See `Kernels`."""
        rows, chosen = _indices(passed.rows), _indices(tuple(positions))
        result = np.empty((len(chosen), passed.sizes.size), np.float32)
        objects = id(passed.sizes.table), id(parameters), id(rows), id(passed.inputs), id(passed.hidden)
        self._require(self._gradient(*objects, id(output_gradient), id(chosen), id(result)))
        return result

    def move(self, adam: Adam, rows: Sequence[int], gradient: Array) -> None:
        """See `Kernels`."""
        indices = _indices(tuple(rows))
        stack = id(adam.parameters), id(adam.first), id(adam.second), id(adam.steps)
        self._require(self._move(*stack, adam.learning_rate, adam.epsilon, id(indices), id(gradient)))

    def descend(self, passed: Pass, adam: Adam, positions: Sequence[int], output_gradient: Array) -> bool:
        """See `Kernels`."""
        rows, chosen = _indices(passed.rows), _indices(tuple(positions))
        status = self._descend(
            *(id(passed.sizes.table), id(adam.parameters), id(rows), id(passed.inputs), id(passed.hidden)),
            *(id(output_gradient), id(chosen), id(adam.first), id(adam.second), id(adam.steps)),
            *(adam.learning_rate, adam.epsilon),
        )
        if status == _NOT_FINITE:
            return False
        self._require(status)
        return True

    def act(self, acting: Acting, step: int) -> np.ndarray:
        """See `Kernels`."""
        drawn = np.empty(acting.actions.shape[1], np.int32)
        status = self._act(
            *(id(acting.sizes.table), id(acting.parameters), id(acting.observations), _or_null(acting.possible)),
            *(id(acting.uniforms), id(acting.actions), acting.count, step, id(drawn)),
        )
        self._require(status)
        return drawn

    def _same_shape(self, kernel: Callable[[int, int], int], x: Array) -> Array:
        result = np.empty(x.shape, np.float32)
        self._require(kernel(id(x), id(result)))
        return result

    def _require(self, status: int) -> None:
        """Raise what a kernel that was not done says.

        Raises:
            FlushToZero: Arithmetic in this thread is not that of other machines.
            TypeError: An array is not what the kernel takes: a mistake of whoever called it.
            MemoryError: There is no more.
        """
        if status == _DONE:
            return
        if status == _FLUSHING:
            raise FlushToZero
        if status == _NO_MEMORY:
            raise MemoryError
        msg = f"kernels {self.name}: expected {self._library.expected().decode()}"
        raise TypeError(msg)


@lru_cache(maxsize=256)
def _indices(numbers: tuple[int, ...]) -> np.ndarray:
    return np.array(numbers, np.int64)


def _or_null(array: np.ndarray | None) -> int | None:
    return None if array is None else id(array)


def _opened(path: Path) -> ctypes.PyDLL:
    try:
        library = ctypes.PyDLL(str(path))
    except OSError as problem:
        msg = f"{path} cannot be loaded ({problem})"
        raise Unusable(msg) from None
    library.source.restype = library.expected.restype = ctypes.c_char_p
    library.arrays_are_understood.argtypes = [_OBJECT, _WHOLE, _OBJECT, ctypes.c_int, _OBJECT]
    for name, arguments in _ARGUMENTS.items():
        getattr(library, name).argtypes = arguments
    return library


def _understands(library: ctypes.PyDLL, kind: type[np.generic]) -> bool:
    """Whether an array's type, shape, strides and place are read rightly."""
    example = np.zeros((3, 5), kind)[:, :4]
    header, place = object.__basicsize__, example.ctypes.data
    return bool(library.arrays_are_understood(id(example), header, id(np.ndarray), _TYPES[kind], place))
