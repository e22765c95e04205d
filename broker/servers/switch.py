"""The sockets of a forwarder: every frame that comes in at one address goes out to who has subscribed to its edge.

Nothing is known here but the edges of the graph, by the bytes with which their frames begin. A frame of another edge,
or signed by another than its source, goes nowhere; a subscription to another edge, or of another than its destination,
is not made. Both are counted. ZeroMQ remembers what a connection has asked for until it ends, made or not, so whoever
asks for what it may not hear is disconnected: else a stranger could fill the memory.
"""

from __future__ import annotations

import logging
import math
import os
import select
import socket as socket_module
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import zmq

from broker.config import TransportConfig
from broker.errors import UserError
from broker.own_clock import OwnClock
from broker.security.curve import CurveKeys, key_of
from broker.transports.zeromq.doorkeeper import Doorkeeper, Socket, serve_with
from broker.transports.zeromq.forwarded import SUBSCRIBED, UNSUBSCRIBED, subscribe_address
from broker.transports.zeromq.sockets import NOBLOCK, bind, is_readable, plain_send, set_limits
from broker.wire.known_edges import KnownEdge, KnownEdges
from broker.wire.messages import FORWARDER, OBSERVER

REFUSED_IN_ALL = "refused in all: "
"""Begins the log's line that says how many were turned away so far."""

SETTING = "transport.zeromq.forwarder"
"""Says where a forwarder listens."""
_AT_ONCE = 64
_LOOK_EVERY_MS, _RETRY_MS = 1000, 1
_PATIENCE_S, _PAUSE_S = 0.5, 10.0
"""How long a message waits, and everything behind it, for a full reader; how long none does after that was in vain."""
_LONGEST_ASKED = 1024
"""Bytes of a subscription or of a handshake."""
_TOLD, _COUNTED_EVERY = 20, 1000
_RUNS_AT_ONCE = 64
"""Of one scenario: without keys anybody may ask for one, and each takes memory."""
_SHOWN = 80
_log = logging.getLogger("foretell")


