"""Faults of content: what each makes of a message's arrays, on a copy, after it was decoded.

What comes out is checked like any frame, and then by the participant like any message: what is not valid ends as
rejected, what is valid but wrong is learned from.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import assert_never

import numpy as np
from msgspec.structs import replace

from broker.faults.config import (
    BitFlipConfig,
    ByzantineConfig,
    ContentConfig,
    NanConfig,
    ScaledConfig,
    StaleConfig,
    WrongShapeConfig,
)
from broker.wire.arrays import Arrays, cut, layouts, pack
from broker.wire.messages import Action, Share, Timestep

Body = Timestep | Action | Share
Place = Callable[[int], float]
"""A number in [0, 1) for place number i of those that are changed."""


def can_strike(config: ContentConfig, message: Body, earlier: Share | None) -> bool:
    """Whether a message holds what the fault changes.

    Args:
        config: The fault.
        message: As it came.
        earlier: The share to put in its place, if one has come.
    """
    match config:
        case BitFlipConfig():
            return len(message.data) > 0
        case NanConfig():
            return bool(layouts[message.layout].floats)
        case WrongShapeConfig():
            return bool(message.layout)
        case StaleConfig():
            return earlier is not None
        case ByzantineConfig():
            return any(array.ndim and array.size and array.shape[-1] > 1 for array in _chosen(message, config.arrays))
        case ScaledConfig():
            return any(array.size for array in _chosen(message, config.arrays))
        case _:
            assert_never(config)


def corrupted(config: ContentConfig, message: Body, earlier: Share | None, place: Place) -> Body:
    """The message, changed; it must hold what the fault changes."""
    match config:
        case BitFlipConfig():
            return replace(message, data=_flipped(message.data, config.bits, place))
        case NanConfig():
            return _with(message, _spoiled(message, config.numbers, place))
        case WrongShapeConfig():
            return _with(message, {name: _deeper(array) for name, array in message.arrays.items()})
        case StaleConfig():
            return message if earlier is None else replace(message, layout=earlier.layout, data=earlier.data)
        case ByzantineConfig():
            return _with(message, _each(message, config.arrays, lambda array: lie(config.lie, array)))
        case ScaledConfig():
            return _with(message, _each(message, config.arrays, lambda array: _scaled(array, config.factor)))
        case _:
            assert_never(config)


def refusal(message: Body) -> str:
    """What the codec would say against the message's arrays; nothing if it would take them."""
    try:
        layouts[message.layout].check(message.data)
    except ValueError as error:
        return str(error)
    return ""


def lie(what: str, probabilities: np.ndarray) -> np.ndarray:
    """Distributions that are valid and wrong.

    Args:
        what: `uniform`, `inverted` or `adversarial`.
        probabilities: (..., actions), along the last axis distributions over at least two actions.
    """
    if not probabilities.ndim or probabilities.shape[-1] < 2:
        return probabilities
    actions = probabilities.shape[-1]
    if what == "uniform":
        told = np.full_like(probabilities, 1 / actions)
    elif what == "inverted":
        told = np.clip(1 - probabilities, 0, 1) / (actions - 1)
    else:
        told = np.zeros_like(probabilities)
        np.put_along_axis(told, probabilities.argmin(axis=-1, keepdims=True), 1, axis=-1)
    return told.astype(probabilities.dtype)


def _chosen(message: Body, patterns: tuple[str, ...]) -> list[np.ndarray]:
    return [array for name, array in cut(message.layout, message.data).items() if _named(name, array, patterns)]


def _each(message: Body, patterns: tuple[str, ...], change: Callable[[np.ndarray], np.ndarray]) -> Arrays:
    return {name: change(array) if _named(name, array, patterns) else array for name, array in message.arrays.items()}


def _named(name: str, array: np.ndarray, patterns: tuple[str, ...]) -> bool:
    return array.dtype.kind == "f" and any(fnmatchcase(name, pattern) for pattern in patterns)


def _with(message: Body, arrays: Arrays) -> Body:
    layout, data = pack(arrays)
    return replace(message, layout=layout, data=data)


def _places(count: int, among: int, place: Place) -> list[int]:
    """So many different places among `among`, or all of them; what is drawn twice is drawn anew."""
    if count >= among:
        return list(range(among))
    drawn: dict[int, None] = {}
    number = 0
    while len(drawn) < count:
        drawn[int(place(number) * among)] = None
        number += 1
    return list(drawn)


def _flipped(data: memoryview, bits: int, place: Place) -> memoryview:
    flipped = bytearray(data)
    for bit in _places(bits, len(flipped) * 8, place):
        flipped[bit // 8] ^= 1 << bit % 8
    return memoryview(bytes(flipped))


def _spoiled(message: Body, numbers: int, place: Place) -> Arrays:
    arrays = {name: array.copy() for name, array in message.arrays.items()}
    real = [array for array in arrays.values() if array.dtype.kind == "f" and array.size]
    for index in _places(numbers, sum(array.size for array in real), place):
        within = index
        for array in real:
            if within < array.size:
                array.flat[within] = np.nan
                break
            within -= array.size
    return arrays


def _deeper(array: np.ndarray) -> np.ndarray:
    return array[np.newaxis] if array.ndim < 4 else array.reshape(-1)


def _scaled(array: np.ndarray, factor: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        return (array * factor).astype(array.dtype)
