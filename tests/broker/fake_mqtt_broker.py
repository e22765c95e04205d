"""An MQTT 5 broker of a few lines that says and does what a test wants, and remembers what it was told."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Queue

from limits import LIMIT_S

CONNECT, PUBLISH, SUBSCRIBE, DISCONNECT = 1, 3, 8, 14


def length(value: int) -> bytes:
    """A number of one to four bytes."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + length(len(body)) + body


def receive_maximum(count: int) -> bytes:
    return b"\x21" + count.to_bytes(2, "big")


def maximum_packet_size(size: int) -> bytes:
    return b"\x27" + size.to_bytes(4, "big")


MAXIMUM_QOS_0 = b"\x24\x00"


def server_keep_alive(seconds: int) -> bytes:
    return b"\x13" + seconds.to_bytes(2, "big")


def reason_string(text: str) -> bytes:
    return b"\x1f" + len(text).to_bytes(2, "big") + text.encode()


@dataclass
class Manner:
    """How one connection is treated.

    Attributes:
        refuses: Reason in the CONNACK.
        properties: Of the CONNACK.
        knows_session: Whether the CONNACK says that the client's session was kept.
        ends_at_once: Reason of a DISCONNECT right behind the CONNACK, or None.
        ends_unsubscribed: Reason of a DISCONNECT in place of an answer to the subscription, or None.
        grants: What every subscription is answered with, or None for what was asked.
        confirms: Reason of every PUBACK; None: it confirms nothing.
        ends_after: After so many messages of QoS 1 it ends the connection with `ends_with`; None: never.
        ends_with: Reason of the DISCONNECT; None: without a word.
    """

    refuses: int = 0
    properties: bytes = b""
    knows_session: bool = False
    ends_at_once: int | None = None
    ends_unsubscribed: int | None = None
    grants: int | None = None
    confirms: int | None = 0
    ends_after: int | None = None
    ends_with: int | None = None


@dataclass
class Call:
    """What was said in one connection.

    Attributes:
        identifiers: Of the messages of QoS 1, in order.
        again: Those of them that said that they are written again.
        topics: Of all messages, in order.
        pings: How many.
    """

    identifiers: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    pings: int = 0


class FakeBroker:
    """Treats the first connection in the first manner, and so on; the last manner is for all that follow."""

    def __init__(self, *manners: Manner) -> None:
        self.calls: list[Call] = []
        self.ended: Queue[int] = Queue()
        self._manners = manners
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._wire: socket.socket | None = None
        self.address = f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def confirm(self, identifier: int, reason: int = 0) -> None:
        """Confirm a message of the connection that is open now."""
        assert self._wire is not None
        self._wire.sendall(packet(0x40, identifier.to_bytes(2, "big") + bytes([reason, 0])))

    def close(self) -> None:
        """End the connection, and take no other."""
        for each in (self._listener, self._wire):
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._thread.join(LIMIT_S)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                self._wire, _ = self._listener.accept()
            except OSError:
                return
            manner = self._manners[min(len(self.calls), len(self._manners) - 1)]
            call = Call()
            self.calls.append(call)
            try:
                with self._wire, self._wire.makefile("rb") as stream:
                    while self._answer(stream, manner, call):
                        pass
            except OSError:
                continue
            finally:
                self.ended.put(len(self.calls))

    def _answer(self, stream, manner: Manner, call: Call) -> bool:
        first = stream.read(1)
        if not first:
            return False
        size, shift = 0, 0
        while True:
            (byte,) = stream.read(1)
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body, kind = stream.read(size), first[0] >> 4
        if kind == CONNECT:
            properties = length(len(manner.properties)) + manner.properties
            self._wire.sendall(packet(0x20, bytes([manner.knows_session, manner.refuses]) + properties))
            if manner.ends_at_once is not None:
                self._wire.sendall(packet(0xE0, bytes([manner.ends_at_once, 0])))
            return not manner.refuses and manner.ends_at_once is None
        if kind == SUBSCRIBE and manner.ends_unsubscribed is not None:
            self._wire.sendall(packet(0xE0, bytes([manner.ends_unsubscribed, 0])))
            return False
        if kind == SUBSCRIBE:
            self._wire.sendall(packet(0x90, body[:2] + b"\0" + bytes(_granted(body, manner))))
        elif kind == PUBLISH:
            return self._take(first[0], body, manner, call)
        elif kind == 12:
            call.pings += 1
            self._wire.sendall(b"\xd0\x00")
        return kind != DISCONNECT

    def _take(self, first: int, body: bytes, manner: Manner, call: Call) -> bool:
        end = 2 + int.from_bytes(body[:2], "big")
        call.topics.append(body[2:end].decode())
        if first & 0x06 == 0:
            return True
        identifier = int.from_bytes(body[end : end + 2], "big")
        call.identifiers.append(identifier)
        if first & 0x08:
            call.again.append(identifier)
        if manner.ends_after is not None and len(call.identifiers) >= manner.ends_after:
            if manner.ends_with is not None:
                self._wire.sendall(packet(0xE0, bytes([manner.ends_with, 0])))
            return False
        if manner.confirms is not None:
            self.confirm(identifier, manner.confirms)
        return True


def _granted(body: bytes, manner: Manner) -> list[int]:
    """What is granted to each topic of a SUBSCRIBE without properties."""
    at, granted = 3, []
    while at < len(body):
        at += 2 + int.from_bytes(body[at : at + 2], "big")
        granted.append(body[at] & 3 if manner.grants is None else manner.grants)
        at += 1
    return granted
