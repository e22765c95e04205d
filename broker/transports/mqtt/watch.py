"""The one socket of a client, and what the loop looks for on it.

A loop that still looks for something on a socket that is closed fails at the next one with the same number. So all is
put on and taken off at once, in the loop's own thread, and nothing is left to be done for a socket later on.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable


class SocketWatch:
    """What a loop looks for on a socket that comes and goes; without one, there is nothing to look for.

    Args:
        loop: The loop; it calls, and all is called, in its thread.
        read: Called when there is something to read.
        write: Called when there is room to write, as long as somebody wants to.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, read: Callable[[], None], write: Callable[[], None]) -> None:
        self._loop, self._read, self._write = loop, read, write
        self._socket: socket.socket | None = None
        self._poller = select.poll()
        self._writing = False

    def begin(self, sock: socket.socket) -> None:
        """Look for what can be read from an open socket."""
        self._socket = sock
        self._loop.add_reader(sock, self._read)
        self._poller.register(sock, select.POLLIN)

    def want_write(self) -> None:
        """Look for room to write."""
        if self._socket is not None and not self._writing:
            self._writing = True
            self._loop.add_writer(self._socket, self._write)

    def forget_write(self) -> None:
        """Look no more for room to write."""
        if self._socket is not None and self._writing:
            self._loop.remove_writer(self._socket)
        self._writing = False

    def end(self) -> None:
        """Look for nothing any more: the socket is about to be closed."""
        self.forget_write()
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._poller.unregister(self._socket)
            self._socket = None

    def has_news(self, timeout_s: float) -> bool:
        """Whether there is something to read within `timeout_s` seconds, without the loop."""
        return self._socket is not None and bool(self._poller.poll(timeout_s * 1000))
