"""The arrays that cross an edge: what their numbers mean, and their shapes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from broker.wire.arrays import Arrays

__all__ = ["Arrays", "Field", "Kind", "ShareShape"]


class Kind(Enum):
    """What the numbers of a shared array mean, and so how they are checked."""

    DISTRIBUTION = "distribution"  # (rows, actions) float32, non-negative, each row sums to 1
    ACTIONS = "actions"  # (rows,) int32, from 0 to the number of actions - 1
    REAL = "real"  # float32, of a size up to `exchange.largest_number`
    BOUNDED = "bounded"  # float32, from 0 to a largest number
    BITS = "bits"  # uint8, one bit for each sample an episode can have
    COUNT = "count"  # int32, from 1 to a limit
    MASK = "mask"  # (rows, bytes) uint8, one bit for each action, in each row at least one that is set


@dataclass(frozen=True)
class Field:
    """One array that crosses an edge.

    Attributes:
        name: Its name in the share.
        kind: What its numbers mean.
        shape: Its exact shape.
        limit: For `Kind.ACTIONS` and `Kind.MASK` the number of actions, for `Kind.BITS` the number of bits that may be
            set, for `Kind.COUNT` the largest count.
        most: For `Kind.BOUNDED` the largest number, which both ends round to float32.
        per_sample: Whether it has a row per sample. A share with such a field also says which samples it is about.
        own_choice: Whether it is about what the sender itself does: where a share says which actions its sender could
            take, an impossible one among such actions, or a probability for it, is refused.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    limit: int = 0
    most: float = 0.0
    per_sample: bool = True
    own_choice: bool = False


class ShareShape(NamedTuple):
    """What both ends of an edge know about a round's share.

    Attributes:
        rows: Samples that the share is about.
        source_actions: Number of actions of the sender.
        destination_actions: Number of actions of the receiver.
        critic_shape: (P,) of a critic's parameters.
        policies_shape: (N, P) of the parameters of all policies the sender holds.
        estimator_shapes: (P,) of the parameters of each of the algorithm's estimators, in the order in which it names
            them.
    """

    rows: int
    source_actions: int
    destination_actions: int
    critic_shape: tuple[int, ...] = ()
    policies_shape: tuple[int, ...] = ()
    estimator_shapes: tuple[tuple[int, ...], ...] = ()

    def with_rows(self, rows: int) -> ShareShape:
        """The same about so many samples."""
        return ShareShape(rows, *self[1:])
