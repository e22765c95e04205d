"""ZeroMQ transport, direct: one inbound PULL socket, and one PUSH socket per out-edge.

A PUSH refuses when its peer does not read, so what is lost is lost here, counted; PUB/SUB would lose in silence.
ROUTER and DEALER do the same, but put the sender's identity before each frame. The frame names its edge already, so
the identity would be read and thrown away: a tenth of a barrier's time. And without identities a restarted peer cannot
be mistaken for its past life.
"""

from __future__ import annotations

from collections.abc import Mapping

import zmq

from broker.codec import Codec
from broker.config import TransportConfig
from broker.errors import UserError
from broker.transports.sockets import OutEdge, Socket, SocketTransport, bind, limit_of, plain_send, reach


class ZeroMQTransport(SocketTransport):
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
        super().__init__(name, codec, config)
        self._sockets: dict[OutEdge, Socket] = {}
        self._inbound = self._socket(zmq.PULL)
        try:
            bind(self._inbound, name, addresses[name], "transport.zeromq.base_port")
            self._edges = {peer: self._connect(peer, address) for peer, address in addresses.items() if peer != name}
        except UserError:
            self._context.destroy(linger=0)
            raise
        self._receive = self._inbound.recv

    def _connect(self, peer: str, address: str) -> OutEdge:
        socket = self._socket(zmq.PUSH)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        reach(socket, self._config, address, self.name, peer)
        edge = OutEdge(plain_send(socket), limit_of(self._config, peer), self.traffic[peer])
        self._sockets[edge] = socket
        self._out.append(socket)
        return edge

    def _watch_stuck(self, poller: zmq.Poller) -> None:
        for edge in self._stuck:
            poller.register(self._sockets[edge], zmq.POLLOUT)
