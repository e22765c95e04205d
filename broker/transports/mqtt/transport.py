"""MQTT transport: everybody is connected to one broker; each edge is a topic that its destination alone listens to.

Subscribers never hear of what a broker throws away, so what is lost is counted by the numbers on each edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker.config import TransportConfig
from broker.errors import UserError
from broker.own_clock import OwnClock
from broker.security.mqtt_access import MqttCredentials
from broker.transports.mqtt.brokers import from_on
from broker.transports.mqtt.connection import V5, MqttConnection
from broker.transports.mqtt.packets import publish_head, publish_packet
from broker.transports.mqtt.unconfirmed import ConfirmedMessage
from broker.transports.mqtt.who import Who
from broker.transports.queueing import OutEdge, QueueingTransport, limit_of
from broker.transports.transport import Traffic
from broker.wire.codec import Codec
from broker.wire.messages import ENVIRONMENT, LAST_WILL, OBSERVER, Envelope, Message, Metrics, Share, topic
from broker.wire.records import EventKind, EventRecord, pack

_LOOK_EVERY_S = 0.05
"""How often closing looks whether all is written: of the last of it, no event tells."""
_HEAD_BYTES = 32
"""What stands around topic and frame in a packet of ours, at most."""
_RECORDS_BYTES = 16_384
"""What a broker must take in any case: records go to the observer some at a time, and there is more than shares."""
_REFUSALS_TOLD = 20


class _Topic(OutEdge):
    """The edge to a peer, a topic of the broker's."""

    def __init__(self, topic: str, qos: int, limit: int, traffic: Traffic) -> None:
        super().__init__(limit, traffic)
        self.topic, self.qos = topic, qos
        self.head = self.head_expiring = b""


