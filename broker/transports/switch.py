"""The sockets of a forwarder: every frame that comes in at one address goes out to who has subscribed to its edge.

Nothing is known here but the edges of the graph, by the bytes with which their frames begin. A frame of another edge,
or signed by another than its source, goes nowhere; a subscription to another edge, or of another than its destination,
is not made. Both are counted. ZeroMQ remembers what a connection has asked for until it ends, made or not, so whoever
asks for what it may not hear is disconnected: else a stranger could fill the memory.
"""

from __future__ import annotations

import logging
import os
import socket as socket_module
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

import zmq

from broker.codec import edge_prefix
from broker.config import TransportConfig
from broker.curve import CurveKeys, key_of
from broker.errors import UserError
from broker.messages import FORWARDER, OBSERVER
from broker.transports.doorkeeper import Doorkeeper, serve_with
from broker.transports.forwarded import SUBSCRIBED, UNSUBSCRIBED, subscribe_address
from broker.transports.sockets import NOBLOCK, Socket, bind, set_limits

REFUSED_IN_ALL = "refused in all: "
"""Begins the log's line that says how many were turned away so far."""

_SETTING = "transport.zeromq.forwarder"
_AT_ONCE = 64
_LOOK_EVERY_MS = 1000
_LONGEST_ASKED = 1024
"""Bytes of a subscription or of a handshake."""
_TOLD, _COUNTED_EVERY = 20, 1000
_SHOWN = 80
_log = logging.getLogger("foretell")


