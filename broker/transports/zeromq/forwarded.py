"""ZeroMQ transport through a forwarder, for networks where participants cannot reach each other.

Everybody publishes at one address and subscribes at the next one. A subscription is the bytes with which all frames of
an in-edge begin, so a frame travels as it is, and nobody gets what is meant for another.

PUB/SUB loses in silence what it cannot deliver, so a participant publishes with an XPUB: it sees which peers have
subscribed, through the forwarder, and keeps what nobody would hear yet. Its way to the forwarder refuses when it is
full. What the forwarder itself gives up, because a peer does not read, the peer counts as lost by the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import zmq

from broker.addresses import IPC, parse_address
from broker.errors import UserError
from broker.security.curve import CurveKeys
from broker.transports.queueing import limit_of
from broker.transports.zeromq.doorkeeper import Socket
from broker.transports.zeromq.sockets import NOBLOCK, SocketEdge, SocketTransport, is_readable
from broker.wire.codec import Codec
from broker.wire.messages import FORWARDER, OBSERVER, Envelope, Message

if TYPE_CHECKING:
    from broker.config import TransportConfig

SUBSCRIBED, UNSUBSCRIBED = b"\x01", b"\x00"
"""First byte of the news that somebody has subscribed, or has ended a subscription."""


def subscribe_address(address: str, name: str) -> str:
    """Where a participant subscribes, when all publish at `address`.

    The observer has a door of its own: the queue behind it is as long as `observer_queue_messages`.
    """
    observer = name == OBSERVER
    place = parse_address(address, "tcp", IPC)
    if place.scheme == IPC:
        return address + ("-observer" if observer else "-out")
    return str(replace(place, port=place.port + 1 + observer))


class _Topic(SocketEdge):
    """The edge to a peer; `heard` once that has subscribed."""

    heard = False


class ForwardedTransport(SocketTransport[_Topic]):
    """One participant's two sockets.

    Args:
        name: The participant.
        peers: Those it sends to and hears from.
        address: Where the forwarder takes frames.
        codec: Allows this participant's in-edges.
        config: Limits of every transport, and options of the sockets.
        keys: Its own keys and that of the forwarder, which vouches for everybody's; None: anybody may connect.

    Raises:
        UserError: The address makes no sense, or the forwarder's key is missing.
    """

    def __init__(
        self,
        name: str,
        peers: Sequence[str],
        address: str,
        codec: Codec,
        config: TransportConfig,
        *,
        keys: CurveKeys | None,
    ) -> None:
        super().__init__(name, codec, config, keys, zmq.SUB)
        self._publisher = self._socket(zmq.XPUB)
        topics = {peer: _Topic(self._publisher, limit_of(config, peer), self.traffic[peer]) for peer in peers}
        self._edges = topics
        self._topics = {codec.prefix(name, peer): topic for peer, topic in topics.items()}
        try:
            self._open(peers, address)
        except UserError:
            self._close_sockets(0)
            raise

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Hand over several envelopes, each to a peer that has subscribed or into its queue."""
        self._hear_subscriptions()
        super().send_all(envelopes)

    def _leave(self, edge: _Topic, frame: bytes, kind: type[Message]) -> bool:
        return edge.heard and super()._leave(edge, frame, kind)

    def _open(self, peers: Sequence[str], address: str) -> None:
        self._publisher.setsockopt(zmq.XPUB_NODROP, 1)
        self._publisher.setsockopt(zmq.IMMEDIATE, 1)  # without a forwarder there are no subscriptions
        self._call(self._publisher, FORWARDER, address)
        waiting = limit_of(self._config, self.name) * max(1, len(peers))  # as many as with a connection of each peer
        self._inbound.setsockopt(zmq.RCVHWM, waiting)
        self._inbound.setsockopt(zmq.SNDHWM, 0)  # it sends subscriptions; those beyond a limit ZeroMQ drops silently
        for peer in peers:
            self._inbound.setsockopt(zmq.SUBSCRIBE, self.codec.prefix(peer, self.name))
        self._call(self._inbound, FORWARDER, subscribe_address(address, self.name))

    def _hear_subscriptions(self) -> None:
        """Note who has subscribed, and who has gone."""
        while is_readable(self._publisher):
            notice = self._publisher.recv(NOBLOCK)
            topic = self._topics.get(notice[1:])
            if topic is not None:
                topic.heard = notice[:1] == SUBSCRIBED

    def _flush_when_writable(self, timeout_s: float | None, *inbound: Socket) -> None:
        self._flush_stuck()  # of a change that has been seen already, nothing would tell again
        if self._stuck:
            super()._flush_when_writable(timeout_s, *inbound)

    def _flush_stuck(self) -> None:
        left = -1
        # Sending may take in the signal of a subscription, which nothing would tell again.
        while left != (left := sum(len(topic.waiting) for topic in self._stuck)) or is_readable(self._publisher):
            self._hear_subscriptions()
            super()._flush_stuck()

    def _watch_stuck(self, poller: zmq.Poller) -> None:
        # An XPUB calls itself writable even where it refuses: what tells is news from ZeroMQ's thread.
        poller.register(self._publisher.getsockopt(zmq.FD), zmq.POLLIN)
