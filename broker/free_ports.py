"""Ports of this host that nobody uses, for programs that have to be told one before they listen."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from broker.errors import AddressInUse

_ATTEMPTS = 5
_Result = TypeVar("_Result")


def on_a_free_port(serve: Callable[[int], _Result]) -> _Result:
    """Serve on a port that nobody uses, and on another where somebody took it before `serve` listened.

    Args:
        serve: Called with a port of 127.0.0.1, once or a few times; what it returns is given back.

    Raises:
        AddressInUse: All of a few ports were taken meanwhile.
    """
    for _ in range(_ATTEMPTS - 1):
        with suppress(AddressInUse):
            return serve(_free_port())
    return serve(_free_port())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
