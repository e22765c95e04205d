"""A participant whose calls stand in its journal: when they came, how long they took, and which message they took."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from broker.participants.participant import Command, Participant
from broker.transports.journal import Call, Journal, Told, Turn
from broker.transports.transport import Transport
from broker.wire.messages import Message, name_of
from broker.wire.records import Record


def journaled(participant: Participant, transport: Transport) -> Participant:
    """The participant, with its calls in the journal that its transport keeps, if it keeps one."""
    return participant if transport.journal is None else JournaledParticipant(participant, transport.journal)


class JournaledParticipant:
    """Does what its participant does; see `broker.participants.participant.Participant`.

    Args:
        inner: The participant.
        journal: Where its calls are written down.
    """

    def __init__(self, inner: Participant, journal: Journal) -> None:
        self.name, self.peers = inner.name, inner.peers
        self._inner = inner
        self._journal = journal
        journal.write(Told(inner.told()))

    @property
    def phase(self) -> Enum:
        """What it is doing."""
        return self._inner.phase

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
        at_s = self._journal.clock()
        try:
            return self._inner.start(now)
        finally:
            self._note("start", now, at_s)

    def receive(self, source: str, message: Message, now: float) -> Sequence[Command]:
        """Take a message."""
        at_s = self._journal.clock()
        try:
            return self._inner.receive(source, message, now)
        finally:
            self._note("receive", now, at_s, source, message)

    def expire(self, now: float) -> Sequence[Command]:
        """Take note that the deadline has passed."""
        at_s = self._journal.clock()
        try:
            return self._inner.expire(now)
        finally:
            self._note("expire", now, at_s)

    def told(self) -> str:
        """What it was told."""
        return self._inner.told()

    def waits_for(self) -> str:
        """Whom and what it waits for."""
        return self._inner.waits_for()

    def totals(self) -> Sequence[Record]:
        """What it counted."""
        return self._inner.totals()

    def _note(self, call: Call, now: float, at_s: float, source: str = "", message: Message | None = None) -> None:
        journal, phase = self._journal, str(self._inner.phase.value)
        computed_s = journal.clock() - at_s
        if message is None:
            journal.write(Turn(call, now, at_s, computed_s, phase))
        else:
            kind = message.kind or type(message).__name__.lower()
            journal.write(Turn(call, now, at_s, computed_s, phase, source, kind, name_of(message)))
