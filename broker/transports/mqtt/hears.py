"""Whom a connection to an MQTT broker tells what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from broker.wire.records import EventKind


class Hears(Protocol):
    """Takes what comes, and is told what becomes of what it sent and of the connection."""

    def hear(self, frames: Sequence[bytes]) -> bool:
        """Take frames; whether enough has come."""

    def take_again(self, frame: bytes) -> None:
        """Take a frame that may have come before."""

    def go_on(self) -> None:
        """Go on: there may be room to publish again."""

    def note_refusal(self, topic: str, reason: str) -> None:
        """Note that the broker did not accept a message on a topic, and why."""

    def notice(self, kind: EventKind, text: str) -> None:
        """Note what happened to the connection."""
