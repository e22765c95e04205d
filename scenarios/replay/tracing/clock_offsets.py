"""How far the clocks of hosts are apart, by the messages that went both ways between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Offset:
    """How far a clock is ahead of the one that counts.

    Attributes:
        ahead_s: Seconds; it is subtracted.
        within_s: How far that may be wrong: half of the shortest time there and back.
    """

    ahead_s: float
    within_s: float


NO_OFFSET = Offset(0.0, 0.0)


def offsets_from(
    reference: str, clocks: frozenset[str], shortest_s: Mapping[tuple[str, str], float]
) -> dict[str, Offset]:
    """The offset of each clock.

    A message takes some time, never less than none, so the shortest there and the shortest back hold the difference of
    two clocks between them.

    Args:
        reference: The clock that counts.
        clocks: All of them.
        shortest_s: From (clock of the sender, clock of the receiver): the least that one showed at the arrival of a
            message beyond what the other showed at its sending.
    """
    found = {}
    for clock in clocks:
        there = shortest_s.get((clock, reference), inf)
        back = shortest_s.get((reference, clock), inf)
        known = there < inf and back < inf
        found[clock] = Offset((back - there) / 2, (there + back) / 2) if known else Offset(0.0, inf)
    found[reference] = NO_OFFSET
    return found
