"""What an MQTT broker offers its clients, as it says when it takes a connection (MQTT 5, section 3.2.2.3)."""

from __future__ import annotations

from dataclasses import dataclass

from paho.mqtt.properties import Properties

_LARGEST_PACKET, _MOST_IN_FLIGHT, _HIGHEST_QOS = 268_435_455, 65_535, 2


@dataclass(frozen=True)
class Offer:
    """A broker's limits; where it says nothing, as with MQTT 3.1.1, those of the protocol.

    Attributes:
        packet_bytes: The largest packet it takes.
        in_flight: How many messages of QoS 1 it takes before it has answered the first.
        qos: The highest quality of service it knows.
    """

    packet_bytes: int = _LARGEST_PACKET
    in_flight: int = _MOST_IN_FLIGHT
    qos: int = _HIGHEST_QOS

    @classmethod
    def read(cls, properties: Properties | None) -> Offer:
        """What the properties of a CONNACK say."""
        return cls(
            packet_bytes=getattr(properties, "MaximumPacketSize", _LARGEST_PACKET),
            in_flight=getattr(properties, "ReceiveMaximum", _MOST_IN_FLIGHT),
            qos=getattr(properties, "MaximumQoS", _HIGHEST_QOS),
        )

    def lacks(self, packet_bytes: int, qos: int) -> str:
        """What it lacks for who needs such packets and this quality of service, a clause; empty for nothing."""
        if self.packet_bytes < packet_bytes:
            return (
                f"it takes packets of up to {self.packet_bytes} bytes, and this run needs {packet_bytes}. Raise its "
                "limit (mosquitto: max_packet_size), or choose smaller networks, shorter episodes or fewer at once"
            )
        if self.qos < qos:
            return f"it knows quality of service {self.qos} at most, and this run needs {qos}. Use another broker"
        return ""
