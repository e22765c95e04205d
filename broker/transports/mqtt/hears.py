"""Whom a connection to an MQTT broker tells what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from broker.wire.records import EventKind


class Hears(Protocol):
    """Takes what comes, and is told what becomes of what it sent and of the connection."""

    def hear(self, frames: Sequence[tuple[bytes, bool]]) -> bool:
        """Take frames in the order in which they came, and of each whether it may have come before.

        Returns whether enough has come.
        """

    def go_on(self) -> None:
        """Go on: there may be room to publish again."""

    def note_refusal(self, topic: str, reason: str) -> None:
        """Note that the broker did not accept a message on a topic, and why."""

    def notice(self, kind: EventKind, text: str) -> None:
        """Note what happened to the connection."""
