"""In what two messages of one name differ, as a clause."""

from __future__ import annotations

import numpy as np

from broker.counting import counted
from broker.wire.messages import Envelope, Message, Share, Timestep, name_of


def called(source: str, destination: str, message: Message) -> str:
    """What a message is called to people, such as `the share of round 1 of episode 4 from agent-0 to agent-1`."""
    name = name_of(message)
    if name is None:
        return f"{type(message).__name__} from {source} to {destination}"
    again = f", attempt {name.attempt}" if name.attempt else ""
    return f"{called_by_name(source, destination, name.kind, name.episode, name.number)}{again}"


def called_by_name(source: str, destination: str, kind: str, episode: int, number: int) -> str:
    """The same of a message that is known by name alone."""
    unit = "round" if kind == Share.kind else "step"
    return f"the {kind} of {unit} {number} of episode {episode} from {source} to {destination}"


def difference(one: Envelope, other: Envelope) -> str:
    """In what they differ first, however often they were asked for; empty if in nothing.

    Args:
        one: A message.
        other: One of the same name.
    """
    a, b = one.message, other.message
    if type(a) is not type(b) or a.kind is None:
        return "" if a == b else f"{a} and {b}"
    arrays = difference_of_arrays(a.arrays, b.arrays)  # type: ignore[union-attr]  # all with a kind have them
    if not arrays and isinstance(a, Timestep) and isinstance(b, Timestep) and a.last != b.last:
        return "whether it is the last of its episode"
    return arrays


def difference_of_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> str:
    """The first array in which they differ, where, and what stands there; empty if none does.

    Args:
        one: Arrays by name.
        other: The same of another.
    """
    if list(one) != list(other):
        return f"its arrays: {', '.join(one) or 'none'}, and {', '.join(other) or 'none'}"
    for name, array in one.items():
        if said := _difference_of(name, array, other[name]):
            return said
    return ""


def _difference_of(name: str, a: np.ndarray, b: np.ndarray) -> str:
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return f"the array {name!r}: {a.dtype} {list(a.shape)}, and {b.dtype} {list(b.shape)}"
    bits_a, bits_b = (np.ascontiguousarray(each).reshape(-1).view(np.uint8) for each in (a, b))
    apart = np.flatnonzero(bits_a != bits_b)
    if not len(apart):
        return ""
    first = np.unravel_index(int(apart[0]) // a.dtype.itemsize, a.shape)
    place = f"[{', '.join(map(str, first))}]" if first else ""
    differing = int(np.count_nonzero(a != b))
    return (
        f"the array {name!r}{place}: {a[first]!s} and {b[first]!s} ({differing} of {counted(a.size, 'number')} differ)"
    )
