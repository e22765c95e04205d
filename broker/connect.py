"""From a participant's slice of the scenario to its transport."""

from __future__ import annotations

from collections.abc import Sequence

from broker.codec import Codec
from broker.config import LinkConfig
from broker.faults import Judge
from broker.transport import Transport
from broker.transports.faulty import FaultyTransport
from broker.transports.journaled import JournaledTransport
from broker.transports.memory import MemoryNetwork, MemoryTransport


def make_codec(run: str, name: str, peers: Sequence[str], max_bytes: int) -> Codec:
    """A codec that reads the in-edges of `name` and nothing else."""
    codec = Codec(run, max_bytes)
    for peer in peers:
        codec.allow(peer, name)
    return codec


def connect(link: LinkConfig, network: MemoryNetwork | None = None) -> Transport:
    """The transport of a participant, with the scenario's faults and journal around it.

    Args:
        link: The participant's way to its peers.
        network: A memory network to join instead of opening sockets.

    Raises:
        AddressInUse: Another program listens on its address.
    """
    codec = make_codec(link.run, link.name, link.peers, link.transport.zeromq.max_message_bytes)
    transport: Transport
    if network is not None:
        transport = MemoryTransport(link.name, network, codec)
    else:
        from broker.transports.zeromq import ZeroMQTransport  # noqa: PLC0415 - a simulation needs no sockets

        transport = ZeroMQTransport(link.name, link.addresses, codec, link.transport.zeromq)
    if link.journal is not None:
        transport = JournaledTransport(transport, codec, link.journal)
    if link.faults:
        transport = FaultyTransport(transport, Judge(link.faults, link.seed))
    return transport
