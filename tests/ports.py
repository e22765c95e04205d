"""Ports that nobody uses, for what needs several in a row; below those that the kernel gives to clients."""

from __future__ import annotations

import random
import socket
from contextlib import suppress


def free_ports(count: int) -> int:
    """The first of some ports in a row that nobody uses."""
    for base in range(21_000 + random.randrange(4000), 32_000, count):
        with suppress(OSError):
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
    raise AssertionError("no ports are free")
