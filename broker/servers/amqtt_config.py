"""What the process of the amqtt broker is told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from broker.config import Model


class AmqttConfig(Model):
    """Settings of an amqtt broker."""

    host: str = Field(description="Name or address it listens on.")
    port: int = Field(description="Port it listens on.")
    access: Path | None = Field(
        description="Folder with passwords, permissions and certificates; none: all may do all."
    )
    max_packet_bytes: int = Field(description="Whoever sends a larger packet is disconnected.")
    session_expiry_s: int = Field(description="How long subscriptions outlive a lost connection.")