class Switch:
    """What a forwarder does with frames and subscriptions.

    Attributes:
        refused: Frames, subscriptions and connections that were turned away; the first few are in the log.

    Args:
        run: Name of the run.
        address: Where participants publish.
        peers: For each participant, those it sends to and hears from.
        config: Limits, and options of the sockets.
        keys: Its own keys and everybody's; None: anybody may connect, under any name.

    Raises:
        AddressInUse: Another program listens on one of its addresses.
        UserError: An address cannot be listened on for another reason, or a key is missing.
    """

    def __init__(
        self,
        run: str,
        address: str,
        peers: Mapping[str, Sequence[str]],
        config: TransportConfig,
        keys: CurveKeys | None,
    ) -> None:
        self.refused = 0
        self._config = config
        edges = [(source, destination) for source, others in peers.items() for destination in others]
        self._edges = {edge_prefix(run, *edge): edge for edge in edges}
        self._lengths = sorted({len(prefix) for prefix in self._edges})
        self._keyed = keys is not None
        self._asked: Counter[bytes] = Counter()
        self._coveted: set[bytes] = set()
        self._context: zmq.Context[Socket] = zmq.Context()
        self._inbound, self._outbound = self._socket(zmq.XSUB), self._socket(zmq.XPUB)
        self._outbound.setsockopt(zmq.XPUB_MANUAL, 1)  # who asks is looked at first
        self._outbound.setsockopt(zmq.MAXMSGSIZE, max(_LONGEST_ASKED, 1 + self._lengths[-1]))
        self._doorkeeper: Doorkeeper | None = None
        try:
            if keys is not None:
                self._doorkeeper = Doorkeeper(self._context, {name: key_of(keys, name, FORWARDER) for name in peers})
                serve_with(self._inbound, keys)
                serve_with(self._outbound, keys)
            bind(self._inbound, FORWARDER, address, _SETTING)
            # As many messages wait for a reader as would on direct connections; ZeroMQ asks when it begins to listen.
            self._listen(address, "", config.queue_messages * max(map(len, peers.values()), default=1))
            self._listen(address, OBSERVER, config.observer_queue_messages)
        except UserError:
            self.close()
            raise

    def run(self) -> None:
        """Forward until an exception ends it."""
        poller = zmq.Poller()
        poller.register(self._inbound, zmq.POLLIN)
        poller.register(self._outbound, zmq.POLLIN)
        while True:
            for socket, _ in poller.poll(_LOOK_EVERY_MS):
                self._drain(socket)
            self._hear_refusals()

    def tell_refused(self) -> None:
        """Write into the log how many were turned away so far."""
        if self.refused:
            _log.warning("%s%d", REFUSED_IN_ALL, self.refused)

    def close(self) -> None:
        """Close the sockets; what is under way is lost."""
        self._hear_refusals()
        self._inbound.close(linger=0)
        self._outbound.close(linger=0)
        self._context.term()  # the doorkeeper's thread closes its own socket then

    def _drain(self, socket: Socket) -> None:
        handle = self._forward if socket is self._inbound else self._hear_asked
        try:
            for _ in range(_AT_ONCE):
                handle(socket.recv(NOBLOCK, copy=False))
        except zmq.Again:
            return

    def _signer_of(self, frame: zmq.Frame) -> str:
        """Whose key signed a frame; empty where there are no keys, and for the end of a connection."""
        try:
            return str(frame.get("User-Id")) if self._keyed else ""
        except zmq.ZMQError:
            return ""

    def _forward(self, frame: zmq.Frame) -> None:
        data, signer = frame.bytes, self._signer_of(frame)
        edge = self._edge_of(data)
        if edge is None:
            self._refuse("a frame of no edge of this run, by %s: %r", signer or "somebody", data[:_SHOWN])
        elif self._keyed and signer != edge[0]:
            self._refuse("the key of %s signed a message of %s to %s", signer, *edge)
        else:
            self._outbound.send(data)

    def _edge_of(self, data: bytes) -> tuple[str, str] | None:
        for length in self._lengths:
            edge = self._edges.get(data[:length])
            if edge is not None:
                return edge
        return None

    def _hear_asked(self, frame: zmq.Frame) -> None:
        """Make a subscription, or end one, and let those who publish know."""
        notice, signer = frame.bytes, self._signer_of(frame)
        prefix = notice[1:]
        edge = self._edges.get(prefix)
        if notice[:1] == UNSUBSCRIBED:
            self._end_subscription(prefix)
        elif notice[:1] != SUBSCRIBED or edge is None:
            self._refuse("%s wants what is no edge of this run: %r", signer or "somebody", notice[:_SHOWN])
            _disconnect(frame)
        elif self._keyed and signer != edge[1]:
            self._coveted.add(prefix)
            self._refuse("%s wants to hear what %s says to %s", signer, *edge)
            _disconnect(frame)
        else:
            self._outbound.setsockopt(zmq.SUBSCRIBE, prefix)
            self._asked[prefix] += 1
            self._inbound.send(notice)

    def _end_subscription(self, prefix: bytes) -> None:
        if prefix not in self._edges:
            return
        self._outbound.setsockopt(zmq.UNSUBSCRIBE, prefix)
        # The end of a connection has no name: of an edge that a stranger wanted too, nobody knows whose end it was.
        if self._asked[prefix] and prefix not in self._coveted:
            self._asked[prefix] -= 1
            self._inbound.send(UNSUBSCRIBED + prefix)

    def _hear_refusals(self) -> None:
        while self._doorkeeper is not None and self._doorkeeper.refused:
            key = self._doorkeeper.refused.popleft()
            self._refuse("refused at the door: the key %s is of no participant", key)

    def _refuse(self, what: str, *details: object) -> None:
        self.refused += 1
        if self.refused <= _TOLD:
            _log.warning(f"refused: {what}", *details)
        elif self.refused % _COUNTED_EVERY == 0:
            self.tell_refused()

    def _listen(self, address: str, name: str, waiting: int) -> None:
        self._outbound.setsockopt(zmq.SNDHWM, waiting)
        bind(self._outbound, FORWARDER, subscribe_address(address, name), _SETTING)

    def _socket(self, kind: int) -> Socket:
        socket = self._context.socket(kind)
        set_limits(socket, self._config)
        return socket


def _disconnect(frame: zmq.Frame) -> None:
    """End the connection that a frame came by; ZeroMQ has no call for it, but says which one it was.

    Should that have ended already, and its number be another's now, the other connects again.
    """
    with suppress(zmq.ZMQError, OSError), socket_module.socket(fileno=os.dup(int(frame.get(zmq.SRCFD)))) as wire:
        wire.shutdown(socket_module.SHUT_RDWR)
