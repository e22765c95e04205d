"""The actions of a foreign environment, numbered from 0: agents know no others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple

Decode = Callable[[int], Any]


@dataclass(frozen=True)
class NumberedActions:
    """What one agent can do.

    Attributes:
        space: As the environment has declared them.
        count: How many actions there are.
        decode: What the environment is given for an action, by its number.
    """

    space: object
    count: int
    decode: Decode


def number_actions(space: object) -> NumberedActions | None:
    """The actions of a space: of a Discrete one as they are, of others every combination of their parts.

    The last part changes fastest from number to number.

    Returns:
        None where actions cannot be numbered: the space is continuous, or of no kind that is known here.
    """
    if isinstance(space, Discrete):
        first = int(space.start)
        return NumberedActions(space, int(space.n), lambda number: first + number)
    if isinstance(space, MultiBinary | MultiDiscrete):
        return _of_digits(space)
    if isinstance(space, Tuple):
        return _of_parts(space, space.spaces, tuple)
    if isinstance(space, Dict):
        names = list(space.spaces)
        parts = list(space.spaces.values())
        return _of_parts(space, parts, lambda chosen: dict(zip(names, chosen, strict=True)))
    return None


def _of_digits(space: MultiBinary | MultiDiscrete) -> NumberedActions:
    binary = isinstance(space, MultiBinary)
    counts = [2] * math.prod(space.shape) if binary else [int(count) for count in space.nvec.ravel()]
    first: Any = 0 if binary else space.start

    def decode(number: int) -> Any:
        return (np.array(_digits(number, counts)).reshape(space.shape) + first).astype(space.dtype)

    return NumberedActions(space, math.prod(counts), decode)


def _of_parts(space: object, spaces: Sequence[Space[Any]], join: Callable[[list[Any]], Any]) -> NumberedActions | None:
    parts = [part for part in map(number_actions, spaces) if part is not None]
    if len(parts) < len(spaces):
        return None
    counts = [part.count for part in parts]

    def decode(number: int) -> Any:
        digits = _digits(number, counts)
        return join([part.decode(digit) for part, digit in zip(parts, digits, strict=True)])

    return NumberedActions(space, math.prod(counts), decode)


def _digits(number: int, counts: Sequence[int]) -> list[int]:
    """A number as digits, the last of which changes fastest; each digit has a base of its own."""
    digits = []
    for count in reversed(counts):
        number, digit = divmod(number, count)
        digits.append(digit)
    return digits[::-1]
