"""Ports that nobody uses, one or several in a row; below those that the kernel gives to clients."""

from __future__ import annotations

import random
import socket
from contextlib import suppress


def free_ports(count: int) -> int:
    """The first of some ports in a row that nobody uses."""
    for base in range(12_000 + random.randrange(18_000), 32_000, count):
        with suppress(OSError):
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
    raise AssertionError("no ports are free")


def free_port() -> int:
    """A port that nobody uses."""
    return free_ports(1)
