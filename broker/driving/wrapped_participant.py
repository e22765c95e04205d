"""A participant inside another one, which does the same and something besides."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from broker.participants.barrier_times import BarrierTimes
from broker.participants.participant import Command, Participant
from broker.wire.messages import Message
from broker.wire.records import Record


class WrappedParticipant:
    """Does what its participant does; see `broker.participants.participant.Participant`.

    Args:
        inner: The participant.
    """

    def __init__(self, inner: Participant) -> None:
        self.name, self.peers = inner.name, inner.peers
        self._inner = inner

    @property
    def phase(self) -> Enum:
        """What it is doing."""
        return self._inner.phase

    @property
    def barriers(self) -> BarrierTimes:
        """How long it has waited for its peers."""
        return self._inner.barriers

    @property
    def awaited(self) -> int:
        """How many messages it needs before it can go on."""
        return self._inner.awaited

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called."""
        return self._inner.deadline

    @property
    def done(self) -> bool:
        """Whether its work is finished."""
        return self._inner.done

    @property
    def settled(self) -> bool:
        """Whether it still knows what it knew when it last wanted a state saved."""
        return self._inner.settled

    def start(self, now: float) -> Sequence[Command]:
        """Begin."""
        return self._inner.start(now)

    def receive(self, source: str, message: Message, now: float) -> Sequence[Command]:
        """Take a message."""
        return self._inner.receive(source, message, now)

    def expire(self, now: float) -> Sequence[Command]:
        """Take note that the deadline has passed."""
        return self._inner.expire(now)

    def told(self) -> str:
        """What it was told."""
        return self._inner.told()

    def waits_for(self) -> str:
        """Whom and what it waits for."""
        return self._inner.waits_for()

    def totals(self) -> Sequence[Record]:
        """What it counted."""
        return self._inner.totals()
