"""aiomqtt's client, less what costs most: bare paho does a barrier 2.7 times as fast as aiomqtt as it is.

Where the time goes, and what is done instead:
- publishing wakes the loop, which registers a writer, writes, and takes the writer off again: here paho writes at once,
  and the loop has a writer only while the broker does not read;
- each message received costs a task and a future: here frames are handed over as they are read;
- each packet read costs a turn of the loop: here the socket is read without it while all is well;
- each message sent makes objects for a callback about it: here there is no such callback;
- with MQTT 5, each message received builds the tables of all properties there are and looks each of them up: here the
  tables are built once, and nothing is looked up where a message has no properties.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt import _packet
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_BURST = 256
"""Packets read in one turn of the loop: its timers shall ring even if packets come as fast as they are read."""
_GOODBYE_WITHIN_S = 1.0


_TABLES = vars(Properties(PacketTypes.PUBLISH))  # type: ignore[no-untyped-call] # paho's
_NO_PROPERTIES = b"\0"


class _Properties(Properties):
    """paho's, for what any client of this process reads, without what it does anew for every message."""

    def __init__(self, packet: int) -> None:
        vars(self).update(_TABLES, packetType=packet)

    def unpack(self, buffer: bytes) -> tuple[Properties, int]:
        """Read them from the beginning of a buffer; says how long they are."""
        if buffer.startswith(_NO_PROPERTIES):
            return self, len(_NO_PROPERTIES)
        found: tuple[Properties, int] = super().unpack(buffer)  # type: ignore[no-untyped-call] # paho's
        return found


_packet.Properties = _Properties  # type: ignore[attr-defined]


class NoAnswer(aiomqtt.MqttError):
    """No proper answer to the first packet: what some brokers do to a version they do not know."""


class MqttClient(aiomqtt.Client):
    """A client that belongs to one loop, in one thread.

    Attributes:
        ready: Whether it may publish: connected and subscribed.

    Args:
        hear: Takes frames as they come; says whether enough has come.
        relieved: Called when there may be room to publish again.
        options: aiomqtt's.
    """

    def __init__(self, hear: Callable[[Sequence[bytes]], bool], relieved: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self.ready = False
        self._hear, self._relieved = hear, relieved
        self._frames: list[bytes] = []
        self._writing = False
        self._poller = select.poll()
        self._client.on_publish = None
        self._client.disable_logger()

    async def __aenter__(self) -> MqttClient:
        """Connect.

        Raises:
            MqttError: It cannot; nothing of the attempt is left.
        """
        self._connected = asyncio.Future()  # aiomqtt leaves it done when a connection breaks
        try:
            await super().__aenter__()
        except aiomqtt.MqttError as error:
            is_silent = self._client.socket() is not None
            self.sever()
            if is_silent:
                raise NoAnswer("it accepts connections, but does not answer") from error
            raise
        return self

    def publish_now(self, topic: str, frame: bytes, qos: int, properties: Properties | None) -> paho.MQTTMessageInfo:
        """Write a message, or as much of it as the broker takes now; the rest follows by itself."""
        return self._client.publish(topic, frame, qos, False, properties)

    def can_publish(self) -> bool:
        """Whether it is connected and everything published so far is written."""
        return self.ready and not self._client.want_write()

    def read_within(self, timeout_s: float) -> None:
        """Read what comes within `timeout_s` seconds, without the loop."""
        sock = self._client.socket()
        # What TLS has taken from the socket already, the socket does not tell of.
        if (isinstance(sock, ssl.SSLSocket) and sock.pending()) or self._poller.poll(timeout_s * 1000):
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
            self._client.loop_read()  # finds the end and cleans up

    def _read(self) -> None:
        """Read what has come; a callback of the loop."""
        frames = self._frames
        for _ in range(_BURST):
            try:
                self._client.loop_read()
            except Exception as error:
                self._give_up(error)
                break
            sock = self._client.socket()
            if frames:
                enough = self._hear(frames)
                frames.clear()
                if enough:
                    break
            elif not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
                break
            if sock is None:
                break
        self._relieved()

    def _write(self) -> None:
        """Write what waits; a callback of the loop."""
        try:
            self._client.loop_write()
        except Exception as error:
            self._give_up(error)
        self._relieved()

    def _give_up(self, error: Exception) -> None:
        self.ready = False
        if not self._connected.done():
            self._connected.set_exception(NoAnswer(f"its answer makes no sense ({error})"))
        elif not self._disconnected.done():
            self._disconnected.set_exception(error)

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        self._frames.append(bytes(message.payload))

    def _on_disconnect(self, client: paho.Client, userdata: Any, *args: Any) -> None:
        self.ready = False
        if not self._connected.done():
            self._connected.set_exception(NoAnswer("it closed the connection at once"))
        super()._on_disconnect(client, userdata, *args)

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        super()._on_socket_open(client, userdata, sock)
        self._loop.call_soon_threadsafe(self._loop.add_reader, sock.fileno(), self._read)
        self._poller = select.poll()
        self._poller.register(sock.fileno(), select.POLLIN)

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        if not self.ready:  # paho may be in another thread or hold its locks
            self._writing = True
            super()._on_socket_register_write(client, userdata, sock)
            return
        client.loop_write()
        if client.want_write() and client.socket() is not None:
            self._writing = True
            self._loop.add_writer(sock.fileno(), self._write)

    def _on_socket_unregister_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        if self._writing:
            self._writing = False
            super()._on_socket_unregister_write(client, userdata, sock)


def _hear_out(sock: socket.socket) -> None:
    """Read until the broker has closed: a socket closed with something unread takes back what it has just sent."""
    give_up_at = time.monotonic() + _GOODBYE_WITHIN_S
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(_GOODBYE_WITHIN_S)
        while sock.recv(1 << 16) and time.monotonic() < give_up_at:
            pass