class Switch:
    """What a forwarder does with frames and subscriptions.

    Attributes:
        refused: Frames, subscriptions and connections that were turned away; the first few are in the log.

    Args:
        run: Name of the run, or what `every_run` gives: then it serves all runs of the scenario, a few dozen at once.
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
        self._known = KnownEdges(run, edges)
        self._keyed = keys is not None
        self._asked: Counter[bytes] = Counter()
        self._runs: Counter[bytes] = Counter()
        self._coveted: set[bytes] = set()
        self._context: zmq.Context[Socket] = zmq.Context()
        self._inbound, self._outbound = self._socket(zmq.XSUB), self._socket(zmq.XPUB)
        # It sends subscriptions, made and ended; those that find no room ZeroMQ drops without a word.
        self._inbound.setsockopt(zmq.SNDHWM, 2 * _RUNS_AT_ONCE * max(1, len(edges)))
        self._send = plain_send(self._outbound)
        self._outbound.setsockopt(zmq.XPUB_MANUAL, 1)  # who asks is looked at first
        self._outbound.setsockopt(zmq.MAXMSGSIZE, max(_LONGEST_ASKED, 1 + self._known.longest))
        self._outbound.setsockopt(zmq.XPUB_NODROP, 1)
        self._gave_up_at: dict[tuple[str, bytes], float] = {}
        self._stops = 0
        self._news, self._room = select.poll(), select.poll()
        self._room.register(int(self._outbound.getsockopt(zmq.FD)), select.POLLIN)
        for each in (self._inbound, self._outbound):
            self._news.register(int(each.getsockopt(zmq.FD)), select.POLLIN)
        self._doorkeeper: Doorkeeper | None = None
        try:
            if keys is not None:
                self._doorkeeper = Doorkeeper(self._context, {name: key_of(keys, name, FORWARDER) for name in peers})
                serve_with(self._inbound, keys)
                serve_with(self._outbound, keys)
            bind(self._inbound, FORWARDER, address, SETTING)
            # As many messages wait for a reader as would on direct connections; ZeroMQ asks when it begins to listen.
            self._listen(address, "", config.queue_messages * max(map(len, peers.values()), default=1))
            self._listen(address, OBSERVER, config.observer_queue_messages)
        except UserError:
            self.close()
            raise

    def run(self) -> None:
        """Forward until an exception ends it.

        ZeroMQ signals a change once, and whatever is done with a socket may take the signal in. So this waits only
        where the last thing asked of each socket was whether there is more.
        """
        while True:
            forwarded = _handle_waiting(self._inbound, self._forward)
            asked = _handle_waiting(self._outbound, self._hear_asked)
            if forwarded < _AT_ONCE and not asked:
                self._news.poll(_LOOK_EVERY_MS)
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

    def _forward(self) -> None:
        """Hand a frame to who has subscribed to its edge."""
        if self._keyed:
            frame = self._inbound.recv(NOBLOCK, copy=False)
            data, signer = frame.bytes, _signer_of(frame)
        else:
            data, signer = self._inbound.recv(NOBLOCK), ""
        edge = self._known.of_frame(data)
        if edge is None:
            self._refuse("a frame of no edge of this run, by %s: %r", signer or "somebody", data[:_SHOWN])
        elif self._keyed and signer != edge.source:
            self._refuse("the key of %s signed a message of %s to %s", signer, edge.source, edge.destination)
        else:
            self._hand_on(data, edge)

    def _hand_on(self, data: bytes, edge: KnownEdge) -> None:
        """Send a frame; where its reader's queue is full, wait for it, but not again soon after that was in vain.

        So a flood is slowed down to what its reader reads, and does not push out what others say to it as long as it
        reads half its queue meanwhile; and a reader that has stopped holds everybody up for a twentieth of the time.
        """
        try:
            self._send(data, NOBLOCK)
        except zmq.Again:
            self._insist(data, edge)

    def _insist(self, data: bytes, edge: KnownEdge) -> None:
        """Send a frame to a reader whose queue is full, again and again, or give it up."""
        gave_up_at = self._gave_up_at.get((edge.destination, edge.run_id), -math.inf)
        in_vain = time.monotonic() < gave_up_at + _PAUSE_S
        clock = OwnClock()
        give_up_at = clock() + (0 if in_vain else _PATIENCE_S)
        while clock() < give_up_at:
            self._room.poll(_RETRY_MS)
            with suppress(zmq.Again):
                self._send(data, NOBLOCK)
                return
        self._give_up(data, edge, again=in_vain)

    def _give_up(self, data: bytes, edge: KnownEdge, *, again: bool) -> None:
        """Send a frame to those whose queue is not full: a stranger may have subscribed to the edge, too."""
        self._outbound.setsockopt(zmq.XPUB_NODROP, 0)
        self._send(data, NOBLOCK)
        self._outbound.setsockopt(zmq.XPUB_NODROP, 1)
        if not again:
            self._gave_up_at[edge.destination, edge.run_id] = time.monotonic()
            self._stops += 1
            if self._stops <= _TOLD:
                _log.warning(
                    "%s does not read: what is sent to it, by %s for one, is given up", edge.destination, edge.source
                )

    def _hear_asked(self) -> None:
        """Make a subscription, or end one, and let those who publish know."""
        frame = self._outbound.recv(NOBLOCK, copy=False)
        notice, signer = frame.bytes, _signer_of(frame) if self._keyed else ""
        prefix = notice[1:]
        edge = self._known.beginning(prefix)
        if notice[:1] == UNSUBSCRIBED:
            self._end_subscription(prefix, edge)
        elif notice[:1] != SUBSCRIBED or edge is None:
            self._refuse("%s wants what is no edge of this run: %r", signer or "somebody", notice[:_SHOWN])
            _disconnect(frame)
        elif self._keyed and signer != edge.destination:
            self._coveted.add(prefix)
            self._refuse("%s wants to hear what %s says to %s", signer, edge.source, edge.destination)
            _disconnect(frame)
        elif edge.run_id not in self._runs and len(self._runs) >= _RUNS_AT_ONCE:
            self._refuse("somebody wants to take part in a run beyond the %d that are served at once", _RUNS_AT_ONCE)
            _disconnect(frame)
        else:
            self._outbound.setsockopt(zmq.SUBSCRIBE, prefix)
            self._asked[prefix] += 1
            self._runs[edge.run_id] += 1
            self._inbound.send(notice)

    def _end_subscription(self, prefix: bytes, edge: KnownEdge | None) -> None:
        if edge is None:
            return
        self._outbound.setsockopt(zmq.UNSUBSCRIBE, prefix)
        # The end of a connection has no name: of an edge that a stranger wanted too, nobody knows whose end it was.
        if self._asked[prefix] and prefix not in self._coveted:
            _take_one(self._asked, prefix)
            _take_one(self._runs, edge.run_id)
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
        bind(self._outbound, FORWARDER, subscribe_address(address, name), SETTING)

    def _socket(self, kind: int) -> Socket:
        socket = self._context.socket(kind)
        set_limits(socket, self._config)
        return socket


def _handle_waiting(socket: Socket, handle: Callable[[], None]) -> int:
    """Handle what has come, and say how much it was: with `_AT_ONCE` there may be more."""
    for handled in range(_AT_ONCE):
        if not is_readable(socket):
            return handled
        handle()
    return _AT_ONCE


def _take_one(counts: Counter[bytes], name: bytes) -> None:
    """Count one less; what is none any more is forgotten."""
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def _signer_of(frame: zmq.Frame) -> str:
    """Whose key signed a frame; empty for the end of a connection."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


def _disconnect(frame: zmq.Frame) -> None:
    """End the connection that a frame came by; ZeroMQ has no call for it, but says which one it was.

    Should that have ended already, and its number be another's now, the other connects again.
    """
    with suppress(zmq.ZMQError, OSError), socket_module.socket(fileno=os.dup(int(frame.get(zmq.SRCFD)))) as wire:
        wire.shutdown(socket_module.SHUT_RDWR)
