"""From a participant's slice of the scenario to its transport, and what stands around it.

    driver <-> faults <-> journal <-> sockets or memory

Messages meet faults where they are received, on their way to the driver: the journal shows what crossed the edge, and
what is sent passes the faults untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from broker.errors import UserError
from broker.transports.journaled import JournaledTransport
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.transports.transport import FrameTransport, Transport
from broker.wire.codec import Codec
from broker.wire.messages import OBSERVER

if TYPE_CHECKING:
    from broker.faults import Judge
    from broker.faults.config import FaultConfig
    from broker.participants.link import LinkConfig
    from broker.security.curve import CurveKeys


def make_codec(link: LinkConfig) -> Codec:
    """A codec that reads a participant's in-edges and nothing else."""
    codec = Codec(link.run, link.transport.max_message_bytes, link.life.incarnation, link.identity)
    for peer in heard_by(link):
        codec.allow(peer, link.name)
    return codec


def connect(link: LinkConfig, network: MemoryNetwork | None = None) -> Transport:
    """The transport of a participant, with the scenario's faults and journal around it.

    Args:
        link: The participant's way to its peers.
        network: A memory network to join instead of opening sockets.

    Raises:
        AddressInUse: Another program listens on its address.
        UserError: An address is missing or makes no sense.
        ScenarioError: Two faults have one name.
    """
    judged = _judged(link) if link.faults else None
    codec = make_codec(link)
    transport: Transport
    transport = MemoryTransport(link.name, network, codec) if network is not None else open_transport(link, codec)
    if link.journal is not None:
        transport = JournaledTransport(transport, codec, link.journal)
    return transport if judged is None else judged(transport)


def _judged(link: LinkConfig) -> Callable[[Transport], Transport]:
    """What puts the faults around a transport.

    Raises:
        ScenarioError: Two faults have one name.
    """
    # 15 MB with pydantic, for those that meet faults alone
    from broker.transports.faulty import FaultyTransport  # noqa: PLC0415

    judge = make_judge(link, link.faults)
    return lambda transport: FaultyTransport(transport, judge)


def make_judge(link: LinkConfig, faults: Sequence[FaultConfig]) -> Judge:
    """What gives the messages of a participant their verdicts.

    Raises:
        ScenarioError: Two faults have one name.
    """
    from broker.faults import Judge  # noqa: PLC0415 - see `_judged`

    return Judge(faults, link.seed, link.episodes_before, link.longest_episode)


def refitted(link: LinkConfig, transport: Transport, faults: str) -> Transport:
    """A participant's transport with other faults around it, from now on.

    Args:
        link: The participant's way to its peers.
        transport: As `connect` made it.
        faults: JSON of all faults that are in force.

    Raises:
        UserError: They make no sense.
    """
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - see `_judged`

    from broker.faults.config import FaultConfig  # noqa: PLC0415
    from broker.transports.faulty import FaultyTransport  # noqa: PLC0415

    in_force: TypeAdapter[tuple[FaultConfig, ...]] = TypeAdapter(tuple[FaultConfig, ...])
    try:
        judge = make_judge(link, in_force.validate_json(faults))
    except ValidationError as error:
        msg = f"{link.name} was told of faults that make no sense: {error}"
        raise UserError(msg) from None
    if isinstance(transport, FaultyTransport):
        transport.refit(judge)
        return transport
    return FaultyTransport(transport, judge)


def heard_by(link: LinkConfig) -> tuple[str, ...]:
    """Everybody a participant may hear, the observer included."""
    return (*link.peers, OBSERVER) if link.observed else link.peers


def open_transport(link: LinkConfig, codec: Codec, connect_within_s: float | None = None) -> FrameTransport:
    """The sockets of a participant.

    Args:
        link: The participant's way to its peers.
        codec: Reads its in-edges.
        connect_within_s: How long to look for an MQTT broker; None for as long as joining may take.

    Raises:
        AddressInUse: Another program listens on its address.
        UserError: An address is missing or makes no sense.
    """
    if link.transport.kind == "mqtt":
        return _open_mqtt(link, codec, link.joining.give_up_s if connect_within_s is None else connect_within_s)
    if link.transport.zeromq.mode == "forwarder":
        return _open_forwarded(link, codec)
    from broker.transports.zeromq.direct import ZeroMQTransport  # noqa: PLC0415 - a simulation needs no sockets

    names = (link.name, *heard_by(link))
    missing = [name for name in names if name not in link.addresses]
    if missing:
        msg = f"{link.name} has no address of {', '.join(missing)}: its slice must name them under link.addresses"
        raise UserError(msg)
    addresses = {name: link.addresses[name] for name in names}
    if link.listen:
        addresses[link.name] = link.listen
    return ZeroMQTransport(link.name, addresses, codec, link.transport, keys=_keys(link))


def _open_forwarded(link: LinkConfig, codec: Codec) -> FrameTransport:
    from broker.transports.zeromq.forwarded import ForwardedTransport  # noqa: PLC0415 - see above

    if not link.broker:
        msg = f"{link.name} has no address of the forwarder: its slice must name it as link.broker"
        raise UserError(msg)
    return ForwardedTransport(link.name, heard_by(link), link.broker, codec, link.transport, keys=_keys(link))


def _open_mqtt(link: LinkConfig, codec: Codec, connect_within_s: float) -> FrameTransport:
    """The connection of a participant to its MQTT broker.

    Raises:
        UserError: The broker's address is missing, or it cannot be reached, or refuses.
    """
    from broker.security.mqtt_access import read_mqtt_credentials  # noqa: PLC0415 - its hashes are of no use elsewhere
    from broker.security.mqtt_login import read_mqtt_login  # noqa: PLC0415
    from broker.transports.mqtt.transport import MqttTransport  # noqa: PLC0415 - a simulation needs no sockets

    if not link.broker:
        msg = f"{link.name} has no address of an MQTT broker: its slice must name one under link.broker"
        raise UserError(msg)
    login = read_mqtt_login(link.transport.mqtt)
    credentials = login if link.credentials is None else read_mqtt_credentials(link.credentials)
    return MqttTransport(
        link.name,
        heard_by(link),
        link.broker,
        codec,
        link.transport,
        credentials=credentials,
        largest_bytes=link.largest_bytes,
        connect_within_s=connect_within_s,
        gone_for_s=link.joining.give_up_s,
    )


def _keys(link: LinkConfig) -> CurveKeys | None:
    from broker.security.curve import read_curve_keys  # noqa: PLC0415 - see above

    return read_curve_keys(link.credentials) if link.credentials is not None else None
