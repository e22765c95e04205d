"""Messages of QoS 1: each is written until a broker has confirmed it, in order, and no more at once than it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from broker.transports.mqtt.packets import confirmed_packet

_MOST = 20
"""Unconfirmed at once, even where the broker takes more: some end the connection at the 21st, mosquitto among them."""
_IDENTIFIERS = 65_535


class ConfirmedMessage:
    """A message on its way to the broker.

    Attributes:
        topic: Where it is published.
        confirmed: Whether the broker has answered.

    Args:
        topic: As above.
        properties: As they stand in the packet; none before version 5.
        frame: What is published.
        identifier: What the answer names.
    """

    __slots__ = ("_frame", "_identifier", "_properties", "_was_written", "confirmed", "topic")

    def __init__(self, topic: str, properties: bytes, frame: bytes, identifier: int) -> None:
        self.topic, self._properties, self._frame, self._identifier = topic, properties, frame, identifier
        self.confirmed = self._was_written = False

    def packet(self) -> bytes:
        """What is to be written now; the second time, it says that it is not the first."""
        again, self._was_written = self._was_written, True
        return confirmed_packet(self.topic, self._properties, self._frame, self._identifier, again=again)


class Unconfirmed:
    """All messages that no broker has confirmed, oldest first."""

    def __init__(self) -> None:
        self._in_flight: dict[int, ConfirmedMessage] = {}
        self._due: deque[int] = deque()
        self._window = _MOST
        self._last = 0

    def begin(self, in_flight: int) -> None:
        """A connection begins whose broker takes so many at once: all have to be written in it."""
        self._window = max(1, min(_MOST, in_flight))
        self._due = deque(self._in_flight)

    def has_room(self) -> bool:
        """Whether one more could be written at once."""
        return len(self._in_flight) < self._window

    def add(self, topic: str, properties: bytes, frame: bytes) -> ConfirmedMessage:
        """A new message, to be written after those that are there."""
        self._last = self._last % _IDENTIFIERS + 1
        message = self._in_flight[self._last] = ConfirmedMessage(topic, properties, frame, self._last)
        self._due.append(self._last)
        return message

    def confirm(self, identifier: int) -> ConfirmedMessage | None:
        """The message that an answer is about, if it is there; it is forgotten."""
        message = self._in_flight.pop(identifier, None)
        if message is not None:
            message.confirmed = True
            if identifier in self._due:
                self._due.remove(identifier)
        return message

    def due(self) -> Iterator[bytes]:
        """The packets that may be written now."""
        while self._due and len(self._in_flight) - len(self._due) < self._window:
            yield self._in_flight[self._due.popleft()].packet()
