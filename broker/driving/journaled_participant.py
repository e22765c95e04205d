"""A participant whose calls stand in its journal: when they came, how long they took, and which message they took."""

from __future__ import annotations

from collections.abc import Sequence

from broker.driving.wrapped_participant import WrappedParticipant
from broker.participants.participant import Command, Participant
from broker.transports.journal import Call, Journal, Told, Turn
from broker.transports.transport import Transport
from broker.wire.messages import Message, name_of


def journaled(participant: Participant, transport: Transport) -> Participant:
    """The participant, with its calls in the journal that its transport keeps, if it keeps one."""
    return participant if transport.journal is None else JournaledParticipant(participant, transport.journal)


class JournaledParticipant(WrappedParticipant):
    """Does what its participant does; see `broker.participants.participant.Participant`.

    Args:
        inner: The participant.
        journal: Where its calls are written down.
    """

    def __init__(self, inner: Participant, journal: Journal) -> None:
        super().__init__(inner)
        self._journal = journal
        journal.write(Told(inner.told()))

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

    def _note(self, call: Call, now: float, at_s: float, source: str = "", message: Message | None = None) -> None:
        journal, phase = self._journal, str(self._inner.phase.value)
        computed_s = journal.clock() - at_s
        if message is None:
            journal.write(Turn(call, now, at_s, computed_s, phase))
        else:
            kind = message.kind or type(message).__name__.lower()
            journal.write(Turn(call, now, at_s, computed_s, phase, source, kind, name_of(message)))
