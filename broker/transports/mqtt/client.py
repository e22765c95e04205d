"""aiomqtt's client, less what costs most: bare paho does a barrier 2.7 times as fast as aiomqtt as it is.

Where the time goes, and what is done instead:
- publishing wakes the loop, which registers a writer, writes, and takes the writer off again: here it is written at
  once, and the loop has a writer only while the broker does not read;
- each message received costs a task and a future: here frames are handed over as they are read;
- each packet read costs a turn of the loop: here the socket is read without it while all is well;
- paho reads a packet by its first byte, the bytes of its length and the rest, each asked of the system, and writes each
  message by itself: here what has come is read at once, and what goes out together is written at once;
- paho makes some ten objects of each message, and tables of all properties there are: here its payload is cut out.

Messages that are not retained go this way, and the answers to those with QoS 1: what is unanswered is written again in
the next connection, no more of it at once than that broker takes, and what has come is heard, even where the connection
has ended before the answer could be written. All other packets are paho's, which finds each of them where it would have
read it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.addresses import Address
from broker.own_clock import clock_through_sleep
from broker.transports.mqtt.hears import Hears
from broker.transports.mqtt.offer import Offer
from broker.transports.mqtt.packets import PacketStream, confirm_packet, confirmation, confirmed_message
from broker.transports.mqtt.reasons import REFUSED, NoAnswer, words_of
from broker.transports.mqtt.unconfirmed import ConfirmedMessage, Unconfirmed
from broker.transports.mqtt.watch import SocketWatch

_READ_BYTES = 1 << 16
"""More than a record of TLS, so that nothing is left there that the socket does not tell of."""
_READS = 256
"""In one turn of the loop: its timers shall ring even if bytes come as fast as they are read."""
_WRITE_BYTES = 1 << 16
_GOODBYE_WITHIN_S = 1.0
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class MqttClient(aiomqtt.Client):
    """A client that belongs to one loop, in one thread.

    Attributes:
        ready: Whether it may publish: connected and subscribed.
        offer: What the broker said when it took the connection.
        heard_at: When something last came from the broker, by `clock_through_sleep`.
        session_kept: Whether the broker still knew the client's session when it took the connection.
        words: What it added to its last refusal, to stand behind the reason.

    Args:
        hears: Takes frames as they come, and is told when there may be room to publish again.
        options: aiomqtt's.
    """

    def __init__(self, hears: Hears, **options: Any) -> None:
        super().__init__(**options)
        self.ready = False
        self.offer, self.words = Offer(), ""
        self.session_kept = False
        self.heard_at = clock_through_sleep()
        self._hears = hears
        self._is_v5 = options["protocol"] is aiomqtt.ProtocolVersion.V5
        self._inbox = PacketStream(has_properties=self._is_v5)
        self._packet: bytes | None = b""
        self._frames: list[tuple[bytes, bool]] = []
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._unconfirmed = Unconfirmed()
        self._watch = SocketWatch(self._loop, self._read, self._write)
        self._client.on_publish = None
        self._client._sock_recv = self._give_packet  # type: ignore[method-assign]  # noqa: SLF001
        self._client.disable_logger()

    def turn_to(self, address: Address) -> None:
        """Connect there the next time; what no broker has confirmed is written to that one."""
        self._hostname, self._port = address.host, address.port

    async def __aenter__(self) -> MqttClient:
        """Connect.

        Raises:
            MqttError: It cannot; nothing of the attempt is left.
        """
        self._connected = asyncio.Future()  # aiomqtt leaves it done when a connection breaks
        ended = self._disconnected = asyncio.Future()
        self.words = ""
        try:
            await super().__aenter__()
        except aiomqtt.MqttError as error:
            is_silent = self._client.socket() is not None
            self.sever()
            if is_silent:
                raise NoAnswer("it accepts connections, but does not answer") from error
            raise
        self._disconnected = ended  # aiomqtt forgets an end that came at once
        if self._is_v5:
            self._clean_start = False  # paho takes each connection of aiomqtt's for the first one
        return self

    def ensure_connected(self) -> None:
        """Refuse to go on where the connection has ended already.

        Raises:
            MqttError: It has.
        """
        if self._disconnected.done():
            raise aiomqtt.MqttError("it ended the connection at once") from self._disconnected.exception()

    async def listen(self, topics: Any) -> Sequence[Any]:
        """Subscribe; the broker's answer to each topic.

        Raises:
            MqttError: The connection ended before the answer, or none came.
        """
        asked = asyncio.ensure_future(self.subscribe(topics))
        await asyncio.wait((asked, self._disconnected), return_when=asyncio.FIRST_COMPLETED)
        if not asked.done() or asked.exception() is not None:
            asked.cancel()
            self.ensure_connected()
        return await asked

    def begin(self) -> None:
        """Let publish from now on, unless the connection has ended already; what no broker has confirmed goes first."""
        self.ready = not self._disconnected.done() and self._client.socket() is not None
        self._unconfirmed.begin(self.offer.in_flight)
        if self.ready:
            self._write_unconfirmed()

    def write(self, packet: bytes) -> None:
        """Write a packet by the next `write_out`."""
        self._outgoing.append(packet)
        self._outgoing_bytes += len(packet)
        if self._outgoing_bytes >= _WRITE_BYTES:
            self.write_out()

    def write_out(self) -> None:
        """Write what is to be written, or as much of it as the broker takes now; the rest follows by itself."""
        if self._outgoing:
            together = b"".join(self._outgoing)
            self._outgoing.clear()
            self._outgoing_bytes = 0
            self._client._packet_queue(paho.PUBLISH, together, 0, 0, paho.MQTTMessageInfo(0))  # noqa: SLF001

    def publish_until_confirmed(self, topic: str, properties: bytes, frame: bytes) -> ConfirmedMessage:
        """Write a message with QoS 1; it is written again in every new connection until a broker has it."""
        message = self._unconfirmed.add(topic, properties, frame)
        self._write_unconfirmed()
        return message

    def takes_unconfirmed(self) -> bool:
        """Whether the broker takes one more message of QoS 1 now."""
        return self._unconfirmed.has_room()

    def can_publish(self) -> bool:
        """Whether it is connected and everything published so far is written."""
        return self.ready and not self._client.want_write()

    def unwritten_bytes(self) -> int:
        """How much of the messages with QoS 0 is not written yet."""
        waiting = self._client._out_packet  # noqa: SLF001
        return sum(each["to_process"] for each in waiting if each["command"] == paho.PUBLISH and not each["qos"])

    def read_within(self, timeout_s: float) -> None:
        """Read what comes within `timeout_s` seconds, without the loop."""
        if self._watch.has_news(timeout_s):
            self._read()

    def say_goodbye(self, properties: Properties | None) -> None:
        """Tell the broker that this is the end, so that it publishes no will."""
        sock = self._client.socket()
        if self.ready and isinstance(sock, socket.socket):
            with socket.socket(fileno=os.dup(sock.fileno())) as kept:
                self._client.disconnect(properties=properties)  # closes `sock`
                _hear_out(kept)
        self.sever()

    def sever(self) -> None:
        """Close the socket, whatever is under way."""
        self.ready = False
        while isinstance(sock := self._client.socket(), socket.socket):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            self._let_read(None)

    def _read(self) -> None:
        """Read what has come, or enough of it; a callback of the loop."""
        for _ in range(_READS):
            sock = self._client.socket()
            if not isinstance(sock, socket.socket):
                break
            try:
                data = sock.recv(_READ_BYTES)
            except _NOTHING_YET:
                break
            except OSError:
                data = b""
            # TLS gives a record at a time, and says when there is none.
            was_all = len(data) < _READ_BYTES and not isinstance(sock, ssl.SSLSocket)
            if self._take_in(data) or was_all:
                break
        self._hears.go_on()

    def _take_in(self, data: bytes) -> bool:
        """Hear the frames in what was read; True when enough has come, or no more will."""
        frames = self._frames
        if data:
            self.heard_at = clock_through_sleep()
        try:
            for packet, is_frame in self._inbox.packets(data):
                if is_frame:
                    frames.append((packet, False))
                else:
                    self._take_other(packet)
            if not data:
                self._let_read(None)
        except Exception as error:
            self._give_up(error)
            data = b""
        enough = not data
        if frames:
            enough |= self._hears.hear(frames)
            frames.clear()
        return enough

    def _take_other(self, packet: bytes) -> None:
        """Take a packet that is no message of QoS 0."""
        if (answer := confirmation(packet)) is not None:
            self._take_confirmation(*answer)
        elif (message := confirmed_message(packet, has_properties=self._is_v5)) is not None:
            identifier, frame, again = message
            self._frames.append((frame, again))
            self._client._packet_queue(paho.PUBACK, confirm_packet(identifier), 0, 0)  # noqa: SLF001
        else:
            self._let_read(packet)

    def _take_confirmation(self, identifier: int, reason: int) -> None:
        """The broker has a message of QoS 1, or will not have it; either way there is room for another."""
        message = self._unconfirmed.confirm(identifier)
        if message is not None and reason >= REFUSED:
            self._hears.note_refusal(message.topic, str(ReasonCode(PacketTypes.PUBACK, identifier=reason)))
        if self.ready:
            self._write_unconfirmed()

    def _write_unconfirmed(self) -> None:
        for packet in self._unconfirmed.due():
            self._client._packet_queue(paho.PUBLISH, packet, 0, 1)  # noqa: SLF001

    def _let_read(self, packet: bytes | None) -> None:
        """Let paho read a packet, or with None the end of the connection: it cleans up then."""
        self._packet = packet
        self._client.loop_read()

    def _give_packet(self, bufsize: int) -> bytes:
        """Stands where paho would read from the socket."""
        if self._packet is None:
            return b""
        if not self._packet:
            raise BlockingIOError
        given, self._packet = self._packet[:bufsize], self._packet[bufsize:]
        return given

    def _write(self) -> None:
        """Write what waits; a callback of the loop."""
        try:
            self._client.loop_write()
        except Exception as error:
            self._give_up(error)
        if not self._client.want_write():
            self._watch.forget_write()
        self._hears.go_on()

    def _give_up(self, error: Exception) -> None:
        self.ready = False
        if not self._connected.done():
            self._connected.set_exception(NoAnswer(f"its answer makes no sense ({error})"))
        elif not self._disconnected.done():
            self._disconnected.set_exception(error)

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        self._frames.append((bytes(message.payload), False))

    def _on_disconnect(self, client: paho.Client, userdata: Any, *args: Any) -> None:
        self.ready = False
        if not self._connected.done():
            self._connected.set_exception(NoAnswer("it closed the connection at once"))
        elif args[0].is_disconnect_packet_from_server:
            self.words = words_of(args[-1])
        super()._on_disconnect(client, userdata, *args)

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Properties | None = None
    ) -> None:
        self.offer, self.words = Offer.read(properties), words_of(properties) if reason.is_failure else ""
        self.session_kept = flags.session_present
        super()._on_connect(client, userdata, flags, reason, properties)

    def _client_connect(self) -> None:
        """Connect in another thread; the socket is watched in the loop's, once all is done here."""
        super()._client_connect()
        self._loop.call_soon_threadsafe(self._take_over)

    def _take_over(self) -> None:
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            self._inbox, self._packet = PacketStream(has_properties=self._is_v5), b""
            self._watch.begin(sock)
            self._misc_task = self._loop.create_task(self._misc_loop())
            self._watch.want_write()

    def _on_socket_open(self, *_: Any, **__: Any) -> None:
        """In the thread that connects, where nothing is to be done yet."""

    def _on_socket_close(self, *_: Any, **__: Any) -> None:
        self._watch.end()
        if self._misc_task is not None:
            self._misc_task.cancel()

    def _on_socket_register_write(self, client: paho.Client, *_: Any, **__: Any) -> None:
        if self.ready:  # else paho may hold its locks
            client.loop_write()
            if client.want_write() and client.socket() is not None:
                self._watch.want_write()
        else:
            self._watch.want_write()

    def _on_socket_unregister_write(self, *_: Any, **__: Any) -> None:
        self._watch.forget_write()


def _hear_out(sock: socket.socket) -> None:
    """Read until the broker has closed: a socket closed with something unread takes back what it has just sent."""
    give_up_at = time.monotonic() + _GOODBYE_WITHIN_S
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(_GOODBYE_WITHIN_S)
        while sock.recv(1 << 16) and time.monotonic() < give_up_at:
            pass
