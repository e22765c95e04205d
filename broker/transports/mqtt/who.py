"""Who connects to an MQTT broker, and what it needs of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Who:
    """Who connects, to what it listens, and what it needs.

    Attributes:
        name: The participant.
        identifier: Its client identifier; a broker has one connection of each.
        topics: Its in-edges, and the quality of service of each.
        will: Topic and frame that the broker publishes if it is gone without goodbye, or None.
        packet_bytes: The largest packet that anybody in the run writes.
        qos: The highest quality of service it publishes with.
        is_confirmed: Whether all that it hears and says is sent again until somebody has it.
        expires_after_s: How long a broker keeps for it what it has not heard; infinite: as long as its session.
    """

    name: str
    identifier: str
    topics: Sequence[tuple[str, int]]
    will: tuple[str, bytes] | None
    packet_bytes: int
    qos: int
    is_confirmed: bool
    expires_after_s: float
