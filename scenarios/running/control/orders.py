"""What the observer tells participants: to go on, with whom no more, and when to close."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import partial

from broker.transports.transport import Transport
from broker.wire.messages import ENVIRONMENT, OBSERVER, Envelope, Faults, Gone, GoOn, Message, Stop, first_number


class Orders:
    """The observer's voice in one life of a run.

    Args:
        transport: The observer's end of the wire.
        run: Name of the run.
        incarnation: Which life it is.
    """

    def __init__(self, transport: Transport, run: str, incarnation: int) -> None:
        self._transport = transport
        self._run = run
        self._numbers: defaultdict[str, int] = defaultdict(partial(first_number, incarnation))

    def go_on(self, episode: int) -> None:
        """Let the environment begin an episode before which it has paused."""
        self._say(ENVIRONMENT, GoOn(episode))

    def gone(self, participant: str, others: Iterable[str]) -> None:
        """Tell the others of somebody who is dead and not replaced."""
        for other in others:
            self._say(other, Gone(participant))

    def faults(self, document: str, participants: Iterable[str]) -> None:
        """Put these faults of messages, and no others, in force."""
        for participant in participants:
            self._say(participant, Faults(document))

    def stop(self, participants: Iterable[str]) -> None:
        """Let those close whose records have come."""
        for participant in participants:
            self._say(participant, Stop(""))

    def _say(self, destination: str, message: Message) -> None:
        number = self._numbers[destination]
        self._numbers[destination] = number + 1
        self._transport.send(Envelope(self._run, OBSERVER, destination, number, message))
