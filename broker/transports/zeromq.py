"""ZeroMQ transport, direct: one inbound PULL socket, and one PUSH socket per out-edge.

A PUSH refuses when its peer does not read, so what is lost is lost here, counted; PUB/SUB would lose in silence.
ROUTER and DEALER do the same, but put the sender's identity before each frame. The frame names its edge already, so
the identity would be read and thrown away: a tenth of a barrier's time. And without identities a restarted peer cannot
be mistaken for its past life. The context is made by the transport itself: ZeroMQ does not survive a fork.
"""

from __future__ import annotations

import errno
import math
import socket as socket_module
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

import zmq

from broker.codec import Codec
from broker.config import TransportConfig
from broker.errors import AddressInUse, UserError
from broker.messages import OBSERVER, Envelope, Hello
from broker.transport import FrameTransport, Traffic

_NOBLOCK = int(zmq.NOBLOCK)  # as an enumeration member it costs a microsecond a call
_RECONNECT_MAX_MS = 1000
_DRAIN_WITHIN_S = 0.05  # reading what has arrived already ends, even if it arrives as fast as it is read
_LAST_PORT = 65535


class _OutEdge:
    """A socket to one peer, and the frames it refused so far."""

    def __init__(self, socket: zmq.Socket[bytes], limit: int, traffic: Traffic) -> None:
        self.send = super(zmq.Socket, socket).send  # less its wrapper for sockets of draft types
        self.socket = socket
        self.waiting: deque[bytes] = deque()
        self.traffic = traffic
        self._limit = limit

    def queue(self, frame: bytes) -> bool:
        """Keep a frame that was refused for later; False when the queue is full."""
        if len(self.waiting) >= self._limit:
            return False
        self.waiting.append(frame)
        return True

    def flush(self) -> None:
        """Send what waits, as far as the peer reads."""
        with suppress(zmq.Again):
            while self.waiting:
                self.send(self.waiting[0], _NOBLOCK)
                self.waiting.popleft()


