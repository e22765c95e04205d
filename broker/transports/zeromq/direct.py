"""ZeroMQ transport, direct: one inbound PULL socket, and one PUSH socket per out-edge.

A PUSH refuses when its peer does not read, so what is lost is lost here, counted; PUB/SUB would lose in silence.
ROUTER and DEALER do the same, but put the sender's identity before each frame. The frame names its edge already, so
the identity would be read and thrown away: a tenth of a barrier's time. And without identities a restarted peer cannot
be mistaken for its past life.

With keys (CURVE) only peers get in, and each may speak for itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import zmq

from broker.errors import UserError
from broker.security.curve import CurveKeys, key_of
from broker.transports.queueing import limit_of
from broker.transports.transport import UNKNOWN
from broker.transports.zeromq.doorkeeper import Caller, Doorkeeper, Socket, serve_with
from broker.transports.zeromq.sockets import SocketEdge, SocketTransport, bind
from broker.wire.codec import Codec

if TYPE_CHECKING:
    from broker.config import TransportConfig

_SHOWN = 80


class ZeroMQTransport(SocketTransport[SocketEdge]):
    """One participant's sockets.

    Args:
        name: The participant.
        addresses: Where it listens (its own name) and where its peers listen.
        codec: Allows this participant's in-edges.
        config: Limits of every transport, and options of the sockets.
        keys: Its own keys and those of its peers; None: anybody may connect.

    Raises:
        AddressInUse: Another program listens on its address.
        UserError: The address cannot be listened on for another reason, or a peer's key is missing.
    """

    def __init__(
        self,
        name: str,
        addresses: Mapping[str, str],
        codec: Codec,
        config: TransportConfig,
        *,
        keys: CurveKeys | None,
    ) -> None:
        super().__init__(name, codec, config, keys, zmq.PULL)
        self._signed: dict[str, bytes] = {}
        self._doorkeeper: Doorkeeper | None = None
        self._calling: dict[Socket, Caller] = {}
        peers = {peer: address for peer, address in addresses.items() if peer != name}
        try:
            if keys is not None:
                self._lock(keys, peers)
            bind(self._inbound, name, addresses[name], "transport.zeromq.base_port")
            self._edges = {peer: self._connect(peer, address) for peer, address in peers.items()}
        except UserError:
            self._close_sockets(0)
            raise

    def _hear_refusals(self, callers: Iterable[Caller] | None = None) -> None:
        super()._hear_refusals(callers)
        while self._doorkeeper is not None and self._doorkeeper.refused:
            self.reject(UNKNOWN, f"refused at the door: the key {self._doorkeeper.refused.popleft()} is of no peer")

    def _lock(self, keys: CurveKeys, peers: Mapping[str, str]) -> None:
        """Let in the peers' keys alone, and take from each what it sends in its own name."""
        allowed = {peer: key_of(keys, peer, self.name) for peer in peers}
        self._signed = {peer: self.codec.prefix(peer, self.name) for peer in peers}
        self._doorkeeper = Doorkeeper(self._context, allowed)
        serve_with(self._inbound, keys)

    def _way_in(self) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        if self._keys is None:
            return super()._way_in()
        return partial(self._inbound.recv, 0, False), self._take_signed  # a frame that knows who signed it

    def _take_signed(self, frame: zmq.Frame) -> None:
        """Take a frame if it travels on an edge of the participant whose key signed it."""
        signer, data = str(frame["User-Id"]), frame.bytes
        if data.startswith(self._signed[signer]):
            self.take(data)
            return
        edge = self.codec.edge_of(data)
        what = f"a message of {edge[0]}" if edge else f"no frame of its edge: {data[:_SHOWN]!r}"
        self.reject(signer, f"the key of {signer} signed {what}")

    def _connect(self, peer: str, address: str) -> SocketEdge:
        socket = self._socket(zmq.PUSH)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        self._calling[socket] = self._call(socket, peer, address)
        return SocketEdge(socket, limit_of(self._config, peer), self.traffic[peer])

    def _callers_on(self, edge: SocketEdge) -> Iterable[Caller]:
        return (self._calling[edge.socket],)

    def _watch_stuck(self, poller: zmq.Poller) -> None:
        for edge in self._stuck:
            poller.register(edge.socket, zmq.POLLOUT)