class MqttTransport(QueueingTransport[_Topic]):
    """One participant's connection to the broker.

    Args:
        name: The participant.
        peers: Whom it sends to and hears from; where the observer is among them, the broker tells it if this
            participant is gone without goodbye.
        address: mqtt://HOST:PORT, or mqtts://HOST:PORT with TLS; with others in `config` it is the first to try.
        codec: Allows this participant's in-edges.
        config: Limits of every transport, and settings of MQTT.
        credentials: User name, password and authority; None: anybody may connect.
        largest_bytes: The largest frame of the run, as far as it is known; the broker is asked for no more than
            `max_message_bytes`.
        connect_within_s: How long it tries to reach the broker for the first time.
        gone_for_s: How long the broker may be gone later on.

    Raises:
        UserError: The broker cannot be reached, or refuses.
    """

    def __init__(
        self,
        name: str,
        peers: Sequence[str],
        address: str,
        codec: Codec,
        config: TransportConfig,
        *,
        credentials: MqttCredentials | None,
        largest_bytes: int,
        connect_within_s: float,
        gone_for_s: float,
    ) -> None:
        super().__init__(name, codec)
        self._edges = {peer: self._topic(peer, config) for peer in peers}
        self._batch: list[tuple[_Topic, int, int]] = []
        self._in_flight: list[tuple[ConfirmedMessage, _Topic, int]] = []
        self._awaited: float = 1
        self._refusals = 0
        self._connection = MqttConnection(
            self._who(peers, config, largest_bytes),
            from_on(address, config.mqtt.addresses),
            config.mqtt,
            credentials,
            gone_for_s=gone_for_s,
            hears=self,
        )
        try:
            self._client = self._connection.open(connect_within_s)
        except BaseException:
            self._connection.close()
            raise
        is_v5, expiry_s = self._connection.protocol == V5, config.mqtt.message_expiry_s
        self._plain = b"\0" if is_v5 else b""
        self._expiring = _expiry(expiry_s) if is_v5 and expiry_s else self._plain
        for edge in self._edges.values():
            edge.head = publish_head(edge.topic, self._plain)
            edge.head_expiring = publish_head(edge.topic, self._expiring)

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Hand over envelopes, and write them together. See `Transport.send_all`."""
        try:
            super().send_all(envelopes)
        finally:
            self._write_out()

    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Block until `awaited` frames have arrived; see `Transport.wait`."""
        if len(self.arrived) < awaited:
            self._awaited = awaited
            self._connection.run(timeout_s)

    def close(self, linger_s: float) -> None:
        """Say goodbye; what is under way is sent for at most `linger_s` seconds, `traffic` counts what is left."""
        clock = OwnClock()
        give_up_at = clock() + linger_s
        self._awaited = math.inf
        try:
            while self._is_under_way() and (left_s := clock.left_s(give_up_at)) > 0:
                self._connection.run(min(left_s, _LOOK_EVERY_S))
        except UserError as error:  # what is left is counted
            self.notice(EventKind.DISCONNECTED, str(error))
        finally:
            for edge in self._edges.values():
                edge.give_up()
            for edge, size in [*((edge, size) for _, edge, size in self._unacknowledged()), *self._unwritten()]:
                if size:  # a HELLO is not counted
                    edge.take_back(size)
            self._connection.close()

    def hear(self, frames: Sequence[tuple[bytes, bool]]) -> bool:
        """Take frames in, and of each whether it may have come before; True when enough messages have arrived."""
        for frame, again in frames:
            if again:
                self.take_again(frame)
            else:
                self.take(frame)
        if len(self.arrived) < self._awaited:
            return False
        self._connection.stop()
        return True

    def _leave(self, edge: _Topic, frame: bytes, kind: type[Message]) -> bool:
        client = self._client
        if not client.can_publish():
            return False
        expires, counted_bytes = kind is Share, len(frame) if kind.numbered else 0
        if not edge.qos:
            packet = publish_packet(edge.head_expiring if expires else edge.head, frame)
            self._batch.append((edge, counted_bytes, len(packet)))
            client.write(packet)
            return True
        if not client.takes_unconfirmed():
            return False
        properties = self._expiring if expires else self._plain
        self._unacknowledged().append(
            (client.publish_until_confirmed(edge.topic, properties, frame), edge, counted_bytes)
        )
        return True

    def go_on(self) -> None:
        """Send what waits, as far as the broker reads; once all is sent, nobody who closes need wait longer."""
        if self._stuck:
            self._flush_stuck()
            self._write_out()
        elif self._awaited == math.inf and not self._is_under_way():
            self._connection.stop()

    def _write_out(self) -> None:
        """Write what was handed over, and remember it until all of it is written."""
        self._client.write_out()
        if self._client.can_publish():
            self._batch.clear()

    def _is_under_way(self) -> bool:
        return bool(self._stuck or self._unacknowledged() or self._client.unwritten_bytes())

    def _unwritten(self) -> list[tuple[_Topic, int]]:
        """Edge and size of the frames that are not written to their end."""
        unwritten, left = [], self._client.unwritten_bytes()
        while left > 0 and self._batch:
            edge, size, packet = self._batch.pop()
            unwritten.append((edge, size))
            left -= packet
        return unwritten

    def _unacknowledged(self) -> list[tuple[ConfirmedMessage, _Topic, int]]:
        """Messages of QoS 1 that the broker has not acknowledged."""
        self._in_flight = [one for one in self._in_flight if not one[0].confirmed]
        return self._in_flight

    def note_refusal(self, topic: str, reason: str) -> None:
        """Note that the broker did not accept a message, of the first ones alone."""
        self._refusals += 1
        if self._refusals <= _REFUSALS_TOLD:
            self.notice(EventKind.REFUSED, f"the broker did not accept a message on {topic}: {reason}")

    def notice(self, kind: EventKind, text: str) -> None:
        """Note what happened to the connection."""
        self.noticed.append(EventRecord(self.name, kind, "", text))

    def _who(self, peers: Sequence[str], config: TransportConfig, largest_bytes: int) -> Who:
        run = self.codec.run
        in_edges = [(topic(run, peer, self.name), self._qos(peer, config)) for peer in peers]
        frame_bytes = min(max(largest_bytes, _RECORDS_BYTES), config.max_message_bytes)
        longest = max((len(edge.topic.encode()) for edge in self._edges.values()), default=0)
        return Who(
            self.name,
            f"foretell-{self.codec.identity.run}-{self.name}",
            in_edges,
            self._will() if OBSERVER in peers else None,
            frame_bytes + longest + _HEAD_BYTES,
            max((edge.qos for edge in self._edges.values()), default=0),
            is_confirmed=all(edge.qos for edge in self._edges.values()),
            expires_after_s=(config.mqtt.message_expiry_s if self._hears_shares(peers) else 0) or math.inf,
        )

    def _hears_shares(self, peers: Sequence[str]) -> bool:
        """Whether anything that it hears expires."""
        others = (ENVIRONMENT, OBSERVER)
        return self.name not in others and any(peer not in others for peer in peers)

    def _will(self) -> tuple[str, bytes]:
        """What the broker publishes if this participant is gone without goodbye.

        It is written before any other message, so it has no number: it is taken whenever it comes.
        """
        text = "its connection to the broker ended without goodbye"
        lost = EventRecord(self.name, EventKind.CONNECTION_LOST, "", text)
        envelope = Envelope(self.codec.run, self.name, OBSERVER, LAST_WILL, Metrics(pack([lost])))
        return topic(self.codec.run, self.name, OBSERVER), self.codec.encode(envelope)

    def _topic(self, peer: str, config: TransportConfig) -> _Topic:
        name, limit = topic(self.codec.run, self.name, peer), limit_of(config, peer)
        return _Topic(name, self._qos(peer, config), limit, self.traffic[peer])

    def _qos(self, peer: str, config: TransportConfig) -> int:
        return 1 if OBSERVER in (peer, self.name) else config.mqtt.qos


def _expiry(seconds: int) -> bytes:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's
    properties.MessageExpiryInterval = seconds
    return bytes(properties.pack())  # type: ignore[no-untyped-call] # paho's
