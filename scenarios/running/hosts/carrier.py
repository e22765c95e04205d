"""What carries frames between a launcher and a host, both ways: a pipe, an actor of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from broker.errors import UserError
from scenarios.running.fleet import HostConfig


class CarrierLost(UserError):
    """What carries the connections to all hosts is gone, such as a cluster: it helps nobody to dial again."""


class Carrier(Protocol):
    """One connection to a host; whoever holds it reads in one thread, and writes in others, one at a time."""

    def read(self) -> bytes:
        """Wait for what comes from the host; nothing once the connection has ended.

        Raises:
            OSError, ValueError: It is broken.
        """

    def write(self, frame: bytes) -> None:
        """Give the host a frame.

        Raises:
            OSError, ValueError: The connection is broken.
        """

    def said(self) -> str:
        """A sentence about why it has ended, as far as it knows; else nothing."""

    def leave(self) -> None:
        """Let the host end, which it does by itself, and wait until it has; `read` gives nothing more."""

    def close(self) -> None:
        """Let go of what it holds; nobody reads any more."""


Dial = Callable[[str, HostConfig, Path], Carrier]
"""Begins a connection: to the host of this name, which the fleet describes so, with a log for what it says."""
