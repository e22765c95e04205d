"""Randomness by name: every draw is a function of the scenario's seed and of what it is for.

Nothing here is sequential, so a draw never depends on how many draws came before it, on the order in
which messages arrive, or on which other agents and faults exist.
"""

from __future__ import annotations

import struct
from hashlib import blake2b

import numpy as np
from numpy.random import Generator, Philox

Part = str | int

_UNIT = 1.0 / (1 << 53)
_LENGTH = struct.Struct("<I").pack


def _digest(seed: int, parts: tuple[Part, ...], size_bytes: int) -> bytes:
    texts = [str(part).encode() for part in (seed, *parts)]
    return blake2b(b"".join(_LENGTH(len(text)) + text for text in texts), digest_size=size_bytes).digest()


def derive(seed: int, *parts: Part) -> int:
    """A 64-bit integer named by `parts` (`derive(seed, "agent-3", episode)`); equal names give equal numbers."""
    return int.from_bytes(_digest(seed, parts, 8), "little")


def uniform(seed: int, *parts: Part) -> float:
    """One number in [0, 1), named by `parts`."""
    return (derive(seed, *parts) >> 11) * _UNIT


def choice(count: int, seed: int, *parts: Part) -> int:
    """One index in `range(count)`, named by `parts`."""
    return int(uniform(seed, *parts) * count)


def generator(seed: int, *parts: Part) -> Generator:
    """A numpy generator of its own for `parts`, for many draws with one name (an episode of an environment)."""
    key = np.frombuffer(_digest(seed, parts, 16), dtype=np.uint64)
    return Generator(Philox(key=key))
