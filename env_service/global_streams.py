"""The random generators that all code of a process shares, lent to copies of somebody's environment.

The only place that touches `random`, `numpy.random` and the default generator of torch: environments draw from them
without our knowledge, and what they draw shall follow from the scenario's seed, depend on no other copy, and be missed
by nobody. Nothing is drawn here.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numpy.random import MT19937, BitGenerator, get_state, set_state
from numpy.random.mtrand import get_bit_generator, set_bit_generator

from broker.seeding import derive


@dataclass
class _Held:
    """What the generators hold: that of `random`, of numpy, and of torch unless nobody had imported it."""

    python: Any
    numpy: BitGenerator
    torch: Any


class GlobalStreams:
    """What the shared generators hold for each of many copies.

    Args:
        seeds: Of each copy, until it is given another.
    """

    def __init__(self, seeds: list[int]) -> None:
        self._seeds = seeds.copy()
        self._held = [_fresh(seed) for seed in seeds]

    @contextmanager
    def lent(self) -> Iterator[Callable[[int], None]]:
        """Lend the generators to copies, one after the other, and give them back as they were.

        Yields:
            What turns to a copy, by its number.
        """
        callers, turned_to = _taken(), -1
        numpys = get_state(legacy=False)  # noqa: NPY002 - the legacy one is what is lent

        def turn_to(copy: int) -> None:
            nonlocal turned_to
            if turned_to >= 0:
                self._held[turned_to] = _taken()
            turned_to = copy
            _put(self._held[copy], self._seeds[copy])

        try:
            yield turn_to
        finally:
            if turned_to >= 0:
                self._held[turned_to] = _taken()
            _put(callers, 0)
            if numpys["has_gauss"]:  # a change of generator forgets the second half of a pair that was drawn
                set_state(numpys)  # noqa: NPY002 - see above

    def seed(self, copy: int, seed: int) -> None:
        """Let a copy begin anew; it must not be lent to at the moment."""
        self._seeds[copy], self._held[copy] = seed, _fresh(seed)


def states() -> list[Any]:
    """What the generators of torch, numpy and `random` hold now, as their own functions say it; torch is imported."""
    return [_torch().get_state(), get_state(), random.getstate()]  # noqa: NPY002 - the legacy one is what is lent


def _torch() -> Any:
    """The default generator of torch; None where nobody has imported torch, or not to the end."""
    return getattr(sys.modules.get("torch"), "default_generator", None)


def _fresh(seed: int) -> _Held:
    python = random.Random(derive(seed, "random")).getstate()  # noqa: S311 - no secrets
    return _Held(python, MT19937(derive(seed, "numpy.random")), None)


def _taken() -> _Held:
    torch = _torch()
    return _Held(random.getstate(), get_bit_generator(), None if torch is None else torch.get_state())


def _put(held: _Held, seed: int) -> None:
    random.setstate(held.python)
    set_bit_generator(held.numpy)
    torch = _torch()
    if torch is None:
        return
    if held.torch is None:
        torch.manual_seed(derive(seed, "torch") >> 1)
    else:
        torch.set_state(held.torch)
