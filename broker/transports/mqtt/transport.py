"""MQTT transport: everybody is connected to one broker; each edge is a topic that its destination alone listens to.

Subscribers never hear of what a broker throws away, so what is lost is counted by the numbers on each edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from paho.mqtt.client import MQTTMessageInfo
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker.config import TransportConfig
from broker.own_clock import OwnClock
from broker.security.mqtt_access import MqttCredentials
from broker.transports.mqtt.connection import V5, MqttConnection, Who
from broker.transports.mqtt.packets import publish_head, publish_packet
from broker.transports.queueing import OutEdge, QueueingTransport, limit_of
from broker.transports.transport import Traffic
from broker.wire.codec import Codec
from broker.wire.messages import LAST_WILL, OBSERVER, Envelope, Message, Metrics, Share, topic
from broker.wire.records import EventKind, EventRecord, pack

_IN_FLIGHT = 20
"""Messages of QoS 1 that the broker has not acknowledged; more are refused by some brokers, mosquitto among them."""
_LOOK_EVERY_S = 0.05
"""How often closing looks whether all is written: of the last of it, no event tells."""
_ACCEPTED = (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN)
"""With QoS 1, what was not written because the connection broke just now is written when it is back."""


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
        address: mqtt://HOST:PORT, or mqtts://HOST:PORT with TLS.
        codec: Allows this participant's in-edges.
        config: Limits of every transport, and settings of MQTT.
        credentials: User name, password and authority; None: anybody may connect.
        connect_within_s: How long it tries to reach the broker for the first time.

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
        connect_within_s: float,
    ) -> None:
        super().__init__(name, codec)
        self._edges = {peer: self._topic(peer, config) for peer in peers}
        self._batch: list[tuple[_Topic, int, int]] = []
        self._in_flight: list[tuple[MQTTMessageInfo, _Topic, int]] = []
        self._awaited: float = 1
        in_edges = [(topic(codec.run, peer, name), self._qos(peer, config)) for peer in peers]
        who = Who(name, f"foretell-{codec.run}-{name}", in_edges, self._will() if OBSERVER in peers else None)
        self._connection = MqttConnection(
            who, address, config.mqtt, credentials, hear=self._hear, relieved=self._go_on, notice=self._notice
        )
        try:
            self._client = self._connection.open(connect_within_s)
        except BaseException:
            self._connection.close()
            raise
        is_v5, expiry_s = self._connection.protocol == V5, config.mqtt.message_expiry_s
        self._expiry = _expiry(expiry_s) if is_v5 and expiry_s else None
        none = b"\0" if is_v5 else b""
        for edge in self._edges.values():
            edge.head = edge.head_expiring = publish_head(edge.topic, none)
            if self._expiry:
                edge.head_expiring = publish_head(edge.topic, self._expiry.pack())  # type: ignore[no-untyped-call] # paho's

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
        finally:
            for edge in self._edges.values():
                edge.give_up()
            for edge, size in [*((edge, size) for _, edge, size in self._unacknowledged()), *self._unwritten()]:
                if size:  # a HELLO is not counted
                    edge.take_back(size)
            self._connection.close()

    def _hear(self, frames: Sequence[bytes]) -> bool:
        """Take frames in; True when enough messages have arrived."""
        for frame in frames:
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
        if len(self._in_flight) >= _IN_FLIGHT <= len(self._unacknowledged()):
            return False
        info = client.publish_until_confirmed(edge.topic, frame, self._expiry if expires else None)
        if info.rc not in _ACCEPTED:
            return False
        self._in_flight.append((info, edge, counted_bytes))
        return True

    def _go_on(self) -> None:
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

    def _unacknowledged(self) -> list[tuple[MQTTMessageInfo, _Topic, int]]:
        """Messages of QoS 1 that the broker has not acknowledged."""
        self._in_flight = [one for one in self._in_flight if not one[0].is_published()]
        return self._in_flight

    def _notice(self, kind: EventKind, text: str) -> None:
        self.noticed.append(EventRecord(self.name, kind, "", text))

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


def _expiry(seconds: int) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's
    properties.MessageExpiryInterval = seconds
    return properties
