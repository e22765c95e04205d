"""Ports that nobody uses, one or several in a row; below those that the kernel gives to clients.

Between the look and the listening a port is nobody's. So each process that tests takes blocks of ports for itself, to
its end: by a name in the kernel that only one of them can bear.
"""

from __future__ import annotations

import atexit
import os
import random
import socket
from contextlib import suppress

_FIRST, _LAST, _BLOCK = 12_000, 32_000, 32
_left: list[int] = []
_owner = os.getpid()


def free_ports(count: int) -> int:
    """The first of some ports in a row that nobody uses, and that no other test is given."""
    global _owner  # noqa: PLW0603 - a fork takes a block of its own
    assert count <= _BLOCK
    if _owner != os.getpid():
        _owner = os.getpid()
        _left.clear()
    while True:
        if len(_left) < count:
            _left[:] = _own_block()
        found = _left[:count]
        del _left[:count]
        if all(map(_is_free, found)):
            return found[0]


def free_port() -> int:
    """A port that nobody uses."""
    return free_ports(1)


def _own_block() -> list[int]:
    """Ports that this process alone gives away."""
    begin = random.randrange(_FIRST, _LAST - _BLOCK)
    for base in range(begin - begin % _BLOCK, _LAST - _BLOCK, _BLOCK):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0foretell-test-ports-{base}")
        except OSError:
            name.close()
            continue
        atexit.register(name.close)
        return list(range(base, base + _BLOCK))
    raise AssertionError("no ports are free")


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False
