"""ZeroMQ transport, direct: one inbound ROUTER, and one DEALER per out-edge.

A DEALER refuses when its peer does not read, so what is lost is lost here, counted; PUB/SUB would lose in silence.
Each frame carries its topic, so identities are never used and a restarted peer cannot be mistaken for its past life.
The context is made by the transport itself: ZeroMQ does not survive a fork.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress

import zmq

from broker.codec import Codec
from broker.config import ZeroMQConfig
from broker.errors import AddressInUse, FrameRejected, UserError
from broker.messages import OBSERVER, Envelope, Hello
from broker.transport import UNKNOWN, Transport

_BURST = 256
_RECONNECT_MAX_MS = 1000


class _OutEdge:
    """A DEALER to one peer, and the frames it refused so far."""

    def __init__(self, socket: zmq.Socket[bytes], limit: int) -> None:
        self.socket = socket
        self.waiting: deque[bytes] = deque()
        self._limit = limit

    def offer(self, frame: bytes) -> bool:
        """Send, or queue behind what waits; False when the queue is full."""
        if not self.waiting and self._accepts(frame):
            return True
        if len(self.waiting) >= self._limit:
            return False
        self.waiting.append(frame)
        return True

    def flush(self) -> None:
        """Send what waits, as far as the peer reads."""
        while self.waiting and self._accepts(self.waiting[0]):
            self.waiting.popleft()

    def _accepts(self, frame: bytes) -> bool:
        try:
            self.socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def say(self, frame: bytes) -> None:
        """Send now or not at all: a Hello to a peer not yet there is repeated anyway."""
        if not self.waiting:
            self._accepts(frame)


class ZeroMQTransport(Transport):
    """One participant's sockets.

    Args:
        name: The participant.
        addresses: Where it listens (its own name) and where its peers listen.
        codec: Allows this participant's in-edges.
        config: Options of the sockets.

    Raises:
        AddressInUse: Another program listens on its address.
        UserError: The address cannot be listened on for another reason.
    """

    def __init__(self, name: str, addresses: Mapping[str, str], codec: Codec, config: ZeroMQConfig) -> None:
        super().__init__(name)
        self._codec = codec
        self._config = config
        self._context = zmq.Context()
        self._inbound = self._socket(zmq.ROUTER)
        try:
            _bind(self._inbound, name, addresses[name])
        except UserError:
            self._context.destroy(linger=0)
            raise
        self._edges = {peer: self._connect(peer, address) for peer, address in addresses.items() if peer != name}

    def send(self, envelope: Envelope) -> None:
        """Hand over an envelope; what a full queue refuses is counted as dropped."""
        frame = self._codec.encode(envelope)
        edge = self._edges[envelope.destination]
        if type(envelope.message) is Hello:
            edge.say(frame)
        elif edge.offer(frame):
            self.traffic.count_sent(envelope.destination, len(frame))
        else:
            self.traffic.dropped[envelope.destination] += 1

    def poll(self, now: float) -> list[Envelope]:  # noqa: ARG002 - what a socket gives is due at once
        """What has arrived; frames that are no messages are counted as rejected."""
        envelopes: list[Envelope] = []
        for _ in range(_BURST):
            try:
                parts = self._inbound.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._read(parts, envelopes)
        return envelopes

    def wait(self, timeout_s: float | None) -> None:
        """Block until a frame arrives, a refused frame can go out, or `timeout_s` has passed."""
        poller = zmq.Poller()
        poller.register(self._inbound, zmq.POLLIN)
        stuck = [edge for edge in self._edges.values() if edge.waiting]
        for edge in stuck:
            poller.register(edge.socket, zmq.POLLOUT)
        poller.poll(None if timeout_s is None else max(0, round(timeout_s * 1000)))
        for edge in stuck:
            edge.flush()

    def close(self, linger_s: float) -> None:
        """Close the sockets; frames under way are sent for at most `linger_s` seconds."""
        linger_ms = round(linger_s * 1000)
        for edge in self._edges.values():
            if linger_ms:
                edge.flush()
            edge.socket.close(linger=linger_ms)
        self._inbound.close(linger=0)
        self._context.term()

    def _read(self, parts: list[bytes], envelopes: list[Envelope]) -> None:
        if len(parts) != 2:
            self.reject(UNKNOWN, f"expected one frame behind the sender's identity, found {len(parts) - 1}")
            return
        frame = parts[1]
        try:
            envelopes.append(self._codec.decode(frame))
        except FrameRejected as error:
            edge = self._codec.edge_of(frame)
            self.reject(edge[0] if edge else UNKNOWN, str(error))

    def _connect(self, peer: str, address: str) -> _OutEdge:
        socket = self._socket(zmq.DEALER)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.RECONNECT_IVL, self._config.reconnect_ms)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        socket.connect(address)
        limit = self._config.observer_queue_messages if peer == OBSERVER else self._config.queue_messages
        return _OutEdge(socket, limit)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, self._config.queue_messages)
        socket.setsockopt(zmq.RCVHWM, self._config.queue_messages)
        socket.setsockopt(zmq.MAXMSGSIZE, self._config.max_message_bytes)
        if self._config.heartbeat_interval_ms:
            socket.setsockopt(zmq.HEARTBEAT_IVL, self._config.heartbeat_interval_ms)
            socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, self._config.heartbeat_timeout_ms)
            socket.setsockopt(zmq.HEARTBEAT_TTL, self._config.heartbeat_timeout_ms)
        return socket


def _bind(socket: zmq.Socket[bytes], name: str, address: str) -> None:
    if address.startswith("tcp://"):
        with suppress(zmq.ZMQError):
            socket.setsockopt(zmq.IPV6, 1 if "[" in address else 0)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise AddressInUse(name, address) from None
        msg = f"{name} cannot listen on {address}: {error.strerror or error}. Check transport.zeromq in the scenario."
        raise UserError(msg) from None