class ZeroMQTransport(FrameTransport):
    """One participant's sockets.

    Args:
        name: The participant.
        addresses: Where it listens (its own name) and where its peers listen.
        codec: Allows this participant's in-edges.
        config: Limits of every transport, and options of the sockets.

    Raises:
        AddressInUse: Another program listens on its address.
        UserError: The address cannot be listened on for another reason.
    """

    def __init__(self, name: str, addresses: Mapping[str, str], codec: Codec, config: TransportConfig) -> None:
        super().__init__(name, codec)
        self._config = config
        self._context = zmq.Context()
        self._inbound = self._socket(zmq.PULL)
        try:
            _bind(self._inbound, name, addresses[name])
            self._edges = {peer: self._connect(peer, address) for peer, address in addresses.items() if peer != name}
        except UserError:
            self._context.destroy(linger=0)
            raise
        self._receive = self._inbound.recv
        self._stuck: list[_OutEdge] = []
        self._timeout_ms = -1

    def send(self, envelope: Envelope) -> None:
        """Hand over an envelope; what a full queue refuses is counted as dropped."""
        self.send_all((envelope,))

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Hand over several envelopes; all are encoded first, so that ZeroMQ's thread wakes once for all."""
        for envelope, frame in zip(envelopes, list(map(self.codec.encode, envelopes)), strict=True):
            edge, hello = self._edges[envelope.destination], type(envelope.message) is Hello
            try:
                if edge.waiting:
                    raise zmq.Again  # noqa: TRY301 - frames leave in order
                edge.send(frame, _NOBLOCK)
            except zmq.Again:
                # A HELLO that a peer does not take now is not kept: it is repeated.
                if hello or not self._keep(edge, frame):
                    continue
            if not hello:
                traffic = edge.traffic
                traffic.sent += 1
                traffic.sent_bytes += len(frame)

    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Block until `awaited` frames have arrived or a refused frame can go out; see `Transport.wait`.

        Reading many frames in one go costs half of reading them one by one.
        """
        if self._stuck:
            self._wait_and_flush(timeout_s)
            timeout_s = 0.0
        timeout_ms = -1 if timeout_s is None else max(0, round(timeout_s * 1000))
        if timeout_ms != self._timeout_ms:
            self._inbound.setsockopt(zmq.RCVTIMEO, timeout_ms)
            self._timeout_ms = timeout_ms
        # Receiving at once is one call less than polling first: a fifth of a barrier's time.
        arrived, receive, take = self.arrived, self._receive, self.take
        give_up_at = math.inf if timeout_s is None else time.monotonic() + max(timeout_s, _DRAIN_WITHIN_S)
        try:
            while len(arrived) < awaited:
                take(receive())  # at once: the others still work
                if len(arrived) < awaited and time.monotonic() >= give_up_at:
                    return
        except zmq.Again:
            return

    def close(self, linger_s: float) -> None:
        """Close the sockets; frames under way are sent for at most `linger_s` seconds, `traffic` counts those left."""
        give_up_at = time.monotonic() + linger_s
        while self._stuck and (left_s := give_up_at - time.monotonic()) > 0:
            self._flush_when_writable(left_s)
        for edge in self._edges.values():
            edge.traffic.dropped += len(edge.waiting)
            edge.traffic.sent -= len(edge.waiting)
            edge.traffic.sent_bytes -= sum(map(len, edge.waiting))
            edge.socket.close(linger=max(0, round((give_up_at - time.monotonic()) * 1000)))
        self._inbound.close(linger=0)
        self._context.term()

    def _keep(self, edge: _OutEdge, frame: bytes) -> bool:
        """Queue a refused frame until the peer reads again, or count it as dropped."""
        if not edge.queue(frame):
            edge.traffic.dropped += 1
            return False
        if edge not in self._stuck:
            self._stuck.append(edge)
        return True

    def _wait_and_flush(self, timeout_s: float | None) -> None:
        """Wait for a frame or for a peer that reads again."""
        self._flush_when_writable(timeout_s, self._inbound)

    def _flush_when_writable(self, timeout_s: float | None, *inbound: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        for socket in inbound:
            poller.register(socket, zmq.POLLIN)
        for edge in self._stuck:
            poller.register(edge.socket, zmq.POLLOUT)
        poller.poll(None if timeout_s is None else max(0, round(timeout_s * 1000)))
        for edge in self._stuck:
            edge.flush()
        self._stuck = [edge for edge in self._stuck if edge.waiting]

    def _connect(self, peer: str, address: str) -> _OutEdge:
        socket = self._socket(zmq.PUSH)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.RECONNECT_IVL, self._config.zeromq.reconnect_ms)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            msg = f"{self.name} cannot reach {peer} at {address!r}: {error.strerror or error}. Check transport.zeromq."
            raise UserError(msg) from None
        limit = self._config.observer_queue_messages if peer == OBSERVER else self._config.queue_messages
        return _OutEdge(socket, limit, self.traffic[peer])

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, self._config.queue_messages)
        socket.setsockopt(zmq.RCVHWM, self._config.queue_messages)
        socket.setsockopt(zmq.MAXMSGSIZE, self._config.max_message_bytes)
        if self._config.zeromq.heartbeat_interval_ms:
            socket.setsockopt(zmq.HEARTBEAT_IVL, self._config.zeromq.heartbeat_interval_ms)
            socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, self._config.zeromq.heartbeat_timeout_ms)
            socket.setsockopt(zmq.HEARTBEAT_TTL, self._config.zeromq.heartbeat_timeout_ms)
        return socket


def _bind(socket: zmq.Socket[bytes], name: str, address: str) -> None:
    if address.startswith("ipc://") and _somebody_listens(address.removeprefix("ipc://")):
        raise AddressInUse(name, address)
    port = address.rpartition(":")[2]
    if address.startswith("tcp://") and port.isdecimal() and int(port) > _LAST_PORT:
        msg = (
            f"{name} cannot listen on {address}: ports end at {_LAST_PORT}. Choose a lower transport.zeromq.base_port."
        )
        raise UserError(msg)  # ZeroMQ would take it modulo 65536
    if address.startswith("tcp://["):
        socket.setsockopt(zmq.IPV6, 1)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise AddressInUse(name, address) from None
        if error.errno == errno.ENAMETOOLONG:
            why = "the path of a local socket may have 107 characters. Set TMPDIR to a shorter folder"
        else:
            why = f"{error.strerror or error}. Check transport.zeromq in the scenario"
        msg = f"{name} cannot listen on {address}: {why}."
        raise UserError(msg) from None


def _somebody_listens(path: str) -> bool:
    """Whether a local socket is in use: ZeroMQ would take it over without a word."""
    with socket_module.socket(socket_module.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True
