"""The packets of MQTT that carry our frames, and tell that the broker has one: sections 3.3 and 3.4 of both versions.

    PUBLISH = 0x30, length of what follows, length of the topic, topic, [length of properties, properties], payload
    QoS 1   = 0x32, or 0x3A when it is sent again; an identifier of two bytes follows the topic
    PUBACK  = 0x40, length of what follows, identifier, [reason, [length of properties, properties]]

The topic's length has two bytes, the others are numbers of one to four bytes: seven bits each, the lowest first, the
eighth says that one more follows. Properties and reasons exist in version 5 only.
"""

from __future__ import annotations

from collections.abc import Iterator

_PLAIN = 0x30  # QoS 0, not retained, not a duplicate
_CONFIRMED, _AGAIN = 0x32, 0x3A
_CONFIRMATION = 0x40
_IDENTIFIER = 2
_TOPIC_LENGTH = 2
_MORE, _SEVEN_BITS = 0x80, 0x7F
_LONGEST_NUMBER = 4


def publish_head(topic: str, properties: bytes) -> bytes:
    """What stands between the length and the payload, and is the same for all messages of a topic.

    Args:
        topic: Of at most 65,535 bytes.
        properties: As they stand in the packet, with their length; none at all before version 5.
    """
    name = topic.encode()
    return len(name).to_bytes(_TOPIC_LENGTH, "big") + name + properties


def publish_packet(head: bytes, payload: bytes) -> bytes:
    """A message as it is written."""
    return b"".join((b"\x30", _length(len(head) + len(payload)), head, payload))


def confirmed_packet(topic: str, properties: bytes, payload: bytes, identifier: int, *, again: bool) -> bytes:
    """A message of QoS 1 as it is written.

    Args:
        topic: As for `publish_head`.
        properties: As for `publish_head`.
        payload: The frame.
        identifier: From 1 to 65,535; the broker's answer names it.
        again: Whether it has been written before.
    """
    head = publish_head(topic, identifier.to_bytes(_IDENTIFIER, "big") + properties)
    first = _AGAIN if again else _CONFIRMED
    return b"".join((bytes([first]), _length(len(head) + len(payload)), head, payload))


def confirmation(packet: bytes) -> tuple[int, int] | None:
    """Identifier and reason of a PUBACK; None for another packet, or one that is too short.

    Args:
        packet: A whole one, as `PacketStream` gives it.
    """
    if packet[0] != _CONFIRMATION or (found := _number_at(packet, 1)) is None or found[1] < _IDENTIFIER:
        return None
    body = found[0]
    reason = packet[body + _IDENTIFIER] if found[1] > _IDENTIFIER else 0
    return int.from_bytes(packet[body : body + _IDENTIFIER], "big"), reason


def confirm_packet(identifier: bytes) -> bytes:
    """The answer to a message of QoS 1."""
    return bytes([_CONFIRMATION, _IDENTIFIER]) + identifier


def confirmed_message(packet: bytes, *, has_properties: bool) -> tuple[bytes, bytes, bool] | None:
    """Identifier and payload of a message of QoS 1 that is not retained, and whether it may have come before.

    Args:
        packet: A whole one, as `PacketStream` gives it.
        has_properties: Whether it is one of version 5.

    Returns:
        None for another packet, or one that is not as it should be.
    """
    if packet[0] not in (_CONFIRMED, _AGAIN) or (found := _number_at(packet, 1)) is None:
        return None
    topic_at = found[0] + _TOPIC_LENGTH
    at = topic_at + int.from_bytes(packet[found[0] : topic_at], "big")
    payload_at = at + _IDENTIFIER
    if has_properties:
        if (properties := _number_at(packet, payload_at)) is None:
            return None
        payload_at = sum(properties)
    if payload_at > len(packet):
        return None
    return packet[at : at + _IDENTIFIER], packet[payload_at:], packet[0] == _AGAIN


def _length(left: int) -> bytes:
    length = bytearray()
    while left > _SEVEN_BITS:
        length.append(left & _SEVEN_BITS | _MORE)
        left >>= 7
    length.append(left)
    return bytes(length)


class PacketStream:
    """What a broker has written, cut into packets.

    Args:
        has_properties: Whether it speaks version 5.
    """

    def __init__(self, *, has_properties: bool) -> None:
        self._has_properties = has_properties
        self._rest = bytearray()
        self._needed = 0

    def packets(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Take bytes in, and give the packets that are whole now.

        Yields:
            Of a message with QoS 0 its payload and True; any other packet, a retained message or one cut short too,
            whole and False.

        Raises:
            ValueError: This is not MQTT.
        """
        unread: bytes | bytearray = data
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            unread = self._rest
        at = self._needed = 0
        try:
            while (found := _number_at(unread, at + 1)) is not None:
                body, length = found
                if (end := body + length) > len(unread):
                    self._needed = end - at
                    break
                start = self._payload_at(unread, body, end) if unread[at] == _PLAIN else None
                packet = bytes(unread[at if start is None else start : end])
                at = end
                yield packet, start is not None
        finally:
            if at or unread is data:
                self._rest = bytearray(unread[at:])

    def _payload_at(self, unread: bytes | bytearray, body: int, end: int) -> int | None:
        """Where the payload of a message begins, or None if it is not as it should be."""
        at = body + _TOPIC_LENGTH
        at += int.from_bytes(unread[body:at], "big")
        if self._has_properties:
            if (found := _number_at(unread, at)) is None:
                return None
            at, length = found
            at += length
        return at if at <= end else None


def _number_at(unread: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Where the number at `at` ends, and what it is; None while it is not whole.

    Raises:
        ValueError: It goes on after four bytes.
    """
    number = 0
    for index, byte in enumerate(unread[at : at + _LONGEST_NUMBER]):
        number |= (byte & _SEVEN_BITS) << 7 * index
        if byte < _MORE:
            return at + index + 1, number
    if len(unread) >= at + _LONGEST_NUMBER:
        msg = "it sent a length of more than four bytes"
        raise ValueError(msg)
    return None
