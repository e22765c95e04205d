"""Who may connect to an MQTT broker, and as whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MqttCredentials:
    """What a participant shows a broker, and how it knows the broker.

    Attributes:
        username: The participant's name.
        password: Its password.
        ca: Certificate of the authority that signed the broker's, or None for the system's authorities.
    """

    username: str
    password: str
    ca: Path | None
