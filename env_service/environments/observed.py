"""What an agent of a foreign environment sees, as one flat array: by gymnasium's own tools, looked at before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from gymnasium.spaces.utils import flatdim, flatten

from broker.user_code import on_one_line
from env_service.environments.given import numbers_of, refused, shown
from env_service.environments.task import Float


def size_of(space: object) -> int | None:
    """How many numbers an observation of this space is; None where it has no fixed number of them."""
    if not isinstance(space, Space) or not space.is_np_flattenable:
        return None
    try:
        return int(flatdim(space))
    except (NotImplementedError, ValueError):
        return None


def is_row(space: object) -> bool:
    """Whether its observations are flat as they are: one row of float32."""
    return isinstance(space, Box) and len(space.shape) == 1 and space.dtype == np.float32


def flat(what: str, space: Space[Any], given: Any) -> Float:
    """An observation as its space flattens it: a discrete one as one-hot, the parts of others one behind the other.

    Args:
        what: Whose observation it is, and when.
        space: As the environment has declared it.
        given: What it gave.

    Raises:
        UserCodeRefused: It does not fit its space, or holds what float32 cannot.
    """
    _look_at(what, space, given)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            found = flatten(space, given)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise refused(f"{what} is {shown(given)}, which does not fit {space}: {on_one_line(str(error))}") from error
    return np.asarray(numbers_of(what, found), np.float32)


def _look_at(what: str, space: Space[Any], given: Any) -> None:
    """Refuse what flattening would hide: numbers that a cast changes, and places that count from the end."""
    if isinstance(space, Dict) and isinstance(given, Mapping):
        for name, part in space.spaces.items():
            if name not in given:
                raise refused(f"{what} is without {name!r}, which {on_one_line(str(space))} has")
            _look_at(f"{name!r} in {what}", part, given[name])
    elif isinstance(space, Tuple) and isinstance(given, tuple | list):
        for position, (part, inner) in enumerate(zip(space.spaces, given, strict=False)):
            _look_at(f"part {position} of {what}", part, inner)
    elif isinstance(space, Box):
        numbers = numbers_of(what, given)
        if space.dtype.kind in "biu" and numbers.size == space.low.size:  # another size is refused with both
            _require(_whole(numbers, space.low, space.high), what, space, given)
    elif isinstance(space, MultiBinary):
        _require(_whole(numbers_of(what, given), np.zeros(space.shape), np.ones(space.shape)), what, space, given)
    elif isinstance(space, Discrete | MultiDiscrete):
        numbers = numbers_of(what, given)
        counts = np.asarray(space.n if isinstance(space, Discrete) else space.nvec)
        _require(_whole(numbers, np.asarray(space.start), space.start + counts - 1), what, space, given)


def _require(fits: bool, what: str, space: Space[Any], given: Any) -> None:
    if not fits:
        raise refused(f"{what} is {shown(given)}, which does not fit {space}")


def _whole(numbers: Any, low: Any, high: Any) -> bool:
    """Whether numbers are whole, as many as `high` has, and each at least `low` and at most `high`."""
    if numbers.size != high.size:
        return False
    numbers = numbers.reshape(high.shape)
    return bool(np.all((numbers >= low) & (numbers <= high) & (numbers == np.floor(numbers))))
